"""`orders watch`: what happens to an account's orders, as it happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from ordergate.cli import event_lines, outcomes, tables
from ordergate.cli.client import GatewayClient, gateway
from ordergate.cli.client import tell as say
from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.following import Event, Joined, Lost, Position, Reset, follow
from ordergate.cli.following import News as StreamNews
from ordergate.cli.options import Account, AsJson, ProfileFile, an_id
from ordergate.cli.output import people, to_programs
from ordergate.core.orders.lifecycle import FINAL

ORDERS_SHOWN_MAX: Final = 20
MISSED: Final = (
    "the stream could not go on where it ended: events are missing here, and the account begins anew"
)


class Stands(msgspec.Struct, frozen=True):
    """The order that is watched, as it stands where its events cannot be told."""

    order: dict[str, Any]


News = StreamNews | Stands
_Tell = Callable[[News], None]


def watch(
    order_id: Annotated[
        str | None, typer.Argument(help="One order, from its first event on.", callback=an_id)
    ] = None,
    *,
    until_final: Annotated[bool, typer.Option(help="End when that order can change no more.")] = False,
    after: Annotated[
        int | None, typer.Option(min=0, help="Begin with the account's events after this number.")
    ] = None,
    account: Account = None,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Follow orders live, until Ctrl-C. A broken connection is made again; no event is missed."""
    if until_final and order_id is None:
        raise Stopped(ExitCode.USAGE, "--until-final needs an order")
    with gateway(profile) as client:
        try:
            followed, position = _beginning(client, order_id, account, after)
            with _lines() if as_json else _screen() as tell:
                news = follow(client, followed, position)
                end = _watch(client, news, tell, order_id, until_final=until_final)
        except KeyboardInterrupt:
            return
    if end is not None:
        outcomes.refuse_if(outcomes.is_refused(end), f"the order was {end['status']}")


def _watch(
    client: GatewayClient, news: Iterator[News], tell: _Tell, order_id: str | None, *, until_final: bool
) -> dict[str, Any] | None:
    """The order, once it can change no more and that was waited for."""
    for one in news:
        if isinstance(one, Event) and order_id is not None:
            order = one.frame.get("order") or {}
            if order.get("id") != order_id:
                continue
            tell(one)
            if until_final and order["status"] in FINAL:
                return order
        else:
            tell(one)
        if isinstance(one, Reset) and order_id is not None:  # its end may be among what was missed
            stands: dict[str, Any] = client.get(f"/v1/orders/{order_id}")
            tell(Stands(stands))
            if until_final and stands["status"] in FINAL:
                return stands
    return None


def _beginning(
    client: GatewayClient, order_id: str | None, account: str | None, after: int | None
) -> tuple[str, Position]:
    """Which account to follow, and from where: the order's first event, a number, or now."""
    if order_id is not None:
        first = client.get(f"/v1/orders/{order_id}/events")["events"][0]
        account, after = first["account_id"], first["seq"] - 1
    followed = account or client.profile.account_id
    if after is None:
        return followed, Position()
    stands = client.get(f"/v1/accounts/{followed}")
    return followed, Position(stands["stream_id"], after)


@contextmanager
def _lines() -> Iterator[_Tell]:
    """One event per line on standard output, and what stands in for events; all else on standard error."""

    def tell(news: News) -> None:
        match news:
            case Event(frame):
                to_programs(frame)
            case Reset(frame, missed=True):
                to_programs(frame)
            case Stands(order):
                to_programs({"type": "order", "order": order})
            case Lost(why):
                say(f"the stream broke ({why}); going on")

    yield tell


@contextmanager
def _screen() -> Iterator[_Tell]:
    """Events line by line, and under them, on a terminal, the orders as they stand."""
    console = people()
    board = _Board(console)
    if not console.is_terminal:
        yield board.tell
        return
    with Live(board, console=console, refresh_per_second=8, transient=False):
        yield board.tell


class _Board:
    """The newest orders, and whether the stream is up."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._orders: dict[str, dict[str, Any]] = {}
        self._trouble = ""

    def tell(self, news: News) -> None:
        match news:
            case Event(frame):
                self._console.print(event_lines.event_line(frame), soft_wrap=True)
                self._keep(frame.get("order"))
            case Reset():
                if news.missed:
                    self._console.print(Text(MISSED, style="yellow"), soft_wrap=True)
                self._orders = {}
                for order in news.orders:
                    self._keep(order)
            case Stands(order):
                self._console.print(event_lines.order_line(order), soft_wrap=True)
                self._keep(order)
            case Lost(why):
                self._trouble = f"the stream broke ({why}); opening another, from where this one ended"
                self._console.print(Text(self._trouble, style="yellow"), soft_wrap=True)
            case Joined():
                self._trouble = ""

    def _keep(self, order: dict[str, Any] | None) -> None:
        if order is None:
            return
        self._orders.pop(order["id"], None)
        self._orders[order["id"]] = order
        while len(self._orders) > ORDERS_SHOWN_MAX:
            self._orders.pop(next(iter(self._orders)))

    def __rich__(self) -> Any:
        if self._trouble:
            return Text(self._trouble, style="yellow")
        if not self._orders:
            return Text("no open orders; waiting for events (Ctrl-C ends)", style="dim")
        return tables.orders(reversed(self._orders.values()))
