"""Strategies of a tenant: registered with a fresh login, disabled at once, and what that does to orders."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from ordergate.core.access import Principal
from ordergate.core.contingent.terms import GroupKind, GroupTerms, Leg, LegType, Role
from ordergate.core.ids import Env
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.refusals import Code, Refusal
from ordergate.core.strategies import Strategy, by_tenant
from ordergate.engine.answering.answers import Answer, GroupAnswer
from ordergate.engine.desks.strategies_desk import StrategiesDesk, StrategyView
from ordergate.security.clients import StoreUnavailable
from ordergate.security.directory import Directory
from ordergate.security.memory import MemoryStore
from tests.engine.stage import ACCOUNT, ES, TRADER, HandClock, Stage


class House:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.store = MemoryStore(Env.PAPER)

    async def open(self) -> None:
        for tenant in ("test", "other"):
            await self.store.put_tenant(tenant)
        self.book = Directory(Env.PAPER, self.store, self.clock)
        await self.book.refresh()
        self.desk = StrategiesDesk(self.book, self.clock)

    def person(self, ago_s: float = 0, **changes: Any) -> Principal:
        since = int(self.clock.now().timestamp() - ago_s)
        return msgspec.structs.replace(TRADER, auth_time=since, **changes)

    async def add(self, who: Principal | None = None, **changes: str) -> StrategyView | Refusal:
        said = {"name": "mean", "version": "1", "owner": "user:ann", "reason": "new", **changes}
        return await self.desk.add(who or self.person(), **said)

    async def disable(self, who: Principal | None = None, version: str = "1") -> StrategyView | Refusal:
        return await self.desk.disable(who or self.person(), name="mean", version=version, reason="r")


@pytest.fixture
async def house() -> House:
    made = House()
    await made.open()
    return made


def code(answer: object) -> Code | None:
    return answer.code if isinstance(answer, Refusal) else None


async def test_one_is_registered_with_a_fresh_login_and_disabled_without(house: House) -> None:
    stale = house.person(ago_s=301)
    assert house.book.strategies("test") is None
    assert code(await house.add(stale)) is Code.STEP_UP_REQUIRED

    assert await house.add() == StrategyView(name="mean", version="1", owner="user:ann", enabled=True)
    assert house.book.strategies("test") == {("mean", "1"): True}
    assert code(await house.add()) is Code.NOTHING_TO_CHANGE
    gone = await house.disable(stale)
    assert isinstance(gone, StrategyView)
    assert house.book.strategies("test") == {("mean", "1"): False}
    assert code(await house.disable()) is Code.NOTHING_TO_CHANGE
    assert code(await house.add(stale)) is Code.STEP_UP_REQUIRED
    again = await house.add(owner="user:ben")
    assert again == StrategyView(name="mean", version="1", owner="user:ben", enabled=True)


async def test_another_tenants_are_not_there(house: House) -> None:
    await house.add()
    stranger = house.person(tenant="other")

    assert house.desk.listed(stranger) == []
    assert code(await house.disable(stranger)) is Code.NOT_FOUND
    assert house.book.strategies("other") is None
    assert [one.name for one in house.desk.listed(house.person())] == ["mean"]


async def test_without_the_scope_nothing_is_changed(house: House) -> None:
    await house.add()
    viewer = house.person(scopes=frozenset())
    assert code(await house.add(viewer, name="trend")) is Code.FORBIDDEN
    assert code(await house.disable(viewer)) is Code.FORBIDDEN


async def test_nonsense_and_a_store_that_is_away_are_told(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert code(await house.add(name="a b")) is Code.INVALID
    assert code(await house.disable(version="9")) is Code.NOT_FOUND

    async def away(*_: object) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(house.store, "put_strategy", away)
    assert code(await house.add()) is Code.UNAVAILABLE


async def test_there_is_a_bound(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ordergate.engine.desks.strategies_desk.STRATEGIES_MAX", 1)
    await house.add()
    assert code(await house.add(name="trend")) is Code.INVALID


# What it does to orders

LISTED = by_tenant(
    [Strategy("test", "mean", "1", "user:ann"), Strategy("test", "trend", "", "user:ann", enabled=False)]
)


def order(strategy: str | None, version: str | None = "1", quantity: int = 1) -> Terms:
    return Terms(
        account=ACCOUNT,
        symbol=ES,
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal(quantity),
        limit_price=Decimal(4_700),
        time_in_force=TimeInForce.DAY,
        strategy=strategy,
        strategy_version=version,
    )


async def place(stage: Stage, terms: Terms, wait_s: float = 0) -> Answer | Refusal:
    return await stage.gate.place(TRADER, terms, key=stage.key(), correlation="t", wait_s=wait_s)


async def test_an_order_of_a_strategy_that_is_not_registered_is_refused_before_risk_is_asked() -> None:
    async with Stage() as stage:
        stage.registered.update(LISTED)
        before = len(stage.listener.kinds)
        for terms, expected in (
            (order("pairs"), Code.STRATEGY_UNKNOWN),
            (order("mean", "2"), Code.STRATEGY_UNKNOWN),
            (order("mean", None), Code.STRATEGY_UNKNOWN),
            (order("trend"), Code.STRATEGY_DISABLED),
        ):
            for wait_s in (0, 1):  # the short way and the long one
                assert code(await place(stage, terms, wait_s)) is expected
        await stage.until(lambda: len(stage.listener.kinds) == before + 8)
        assert set(stage.listener.kinds[before:]) == {"use_refused"}

        assert isinstance(await place(stage, order("mean")), Answer)
        assert isinstance(await place(stage, order(None)), Answer)
        stage.registered.clear()
        assert isinstance(await place(stage, order("pairs")), Answer)


async def test_a_disabled_strategy_replaces_nothing_cancels_and_its_keys_tell_what_they_bought() -> None:
    async with Stage() as stage:
        stage.registered.update(LISTED)
        placed = await stage.gate.place(TRADER, order("mean"), key="key-of-the-strategy", correlation="t")
        assert isinstance(placed, Answer)
        await stage.until(lambda: stage.status(placed.order_id) == "working")
        ended = Strategy("test", "mean", "1", "user:ann", enabled=False)
        stage.registered.update(by_tenant([ended]))

        replaced = await stage.gate.replace(
            TRADER,
            placed.order_id,
            quantity=Decimal(2),
            limit_price=None,
            stop_price=None,
            key=stage.key(),
            correlation="t",
        )
        assert code(replaced) is Code.STRATEGY_DISABLED
        again = await stage.gate.place(TRADER, order("mean"), key="key-of-the-strategy", correlation="t")
        assert isinstance(again, Answer)
        assert again.replayed
        canceled = await stage.gate.cancel(TRADER, placed.order_id, key=stage.key(), correlation="t")
        assert isinstance(canceled, Answer)


async def test_a_group_is_asked_about_when_it_is_placed() -> None:
    async with Stage() as stage:
        stage.registered.update(LISTED)

        async def group(strategy: str) -> GroupAnswer | Refusal:
            leg = Leg(role=Role.TRAIL, side=Side.SELL, type=LegType.TRAILING_STOP, trail_amount=Decimal(5))
            terms = GroupTerms(
                account=ACCOUNT,
                kind=GroupKind.TRAILING_STOP,
                symbol=ES,
                quantity=Decimal(1),
                legs=(leg,),
                strategy=strategy,
                strategy_version="1",
            )
            return await stage.node.groups.place(TRADER, terms, key=stage.key(), correlation="t")

        assert code(await group("trend")) is Code.STRATEGY_DISABLED
        assert isinstance(await group("mean"), GroupAnswer)
