"""Outside its session an order is kept, survives everything, and leaves once, on a new approval, or never."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from ordergate.brokers.paper.fates import Call, Fate, always_delivered
from ordergate.core.ids import OrderId, Symbol
from ordergate.core.orders import events as e
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.refusals import Refusal
from ordergate.core.risk.trading_state import Grade, Level
from ordergate.core.risk.view import MarketHours
from ordergate.engine.accounts.snapshots import SnapshotPace
from ordergate.engine.answering.answers import Answer
from ordergate.engine.stopping.trips import TripPolicy
from ordergate.wiring.market_hours import Sessions
from tests.engine.killing import engage
from tests.engine.stage import ACCOUNT, ES, START, TRADER, Stage, let_run

OPENS = START + timedelta(seconds=60)
CLOSES = OPENS + timedelta(seconds=60)
TOMORROW = OPENS + timedelta(seconds=600)
SPANS = (
    (START - timedelta(hours=2), START - timedelta(hours=1)),
    (OPENS, CLOSES),
    (TOMORROW, TOMORROW + timedelta(seconds=60)),
    (TOMORROW + timedelta(days=9), TOMORROW + timedelta(days=10)),
)
QUEUE = {"hours": "session", "outside_session": "queue", "reference_price_max_age_s": "5"}


class House(Stage):
    """A stage whose market is closed, and opens in a minute, for a minute."""

    def __init__(
        self, *, spans: Sequence[tuple[datetime, datetime]] = SPANS, limits: Any = None, **more: Any
    ) -> None:
        sessions = Sessions(spans)

        def hours(symbol: Symbol, now: datetime) -> MarketHours | None:
            return sessions.at(now) if symbol == ES else None

        super().__init__(limits={**QUEUE, **(limits or {})}, hours=hours, **more)

    async def at(self, moment: datetime, *, price: Decimal | None = Decimal(4800)) -> None:
        """Time goes on until then; the market has a price then, unless it has none."""
        await self.until(lambda: self.seat.synced)
        left = (moment - self.clock.now()).total_seconds()
        if left > 0:
            await self.clock.move(left)
        if price is not None:
            self.price(price)
        await self.clock.move(0.25)
        await let_run()

    async def ask(
        self,
        *,
        life: TimeInForce = TimeInForce.DAY,
        quantity: int = 1,
        limit: str | None = "4700",
        key: str | None = None,
        strategy: str | None = None,
    ) -> Answer | Refusal:
        terms = Terms(
            account=ACCOUNT,
            symbol=ES,
            side=Side.BUY,
            type=OrderType.MARKET if limit is None else OrderType.LIMIT,
            quantity=Decimal(quantity),
            limit_price=None if limit is None else Decimal(limit),
            time_in_force=life,
            strategy=strategy,
        )
        return await self.gate.place(TRADER, terms, key=key or self.key(), correlation="test")

    async def kept(self, **asked: Any) -> OrderId:
        answer = await self.ask(**asked)
        assert isinstance(answer, Answer), answer
        assert not answer.failed, answer.failed
        assert self.status(answer.order_id) == "held"
        return answer.order_id

    async def kinds(self, order_id: OrderId) -> list[str]:
        return [
            type(stored.event).__name__
            async for stored in self.journal.read(ACCOUNT, after=0)
            if isinstance(stored.event, e.OrderEvent) and stored.event.order_id == order_id
        ]


async def test_what_is_kept_shows_when_it_leaves_and_leaves_then_on_one_commit() -> None:
    async with House() as house:
        answer = await house.ask()
        assert isinstance(answer, Answer)
        told = house.body(answer)
        assert (told["status"], told["held_until"]) == ("held", "2026-01-05T15:01:00Z")
        assert house.listener.frames_of("order_held")[0]["order"]["held_until"] == "2026-01-05T15:01:00Z"
        await house.at(OPENS - timedelta(seconds=1))
        assert (house.status(answer.order_id), house.placed_at_exchange()) == ("held", 0)
        house.listener.on("order_accepted", lambda: placed_by_then.append(house.placed_at_exchange()))
        placed_by_then: list[int] = []
        await house.at(OPENS)
        await house.until(lambda: house.status(answer.order_id) == "working")
        assert placed_by_then == [0]
        assert house.placed_at_exchange() == 1
        assert await house.kinds(answer.order_id) == ["OrderHeld", "OrderAccepted", "OrderAcknowledged"]
        await house.at(OPENS + timedelta(seconds=30))
        assert house.placed_at_exchange() == 1


@pytest.mark.parametrize(
    ("limits", "asked", "control"),
    [
        ({"outside_session": "reject"}, {}, "R22"),
        ({}, {"life": TimeInForce.IOC}, "R22"),
        ({}, {"life": TimeInForce.FOK}, "R22"),
        ({}, {"quantity": 101}, "R06"),
        ({}, {"limit": "5800"}, "R08"),
        ({"sides": ["sell"]}, {}, "R03"),
        ({"max_open_orders": 0}, {}, "R14"),
    ],
)
async def test_what_is_not_to_be_kept_is_refused_as_ever(limits: Any, asked: Any, control: str) -> None:
    async with House(limits=limits) as house:
        answer = await house.ask(**asked)
        assert isinstance(answer, Answer)
        assert control in [no.control for no in answer.failed]


async def test_hours_that_are_not_known_keep_nothing() -> None:
    async with House(spans=SPANS[:1]) as house:
        answer = await house.ask()
        assert isinstance(answer, Answer)
        assert "hours-unknown" in [no.reason for no in answer.failed]


async def test_the_last_price_of_a_closed_market_is_good_enough_to_be_kept_and_not_to_leave() -> None:
    async with House() as house:
        await house.at(START + timedelta(seconds=30), price=None)
        order = await house.kept(limit=None)
        await house.at(OPENS, price=None)
        assert house.status(order) == "held"
        await house.at(OPENS + timedelta(seconds=10))
        await house.until(lambda: house.status(order) == "filled")


async def test_what_is_kept_is_reserved_and_another_order_beside_it_is_judged_so() -> None:
    async with House(limits={"max_open_orders": 1}) as house:
        order = await house.kept()
        assert house.lane.books.exposure.held(order) is not None
        second = await house.ask(limit="4701")
        assert isinstance(second, Answer)
        assert [no.control for no in second.failed] == ["R14"]
        await house.at(OPENS)  # at its limit, and not over it: it is not counted twice
        await house.until(lambda: house.status(order) == "working")


async def test_what_risk_refuses_when_it_is_to_leave_is_denied_and_never_sent() -> None:
    async with House() as house:
        order = await house.kept()
        await house.at(OPENS, price=Decimal(4200))  # 4700 buys far above the market now
        assert house.status(order) == "denied"
        books = house.lane.books.order(order)
        assert books is not None
        assert [no.control for no in books.failed] == ["R08"]
        assert await house.kinds(order) == ["OrderHeld", "OrderDenied"]
        assert house.placed_at_exchange() == 0
        assert house.lane.books.exposure.held(order) is None


async def test_a_stop_keeps_it_and_what_is_stopped_hard_is_canceled() -> None:
    async with House() as house:
        order = await house.kept()
        await engage(house, Level.INSTRUMENT, ES, Grade.BLOCK_NEW)
        await house.at(OPENS)
        assert (house.status(order), house.placed_at_exchange()) == ("held", 0)
        await engage(house, Level.INSTRUMENT, ES, Grade.CANCEL_ALL)
        await house.until(lambda: house.status(order) == "canceled")
        assert house.placed_at_exchange() == 0


async def test_what_could_not_be_proved_is_not_let_go() -> None:
    async with House() as house:
        order = await house.kept()
        house.unproved = "the records cannot be proved"
        await house.at(OPENS)
        assert (house.status(order), house.placed_at_exchange()) == ("held", 0)
        house.unproved = None
        await house.until(lambda: house.status(order) == "working")


async def test_a_cancel_ends_it_without_a_word_to_the_broker() -> None:
    told: list[Call] = []

    def noted(call: Call) -> Fate:
        told.append(call)
        return always_delivered(call)

    async with House(fate=noted) as house:
        order = await house.kept()
        answer = await house.gate.cancel(TRADER, order, key=house.key(), correlation="test")
        assert isinstance(answer, Answer)
        await house.until(lambda: house.status(order) == "canceled")
        assert await house.kinds(order) == ["OrderHeld", "CancelRequested", "OrderCanceled"]
        await house.at(OPENS)
        assert [call for call in told if call is not Call.QUERY] == []
        assert house.placed_at_exchange() == 0


async def test_no_price_of_a_closed_market_stops_nothing_that_is_only_kept() -> None:
    opens = START + timedelta(seconds=1000)
    spans = (*SPANS[:1], (opens, opens + timedelta(seconds=60)), *SPANS[-1:])
    async with House(spans=spans, trips=TripPolicy(stale_prices_s=120)) as house:
        await house.kept()
        await house.at(START + timedelta(seconds=300), price=None)
        await house.at(START + timedelta(seconds=310), price=None)
        assert not house.gate.kill_state().engaged
        await house.kept(limit="4701")


async def test_it_may_be_replaced_meanwhile_and_leaves_as_it_is_then() -> None:
    async with House() as house:
        order = await house.kept()
        changes: dict[str, Any] = {"quantity": Decimal(3), "limit_price": Decimal(4710), "stop_price": None}
        answer = await house.gate.replace(TRADER, order, key=house.key(), correlation="test", **changes)
        assert isinstance(answer, Answer)
        assert not answer.failed
        held = house.lane.books.exposure.held(order)
        assert held is not None
        assert held.quantity == 3
        too_much: dict[str, Any] = {**changes, "quantity": Decimal(101)}
        refused = await house.gate.replace(TRADER, order, key=house.key(), correlation="test", **too_much)
        assert isinstance(refused, Answer)
        assert [no.control for no in refused.failed] == ["R06"]
        await house.at(OPENS)
        await house.until(lambda: house.status(order) == "working")
        (placed,) = house.exchange.orders()
        assert (placed.terms.quantity, placed.terms.limit_price) == (Decimal(3), Decimal(4710))
        assert await house.kinds(order) == [
            "OrderHeld",
            "HeldReplaced",
            "ReplaceDenied",
            "OrderAccepted",
            "OrderAcknowledged",
        ]


async def test_a_day_order_belongs_to_the_session_it_was_kept_for_and_another_to_any() -> None:
    async with House() as house:
        day = await house.kept()
        until_canceled = await house.kept(life=TimeInForce.GTC, limit="4701")
        await engage(house, Level.INSTRUMENT, ES, Grade.BLOCK_NEW)
        await house.at(CLOSES - timedelta(seconds=1))
        assert {house.status(day), house.status(until_canceled)} == {"held"}
        await house.at(CLOSES)
        assert (house.status(day), house.status(until_canceled)) == ("expired", "held")
        assert house.placed_at_exchange() == 0


async def test_a_gateway_that_was_away_for_the_session_sends_no_day_order_into_the_next() -> None:
    async with House() as house:
        day = await house.kept()
        until_canceled = await house.kept(life=TimeInForce.GTC, limit="4701")
        await house.crash()
        await house.clock.move((TOMORROW - START).total_seconds() + 1)
        await house.start()
        await house.at(TOMORROW)
        await house.until(lambda: house.status(until_canceled) == "working")
        assert house.status(day) == "expired"
        assert house.placed_at_exchange() == 1


@pytest.mark.parametrize("snapshots", [None, SnapshotPace(events=1, look_s=0.5)])
async def test_it_survives_a_crash_before_the_opening_and_the_reconciler_asks_nothing_of_it(
    snapshots: SnapshotPace | None,
) -> None:
    async with House(snapshots=snapshots) as house:
        order = await house.kept()
        await house.clock.move(1)
        await house.restart()
        house.asked.clear()
        await house.at(START + timedelta(seconds=50))
        house.seat.suspect("the test")
        await house.clock.move(1)
        assert [question for question in house.asked if question.startswith("find")] == []
        assert house.status(order) == "held"
        assert list(house.lane.books.waiting_orders()) == []
        assert house.lane.books.exposure.held(order) is not None
        await house.at(OPENS)
        await house.until(lambda: house.status(order) == "working")
        assert house.placed_at_exchange() == 1
        assert (await house.kinds(order)).count("OrderAccepted") == 1


@pytest.mark.parametrize("after", ["at once", "after a restart"])
async def test_what_is_kept_is_not_to_be_repeated_either(after: str) -> None:
    async with House(limits={"duplicate_window_s": "60"}) as house:
        order = await house.kept()
        await house.clock.move(1)
        if after == "after a restart":
            await house.restart()
        again = await house.ask()
        assert isinstance(again, Answer)
        assert [no.control for no in again.failed] == ["R16"]
        await house.at(OPENS)
        await house.until(lambda: house.status(order) == "working")


async def test_a_crash_on_the_release_s_commit_sends_it_once() -> None:
    """Whatever of the release was durable when the gateway died, the broker gets one order."""
    died_with: set[str] = set()
    for ticks in range(40):
        async with House() as house:
            order = await house.kept()
            await house.at(OPENS - timedelta(seconds=0.75))
            house.price(Decimal(4800))
            moving = asyncio.create_task(house.clock.move(0.75))
            for _ in range(ticks):
                await asyncio.sleep(0)
            await house.crash()
            await moving
            died_with.add(f"{(await house.kinds(order))[-1]}, {house.placed_at_exchange()} sent")
            await house.start()
            house.price(Decimal(4800))
            await working(house, order)
            assert house.placed_at_exchange() == 1
            assert (await house.kinds(order)).count("OrderAccepted") == 1
    assert {"OrderHeld, 0 sent", "OrderAccepted, 0 sent"} <= died_with


async def working(house: House, order: OrderId) -> None:
    await house.until(lambda: house.status(order) == "working")


async def test_a_cancel_that_was_durable_before_a_crash_holds_after_it() -> None:
    async with House() as house:
        order = await house.kept()
        await house.gate.cancel(TRADER, order, key=house.key(), correlation="test")
        await house.restart()
        await house.at(OPENS)
        await house.until(lambda: house.status(order) == "canceled")
        assert house.placed_at_exchange() == 0


async def test_more_than_the_message_window_allows_leaves_little_by_little() -> None:
    async with House(limits={"message_windows": [[2, 10]]}) as house:
        orders = []
        for number in range(4):
            orders.append(await house.kept(limit=str(4700 + number)))
            await house.clock.move(10)
            house.price(Decimal(4800))
        await house.at(OPENS)
        assert house.placed_at_exchange() == 2
        for _ in range(20):
            await house.clock.move(1)
            house.price(Decimal(4800))
            await let_run()
        assert house.placed_at_exchange() == 4
        assert {house.status(order) for order in orders} == {"working"}


async def test_a_preview_passes_what_would_be_kept() -> None:
    async with House() as house:
        terms = Terms(
            account=ACCOUNT,
            symbol=ES,
            side=Side.BUY,
            type=OrderType.LIMIT,
            quantity=Decimal(1),
            limit_price=Decimal(4700),
            time_in_force=TimeInForce.DAY,
        )
        preview = await house.gate.preview(TRADER, terms)
        assert not isinstance(preview, Refusal)
        assert preview.would_be_accepted
        now = msgspec.structs.replace(terms, time_in_force=TimeInForce.IOC)
        preview = await house.gate.preview(TRADER, now)
        assert not isinstance(preview, Refusal)
        assert not preview.would_be_accepted


async def test_the_same_key_is_the_same_kept_order() -> None:
    async with House() as house:
        first, again = await house.ask(key="k" * 20), await house.ask(key="k" * 20)
        assert isinstance(first, Answer)
        assert isinstance(again, Answer)
        assert first.order_id == again.order_id
        assert house.lane.books.open_count == 1


async def test_what_a_strategy_left_for_the_next_session_waits_while_it_is_disabled() -> None:
    async with House() as house:
        order = await house.kept(strategy="trend")
        house.registered["default"] = {("trend", ""): False}
        await house.at(OPENS)
        assert (house.status(order), house.placed_at_exchange()) == ("held", 0)
        house.registered["default"] = {("trend", ""): True}
        await house.until(lambda: house.status(order) == "working")
