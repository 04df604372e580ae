"""How each stop of a day was carried out, rehearsals among them: what was open, what became of it, how soon.

Worked out from what the journal says of the stops and of the orders under them. Reads the control stream
before the accounts'; judges nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import msgspec

from ordergate.core.contingent.events import End, GroupAccepted, GroupEnded
from ordergate.core.contingent.terms import GroupKind, GroupTerms
from ordergate.core.ids import AccountId, OrderId
from ordergate.core.orders import events as e
from ordergate.core.risk.trading_state import (
    EVERYWHERE,
    REHEARSAL,
    SWITCH,
    KillEngaged,
    KillEvent,
    KillFlattenConfirmed,
    KillReleased,
    KillSwept,
    Level,
    Place,
    harder,
)

_BEGINS: Final = (e.OrderAccepted, e.OrderHeld, e.OrderAdopted)
_ENDS: Final = (
    e.OrderFilled, e.OrderCanceled, e.OrderExpired, e.OrderRejected, e.OrderCompleted, e.OrderDenied,
)  # fmt: skip


class Under(msgspec.Struct, frozen=True):
    """What an open order is, as far as a stop asks."""

    symbol: str
    strategy: str | None
    actor: str | None


class Ended(msgspec.Struct, frozen=True):
    at: datetime
    canceled: bool


class Flat(msgspec.Struct, frozen=True):
    at: datetime
    why: str


class Figures(msgspec.Struct, kw_only=True):
    """One stop, from when it was engaged until it was released. An order without an end is open yet.

    `asked` are the switch's cancels, `sent` those that left, one for everything counted for each order.
    """

    engaged: KillEngaged
    released: KillReleased | None = None
    over_at: datetime | None = None
    swept: KillSwept | None = None
    flatten: KillFlattenConfirmed | None = None
    orders: dict[OrderId, Ended | None] = {}
    asked: int = 0
    sent: int = 0
    refused: int = 0
    flats: dict[str, Flat | None] = {}

    @property
    def is_drill(self) -> bool:
        return self.engaged.trip is None and self.engaged.reason.strip().lower().startswith(REHEARSAL)

    @property
    def canceled(self) -> int:
        return sum(1 for ended in self.orders.values() if ended is not None and ended.canceled)

    @property
    def ended_otherwise(self) -> int:
        return sum(1 for ended in self.orders.values() if ended is not None and not ended.canceled)

    @property
    def left(self) -> tuple[str, ...]:
        """What still worked when the stop was released, or the record ended."""
        return tuple(sorted(order for order, ended in self.orders.items() if ended is None))

    @property
    def last_cancel(self) -> timedelta | None:
        """Until nothing of it worked any more; None where there was nothing, or something does."""
        ends = [ended.at for ended in self.orders.values() if ended is not None]
        return None if self.left or not ends else max(ends) - self.engaged.at

    @property
    def flat(self) -> timedelta | None:
        """Until everything was closed, where two persons wanted it; None where it did not come to that."""
        ends = [flat.at for flat in self.flats.values() if flat is not None]
        if self.flatten is None or not ends or self.not_flat:
            return None
        return max(ends) - self.engaged.at

    @property
    def not_flat(self) -> tuple[str, ...]:
        """Flattens that have not ended, or ended otherwise than they should."""
        if self.flatten is not None and not self.flats:
            return ("no flatten began",)
        return tuple(
            f"{group} {'has not ended' if flat is None else flat.why}"
            for group, flat in self.flats.items()
            if flat is None or flat.why != End.COMPLETED
        )

    def holds_at(self, at: datetime) -> bool:
        return self.engaged.at <= at and (self.over_at is None or at <= self.over_at)


class Stops:
    """`wide` are the places of each account that are of the whole of it: its broker, its tenant and so on."""

    def __init__(self, day: date, wide: Mapping[AccountId, frozenset[Place]]) -> None:
        self._day = day
        self._wide = wide
        self._standing: dict[Place, Figures] = {}
        self._of_the_day: list[Figures] = []
        self._open: dict[AccountId, dict[OrderId, Under]] = {}
        self._seen: dict[AccountId, int] = {}

    def all(self) -> list[Figures]:
        """Those of the day, once everything has been read."""
        for account in self._open:
            self._take_in(account, None)
        return self._of_the_day

    def add(self, account: AccountId, event: Any) -> None:
        """The next event of a stream, from its first on."""
        if isinstance(event, KillEvent):
            self._control(event)
        elif isinstance(event, e.OrderEvent):
            self._take_in(account, event.at)
            self._order(account, event)
        elif isinstance(event, GroupAccepted | GroupEnded):
            self._group(account, event)

    def _control(self, event: KillEvent) -> None:
        standing = self._standing.get(event.place)
        match event:
            case KillEngaged():
                self._engaged(standing, event)
            case KillReleased() if standing is not None:
                standing.released, standing.over_at = event, event.at
                del self._standing[event.place]
            case KillFlattenConfirmed() if standing is not None:
                standing.flatten = event
            case KillSwept() if standing is not None and standing.swept is None:
                standing.swept = event
            case _:
                pass

    def _engaged(self, standing: Figures | None, event: KillEngaged) -> None:
        """What only repeats a stop that stands is none of its own; what makes it cancel from now on is."""
        if standing is not None:
            if standing.engaged.grade.cancels or not harder(standing.engaged.grade, event.grade).cancels:
                return
            standing.over_at = event.at
        made = self._standing[event.place] = Figures(engaged=event)
        if is_of(self._day, event.at):
            self._of_the_day.append(made)

    def _take_in(self, account: AccountId, upto: datetime | None) -> None:
        """What is open when a stop is engaged falls under it, whatever becomes of it."""
        seen = self._seen.setdefault(account, 0)
        while seen < len(self._of_the_day):
            figures = self._of_the_day[seen]
            if upto is not None and figures.engaged.at > upto:
                break
            if figures.engaged.grade.cancels:
                for order, under in self._open.get(account, {}).items():
                    if self._is_under(figures.engaged.place, account, order, under):
                        figures.orders.setdefault(order, None)
            seen += 1
        self._seen[account] = seen

    def _order(self, account: AccountId, event: e.OrderEvent) -> None:
        opened, order = self._open.setdefault(account, {}), event.order_id
        if isinstance(event, _BEGINS):
            terms = event.terms
            opened[order] = Under(terms.symbol, terms.strategy, getattr(event, "actor", None))
        if _is_cancel(event) and order in opened:
            for figures in self._about(account, order, opened[order], event.at):
                figures.orders.setdefault(order, None)
        for figures in self._with(order, event.at):
            _follow(figures, event)
        if isinstance(event, _ENDS):
            opened.pop(order, None)

    def _with(self, order: OrderId, at: datetime) -> Iterator[Figures]:
        return (one for one in self._of_the_day if order in one.orders and one.holds_at(at))

    def _about(self, account: AccountId, order: OrderId, under: Under, at: datetime) -> Iterator[Figures]:
        for one in self._of_the_day:
            cancels = one.engaged.grade.cancels and one.holds_at(at)
            if cancels and self._is_under(one.engaged.place, account, order, under):
                yield one

    def _group(self, account: AccountId, event: GroupAccepted | GroupEnded) -> None:
        for figures in self._of_the_day:
            match event:
                case GroupEnded() if event.group_id in figures.flats:
                    figures.flats[event.group_id] = Flat(event.at, event.reason)
                case GroupAccepted(terms=terms, actor=actor) if actor == SWITCH:
                    if _flattens(figures, event.at) and self._is_flat_of(figures, account, terms):
                        figures.flats[event.group_id] = None
                case _:
                    pass

    def _is_flat_of(self, figures: Figures, account: AccountId, terms: GroupTerms) -> bool:
        level, target = place = figures.engaged.place
        if terms.kind is not GroupKind.FLATTEN:
            return False
        return terms.symbol == target if level is Level.INSTRUMENT else place in self._places(account)

    def _is_under(self, place: Place, account: AccountId, order: OrderId, under: Under) -> bool:
        level, target = place
        match level:
            case Level.ORDER:
                return order == target
            case Level.STRATEGY:
                return under.strategy == target
            case Level.USER:
                return under.actor == target
            case Level.INSTRUMENT:
                return under.symbol == target
            case _:
                return place in self._places(account)

    def _places(self, account: AccountId) -> frozenset[Place]:
        return self._wide.get(account, frozenset()) | {EVERYWHERE, (Level.ACCOUNT, account)}


def _is_cancel(event: e.OrderEvent) -> bool:
    """The switch's own cancel, or the one for everything: that is only known by having left."""
    match event:
        case e.CancelRequested(actor=actor):
            return actor == SWITCH
        case e.OrderSent(asked=e.Asked.CANCEL):
            return True
        case _:
            return False


def _follow(figures: Figures, event: e.OrderEvent) -> None:
    """What an event says of an order under the stop."""
    match event:
        case e.CancelRequested(actor=actor) if actor == SWITCH:
            figures.asked += 1
        case e.OrderSent(asked=e.Asked.CANCEL):
            figures.sent += 1
        case e.OrderCanceled() | e.CancelRejected():
            figures.sent += event.sent_at is not None
            figures.refused += isinstance(event, e.CancelRejected)
        case e.OrderReopened():
            figures.orders[event.order_id] = None
        case _:
            pass
    if isinstance(event, _ENDS):
        figures.orders[event.order_id] = Ended(event.at, isinstance(event, e.OrderCanceled))


def _flattens(figures: Figures, at: datetime) -> bool:
    confirmed = figures.flatten
    return confirmed is not None and confirmed.at <= at and figures.holds_at(at)


def is_of(day: date, at: datetime) -> bool:
    """Days are those of UTC."""
    return at.astimezone(UTC).date() == day
