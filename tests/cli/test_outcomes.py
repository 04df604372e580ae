"""What did not happen is no success, and whoever waits at a terminal sees that something is waited for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import typer

from ordergate.cli.main import app
from tests.cli.asking import ordergate
from tests.cli.scripted import stand_in

AT = "2026-01-05T15:00:00Z"


def answer(status: str, *, final: bool = False, **more: Any) -> httpx.Response:
    order = {"id": "P-1", "status": status, "final_at": AT if final else None, "cancel_requested": False}
    terms = {"quantity": "10", "limit_price": "180.5", "stop_price": None}
    return httpx.Response(200, json={**order, **terms, **more})


PLACE = ("place", "AAPL", "buy", "10", "--wait", "5")
CANCEL = ("cancel", "P-1", "--wait", "5")
REPLACE = ("replace", "P-1", "--limit", "181", "--wait", "5")


@pytest.mark.parametrize(
    ("words", "told", "code"),
    [
        (PLACE, answer("rejected", final=True), 1),
        (PLACE, answer("working"), 0),
        (PLACE, answer("accepted"), 0),
        (PLACE, answer("canceled", final=True), 0),
        (CANCEL, answer("working"), 1),
        (CANCEL, answer("filled", final=True, cancel_requested=True), 1),
        (CANCEL, answer("canceled", final=True), 0),
        (CANCEL, answer("pending_cancel", cancel_requested=True), 0),
        (CANCEL, answer("unknown", cancel_requested=True), 0),
        (CANCEL[:2], answer("working"), 0),
        (REPLACE, answer("working"), 1),
        (REPLACE, answer("filled", final=True), 1),
        (REPLACE, answer("working", limit_price="181"), 0),
        (REPLACE, answer("working", limit_price="181.00"), 0),
        (REPLACE, answer("pending_replace"), 0),
        (REPLACE[:-2], answer("working"), 0),
    ],
)
def test_a_brokers_no_ends_with_one(
    words: tuple[str, ...], told: httpx.Response, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, told)
    assert ordergate("orders", *words).code == code


def test_what_is_refused_is_shown_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, answer("rejected", final=True, reason="no such contract"))
    said = ordergate("orders", *PLACE, "--json")
    assert said.json["reason"] == "no such contract"
    assert said.err == "ordergate: the order was rejected\n"


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        (("cancel-requested", "order-pending"), 0),
        (("cancel-requested", "order-final"), 1),
        ((), 0),
    ],
)
def test_a_cancel_all_that_leaves_an_order_alone_ends_with_one(
    codes: tuple[str, ...], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = [{"order_id": f"P-{number}", "code": one} for number, one in enumerate(codes)]
    stand_in(monkeypatch, httpx.Response(207, json={"results": results}))
    assert ordergate("orders", "cancel-all").code == code


RUN = {"run": {"result": "completed", "why": ["asked"], "differences": []}}
GROUP = dict.fromkeys(("id", "type", "symbol", "quantity", "to_exit", "exited", "mark", "legs", "orders"))
FLAT = {**GROUP, "status": "ended", "reason": "completed"}
WAITS = [
    ("orders", ("orders", *PLACE), {"status": "working"}, "waiting for the broker"),
    ("breaks", ("reconcile",), RUN, "comparing"),
    ("groups", ("flatten",), FLAT, "waiting until nothing is left"),
]


@pytest.mark.parametrize(("module", "words", "told", "shown"), WAITS)
def test_a_wait_is_seen_on_a_terminal(
    module: str, words: tuple[str, ...], told: Any, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    stand_in(monkeypatch, httpx.Response(200, json=told), module=module)
    assert shown in ordergate(*words).err


@pytest.mark.parametrize(("module", "words", "told", "shown"), WAITS)
def test_a_wait_is_not_seen_by_programs(
    module: str, words: tuple[str, ...], told: Any, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    stand_in(monkeypatch, httpx.Response(200, json=told), module=module)
    assert shown not in ordergate(*words, "--json").err


@pytest.mark.parametrize("order", ["../orders?account_id=P-DEMO", "?account_id=P-DEMO", "P-1/resolve", ""])
@pytest.mark.parametrize("command", [("cancel",), ("show",), ("replace", "--limit", "1")])
def test_what_is_no_id_asks_the_gateway_for_nothing(
    command: tuple[str, ...], order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One order's cancel was that of every order of the account, by an id that led up the path."""
    asked = stand_in(monkeypatch, answer("working"))
    said = ordergate("orders", command[0], order, *command[1:])
    assert (said.code, asked) == (2, [])
    assert "is an id" in said.err


def flattening(status: str = "active", reason: str | None = None) -> httpx.Response:
    group = {**GROUP, "id": "PG-1", "type": "flatten", "status": status, "reason": reason}
    return httpx.Response(202, json=group)


def test_a_flatten_that_is_not_done_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, flattening("ended", "leg-refused"), module="groups")
    said = ordergate("flatten", "--wait", "1")
    assert (said.code, said.err) == (1, "ordergate: the flatten is leg-refused\n")


LIMITED = httpx.Response(429, json={"code": "rate-limited", "detail": "too many"})
AWAY = httpx.ConnectError("refused")


@pytest.mark.parametrize("trouble", [LIMITED, AWAY], ids=["too many questions", "a closed door"])
def test_a_flatten_is_waited_for_past_a_look_that_was_refused(
    trouble: httpx.Response | Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = flattening("ended", "completed")
    asked = stand_in(monkeypatch, flattening(), trouble, done, module="groups")
    said = ordergate("flatten", "--wait", "20", "--json")
    assert (said.code, said.json["reason"]) == (0, "completed")
    assert [request.method for request in asked] == ["POST", "GET", "GET"]


def test_a_flatten_that_cannot_be_looked_at_is_shown_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is under way: a command that told of the look alone would be given again."""
    monkeypatch.setattr("ordergate.cli.groups.LOOK_EVERY_S", 1.1)
    stand_in(monkeypatch, flattening(), LIMITED, module="groups")
    said = ordergate("flatten", "--wait", "1", "--json")
    assert (said.code, said.json["id"], said.json["status"]) == (1, "PG-1", "active")
    assert said.err == (
        "ordergate: the flatten goes on, and was not seen to be done in 1 s: rate-limited: too many\n"
    )


def test_every_command_that_ends_by_itself_can_speak_to_programs() -> None:
    root: Any = typer.main.get_command(app)
    silent = {name for name, params in commands(root) if "as_json" not in params and "_as_json" not in params}
    assert silent == {"run", "serve", "venue"}


def commands(group: Any, within: str = "") -> Iterator[tuple[str, set[str]]]:
    for name, one in group.commands.items():
        if hasattr(one, "commands"):
            yield from commands(one, f"{within}{name} ")
        else:
            yield f"{within}{name}", {param.name for param in one.params}
