"""Tables tell apart what could be confused: accounts, days, and the two prices of one order."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from ordergate.cli import event_lines, tables
from ordergate.cli.cells import moment
from tests.cli.asking import ordergate

AT = "2026-01-05T15:00:00.250Z"

ORDER: dict[str, Any] = {
    "id": "P-1",
    "status": "working",
    "symbol": "ESH4",
    "side": "buy",
    "type": "stop_limit",
    "cum_qty": "0",
    "quantity": "3",
    "avg_px": None,
    "updated_at": AT,
    "limit_price": "4800",
    "stop_price": "4790",
}
GROUP: dict[str, Any] = {
    "id": "G-1",
    "type": "oco",
    "status": "active",
    "symbol": "ESH4",
    "quantity": "3",
    "exited": "0",
    "reason": None,
}
BREAK: dict[str, Any] = {
    "id": "brk-1",
    "severity": "info",
    "state": "open",
    "nature": "cash",
    "subject": "EUR",
    "ours": "0",
    "theirs": "1",
    "age_s": 3,
    "owner": None,
}
LISTS = [(tables.orders, ORDER), (tables.groups, GROUP), (tables.breaks, BREAK)]
Listing = Callable[[list[dict[str, Any]]], Table]


def shown(table: Table) -> list[str]:
    """Line by line, with the names of the columns first."""
    console = Console(file=io.StringIO(), width=200)
    with console.capture() as captured:
        console.print(table)
    return captured.get().splitlines()


@pytest.mark.parametrize(("listing", "row"), LISTS)
def test_rows_of_several_accounts_say_whose_they_are(listing: Listing, row: dict[str, Any]) -> None:
    head, *lines = shown(listing([{**row, "account_id": account} for account in ("P-A", "P-B")]))
    assert head.split()[0] == "account"
    assert [line.split()[0] for line in lines] == ["P-A", "P-B"]


@pytest.mark.parametrize(("listing", "row"), LISTS)
def test_rows_of_one_account_do_not(listing: Listing, row: dict[str, Any]) -> None:
    assert "account" not in shown(listing([{**row, "account_id": "P-A"}] * 2))[0]


def test_a_stop_limit_is_listed_with_both_its_prices() -> None:
    assert "stop 4790 limit 4800" in shown(tables.orders([{**ORDER, "account_id": "P-A"}]))[1]


def test_an_order_of_another_day_is_listed_with_the_date() -> None:
    assert "2026-01-05 15:00:00" in shown(tables.orders([{**ORDER, "account_id": "P-A"}]))[1]


@pytest.mark.parametrize(
    ("today", "words"),
    [(date(2026, 1, 5), "15:00:00.250"), (date(2026, 1, 6), "2026-01-05 15:00:00.250")],
)
def test_the_date_is_told_where_it_is_not_today(today: date, words: str) -> None:
    assert moment(AT, today) == words


@pytest.mark.parametrize(
    "words", [("orders", "list"), ("groups", "list"), ("breaks", "list"), ("limits", "use")]
)
def test_the_help_of_a_listing_says_which_accounts_are_listed(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert "without it, those of every account that we may see" in ordergate(*words, "--help").out


DENIAL = {"control": "R05", "rule": "max-order-notional", "detail": "120000 is more than 100000"}
EVENT: dict[str, Any] = {"type": "event", "seq": 9, "at": AT, "order": {**ORDER, "failed_controls": []}}


@pytest.mark.parametrize(
    "denied",
    [
        {"kind": "order_denied", "order": {**ORDER, "status": "denied", "failed_controls": [DENIAL]}},
        {"kind": "replace_denied", "detail": {"failed": [DENIAL]}},
    ],
)
def test_a_watched_denial_says_which_control_and_why(denied: dict[str, Any]) -> None:
    line = event_lines.event_line({**EVENT, **denied}).plain
    assert line.endswith("R05 120000 is more than 100000")


def test_what_denied_an_order_is_not_said_again_of_its_later_events() -> None:
    stands = {**ORDER, "failed_controls": [DENIAL]}
    assert "R05" not in event_lines.event_line({**EVENT, "kind": "order_adopted", "order": stands}).plain
