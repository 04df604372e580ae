"""Cash is compared in every currency that either side has, and only where the broker tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec
import pytest

from ordergate.core.accounts.account import Account
from ordergate.core.accounts.breaks import Action, Severity
from ordergate.engine.answering.answers import BreakAnswer
from ordergate.ports.broker import BrokerAccount
from tests.engine.settling import code, natures, only_break, resolve, shown
from tests.engine.stage import ACCOUNT, Stage


def books(stage: Stage) -> Account:
    account = stage.lane.books.account
    assert account is not None
    return account


async def compared(stage: Stage, runs: int = 3) -> None:
    count = stage.seat.runs.count
    stage.seat.suspect("the test")
    await stage.until(lambda: stage.seat.runs.count >= count + runs, within_s=600)


def tells_one_currency(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = stage.broker.account

    async def account() -> BrokerAccount:
        return msgspec.structs.replace(await whole(), foreign_cash=None)

    monkeypatch.setattr(stage.broker, "account", account)


async def balances(stage: Stage) -> Mapping[str, str]:
    rows = [msgspec.json.decode(row) for row in await stage.views.balances(ACCOUNT)]
    return {row["currency"]: row["cash"] for row in rows}


async def test_a_difference_in_a_second_currency_is_a_break_of_that_currency_and_heals() -> None:
    async with Stage() as stage:
        stage.exchange.ledger.foreign["EUR"] += Decimal("5.50")
        await stage.until(lambda: natures(stage) == ["cash"])
        item = only_break(stage)
        assert (item.subject, item.ours, item.theirs) == ("EUR", "0", "5.5")
        assert item.severity is Severity.WARNING
        assert stage.listener.frames_of("break_opened")[-1]["break"]["subject"] == "EUR"
        stage.exchange.ledger.foreign["EUR"] = Decimal(0)
        await stage.until(lambda: natures(stage) == [])
        told = shown(stage, item.id)
        assert (told["state"], told["rule"], told["subject"]) == ("healed", "sides-agree", "EUR")


async def test_each_currency_has_a_break_of_its_own() -> None:
    async with Stage() as stage:
        stage.exchange.ledger.foreign["EUR"] += Decimal(5)
        stage.exchange.ledger.foreign["JPY"] -= Decimal(700)
        stage.exchange.ledger.cash += Decimal(1)
        await stage.until(lambda: natures(stage) == ["cash"] * 3)
        opened = {item.subject: item.gap for item in books(stage).breaks.values()}
        assert opened == {"EUR": "5", "JPY": "-700", "USD": "1"}
        del stage.exchange.ledger.foreign["JPY"]  # a currency that is not named has nothing in it
        await stage.until(lambda: natures(stage) == ["cash"] * 2)
        assert {item.subject for item in books(stage).breaks.values()} == {"EUR", "USD"}


async def test_what_we_hold_and_the_broker_does_not_name_is_a_difference_too() -> None:
    async with Stage() as stage:
        stage.exchange.ledger.foreign["EUR"] += Decimal(5)
        await stage.until(lambda: natures(stage) == ["cash"])
        assert isinstance(await resolve(stage, only_break(stage).id, Action.ADOPT), BreakAnswer)
        await compared(stage)
        assert natures(stage) == []
        stage.exchange.ledger.foreign.clear()
        await stage.until(lambda: natures(stage) == ["cash"])
        assert (only_break(stage).ours, only_break(stage).theirs) == ("5", "0")


async def test_adopting_takes_the_currencys_cash_and_no_others_into_the_books() -> None:
    async with Stage() as stage:
        stage.exchange.ledger.foreign["EUR"] += Decimal("5.50")
        await stage.until(lambda: natures(stage) == ["cash"])
        item, cash = only_break(stage), books(stage).cash
        stage.exchange.ledger.foreign["EUR"] += Decimal(1)
        assert code(await resolve(stage, item.id, Action.ADOPT)) == "break-changed"
        stage.exchange.ledger.foreign["EUR"] -= Decimal(1)
        assert isinstance(await resolve(stage, item.id, Action.ADOPT, reason="interest"), BreakAnswer)
        frame = stage.listener.frames_of("cash_adjusted")[-1]
        assert (frame["foreign_balance"]["currency"], frame["foreign_balance"]["cash"]) == ("EUR", "5.5")
        await stage.restart()
        await compared(stage)
        assert natures(stage) == []
        assert (books(stage).cash, books(stage).foreign_cash) == (cash, {"EUR": Decimal("5.50")})
        assert (await balances(stage))["EUR"] == "5.5"


async def test_an_account_is_opened_with_what_it_has_in_every_currency() -> None:
    stage = Stage()
    stage.exchange.ledger.foreign |= {"EUR": Decimal("5.50"), "JPY": Decimal(0)}
    async with stage:
        await compared(stage)
        assert books(stage).foreign_cash == {"EUR": Decimal("5.50")}
        assert natures(stage) == []
        assert (await balances(stage))["EUR"] == "5.5"


async def test_a_broker_that_tells_one_currency_is_asked_about_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Stage() as stage:
        stage.exchange.ledger.foreign["EUR"] += Decimal(5)
        await stage.until(lambda: natures(stage) == ["cash"])
        item = only_break(stage)
        tells_one_currency(stage, monkeypatch)
        stage.exchange.ledger.foreign.clear()
        await compared(stage)
        assert natures(stage) == ["cash"], "nothing was told, and it healed"
        assert code(await resolve(stage, item.id, Action.ADOPT)) == "break-changed"
        stage.exchange.ledger.cash -= Decimal(1)
        await stage.until(lambda: natures(stage) == ["cash"] * 2)
        stage.exchange.ledger.cash += Decimal(1)
        await stage.until(lambda: natures(stage) == ["cash"])
        assert isinstance(await resolve(stage, item.id, Action.DISMISS), BreakAnswer)


async def test_what_a_broker_of_one_currency_does_not_tell_opens_no_break(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Stage() as stage:
        tells_one_currency(stage, monkeypatch)
        stage.exchange.ledger.foreign["EUR"] += Decimal(5)
        await compared(stage)
        assert natures(stage) == []
        assert stage.seat.runs.latest is not None
        assert stage.seat.runs.latest.cash_compared
