"""`breaks` and `reconcile`, against a whole engine whose broker's books can be bent."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from ordergate.cli import tables
from tests.cli.engine_house import EngineHouse
from tests.engine.settling import natures
from tests.engine.stage import ES
from tests.engine.test_canceling_from_breaks import split


async def test_an_open_break_is_listed_with_both_sides(house: EngineHouse) -> None:
    broken = await house.broken()
    said = await house.ask("breaks", "list")
    assert (said.code, said.err) == (0, "")
    for word in (broken, "severe", "position", "ESH4", "0", "2"):
        assert word in said.out
    told = (await house.ask("breaks", "list", "--json")).json
    assert [item["id"] for item in told["breaks"]] == [broken]
    assert (await house.ask("breaks", "list", "--severity", "info", "--json")).json == {"breaks": []}
    assert (await house.ask("breaks", "list", "--state", "healed", "--json")).json == {"breaks": []}


async def test_a_break_of_cash_is_shown_with_its_currency(house: EngineHouse) -> None:
    house.stage.exchange.ledger.foreign["EUR"] += Decimal("5.50")
    await house.stage.until(lambda: natures(house.stage) == ["cash"])
    said = await house.ask("breaks", "list")
    for word in ("warning", "cash", "EUR", "5.5"):
        assert word in said.out
    (told,) = (await house.ask("breaks", "list", "--json")).json["breaks"]
    assert (told["subject"], told["ours"], told["theirs"]) == ("EUR", "0", "5.5")
    resolved = await house.ask("breaks", "resolve", told["id"], "adopt", "--reason", "interest")
    assert resolved.code == 0, resolved.err
    assert "EUR" in (await house.ask("breaks", "show", told["id"])).out


async def test_a_break_is_assigned_resolved_and_shown_with_its_history(house: EngineHouse) -> None:
    broken = await house.broken()
    assigned = await house.ask("breaks", "assign", broken, "anna", "--note", "your desk", "--json")
    assert (assigned.code, assigned.json["owner"]) == (0, "anna")
    resolved = await house.ask("breaks", "resolve", broken, "adopt", "--reason", "assigned overnight")
    assert resolved.code == 0, resolved.err
    assert house.stage.held(ES) == Decimal(2)
    shown = await house.ask("breaks", "show", broken)
    for word in ("resolved", "adopt", "assigned overnight", "your desk", "trader"):
        assert word in shown.out
    assert (await house.ask("breaks", "list", "--json")).json == {"breaks": []}
    every = (await house.ask("breaks", "list", "--all", "--json")).json["breaks"]
    assert [item["state"] for item in every] == ["resolved"]


async def test_an_order_that_is_over_with_us_is_canceled_at_the_broker(house: EngineHouse) -> None:
    _, _, broken = await split(house.stage)
    asked = await house.ask("breaks", "resolve", broken, "cancel_order", "--reason", "over with us", "--json")
    assert (asked.code, asked.json["state"]) == (0, "open")
    await house.stage.until(lambda: natures(house.stage) == [])
    shown = await house.ask("breaks", "show", broken)
    for word in ("healed", "over with us", "took it"):
        assert word in shown.out


async def test_a_refusal_is_a_problem_and_an_exit_code(house: EngineHouse) -> None:
    broken = await house.broken()
    refused = await house.ask("breaks", "resolve", broken, "close_order", "--reason", "r", "--json")
    assert (refused.code, refused.json["code"]) == (1, "action-not-allowed")
    missing = await house.ask("breaks", "show", "brk-000000000000-00000000", "--json")
    assert (missing.code, missing.json["code"]) == (1, "not-found")
    assert (await house.ask("breaks", "resolve", broken, "adopt")).code == 2  # without a reason
    assert (await house.ask("breaks", "resolve", broken, "guess", "--reason", "r")).code == 2


async def test_the_same_key_settles_once(house: EngineHouse) -> None:
    broken = await house.broken()
    words = ("breaks", "resolve", broken, "adopt", "--reason", "r", "--key", "the-key-of-this-test", "--json")
    first, again = await house.ask(*words), await house.ask(*words)
    assert (first.code, again.code) == (0, 0)
    assert first.json == again.json
    assert house.stage.held(ES) == Decimal(2)


async def test_reconcile_says_what_was_compared_and_what_differed(house: EngineHouse) -> None:
    said = await house.ask("reconcile", "--json")
    assert said.code == 0, said.err
    assert (said.json["run"]["result"], said.json["run"]["differences"]) == ("completed", [])
    assert "completed" in (await house.ask("reconcile")).out
    assert (await house.ask("reconcile", "--wait", "0")).out.strip() == "asked for"


async def test_reconcile_fails_when_the_session_is_another_accounts(house: EngineHouse) -> None:
    house.stage.broker.account_number = "SOMEBODY-ELSE"
    asked = asyncio.create_task(house.ask("reconcile", "--json"))
    while not asked.done():
        await house.stage.clock.move(0.25)
        await asyncio.sleep(0.01)
    assert (asked.result().code, asked.result().json["run"]["result"]) == (1, "wrong_account")


async def test_an_accounts_breaks_are_shown_with_the_account(house: EngineHouse) -> None:
    assert "no open breaks" in (await house.ask("accounts", "show")).out
    broken = await house.broken()
    assert broken in (await house.ask("accounts", "show")).out


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min 0 s"), (3_725, "1 h 2 min"), (90_061, "1 d 1 h")],
)
def test_an_age_is_said_in_its_two_largest_units(seconds: int, words: str) -> None:
    assert tables.age(seconds) == words
