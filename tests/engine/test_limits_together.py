"""Sixty-four orders at once through the gate, together over a limit: what is accepted never passes it.

All of them are asked for before any is answered. In some trials the journal holds all of them back, and in
some of these their answers are lost, with or without what was written: everybody then asks again with the
same key. A part trades at once, so positions move beside what is open. The figures are kept where
ORDERGATE_RECORD names a folder.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from random import Random
from typing import Final, NamedTuple

import pytest

from ordergate.core.orders.events import OrderAccepted
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.refusals import Refusal
from ordergate.core.risk.holdings import needs_of
from ordergate.core.risk.recent import likeness
from ordergate.engine.answering.answers import Answer
from tests.dose import dose
from tests.engine.stage import ACCOUNT, ES, INSTRUMENT, TRADER, Stage, let_run
from tests.keeping import keep

ORDERS: Final = 64
TRIES_MAX: Final = 50
FALLEN: Final = Decimal(4789)
DAY: Final = {"zone": "America/Chicago", "ends_at": "17:00"}


class Fate(StrEnum):
    """What becomes of the commits of a trial."""

    CALM = "calm"
    HELD = "held"
    LOST = "lost"
    LOST_AFTER_WRITING = "lost after writing"


class Together(NamedTuple):
    """A control, limits under which it is the one that refuses, and what must stay within `most`."""

    control: str
    used: Callable[[Stage], Decimal | int]
    most: int
    account: Mapping[str, object] = {}
    instrument: Mapping[str, object] = {}


def _long(stage: Stage) -> Decimal:
    return stage.held(ES) + stage.lane.books.exposure.of(ES).buy_quantity


def _short(stage: Stage) -> Decimal:
    return stage.lane.books.exposure.of(ES).sell_quantity - stage.held(ES)


def _sides(stage: Stage) -> Decimal:
    return max(_long(stage), _short(stage))


def _open(stage: Stage) -> Decimal:
    opened = stage.lane.books.exposure.of(ES)
    return max(opened.buy_quantity, opened.sell_quantity)


def _gross(stage: Stage) -> Decimal:
    return stage.lane.books.valuation.own.gross


def _net(stage: Stage) -> Decimal:
    own = stage.lane.books.valuation.own
    return max(own.up, -own.down)


def _shared_net(stage: Stage) -> Decimal:
    firm = stage.lane.books.valuation.shared["firm"]
    return max(firm.up, -firm.down)


def _funds(stage: Stage) -> Decimal:
    books = stage.lane.books
    assert books.account is not None
    assert stage.seat.limits is not None
    needs = needs_of(books.account.position(ES), books.exposure.of(ES), INSTRUMENT, stage.seat.limits)
    return needs.position + needs.orders


def _trades(stage: Stage) -> int:
    profit, limits = stage.lane.books.profit, stage.seat.limits
    assert limits is not None
    assert limits.trading_day is not None
    return profit.of(limits.trading_day, stage.clock.now()).day.trades + len(profit.untraded)


def _accepted(stage: Stage) -> list[OrderAccepted]:
    """What is durable."""
    events = (entry.event for entry, _ in stage.journal.books[ACCOUNT].events)
    return [event for event in events if isinstance(event, OrderAccepted)]


def _alike(stage: Stage) -> int:
    return max(Counter(likeness(one.terms) for one in _accepted(stage)).values(), default=0)


WORTH: Final = 24_000_000  # a hundred contracts at 4 800, fifty each
CASES: Final = [
    Together("R11", _long, 100, instrument={"max_long": "100"}),
    Together("R11", _short, 100, instrument={"max_short": "100"}),
    Together("R12", _gross, WORTH, {"max_gross_exposure": str(WORTH)}),
    Together("R12", _net, WORTH // 2, {"max_net_exposure": str(WORTH // 2)}),
    Together("R12", _shared_net, WORTH // 2, {"shared_exposure": {"firm": {"max_net": str(WORTH // 2)}}}),
    Together("R13", _funds, 1_000_000, instrument={"initial_margin": "10000"}),
    Together("R14", lambda stage: stage.lane.books.exposure.count, 20, {"max_open_orders": 20}),
    Together("R14", lambda stage: stage.lane.books.exposure.value, WORTH, {"max_open_notional": str(WORTH)}),
    Together("R15", lambda stage: len(_accepted(stage)), 20, {"message_windows": [[20, 86_400]]}),
    Together("R16", _alike, 1, {"duplicate_window_s": "600"}),
    Together("R18", _trades, 20, {"losses": {"max_trades": 20}, "trading_day": DAY}),
    Together("R19", _open, 100, instrument={
        "max_volume_percent": "10", "average_daily_volume": "1000",
        "average_daily_volume_at": "2026-01-05T14:00:00Z",
    }),
    Together("R27", _sides, 100, {"canary": {"days": 5, "percent": "50"}},
             {"max_long": "200", "max_short": "200"}),
]  # fmt: skip


def _limits(account: Mapping[str, object], instrument: Mapping[str, object]) -> dict[str, object]:
    plain = {
        "max_order_quantity": "100",
        "max_order_notional": "100000000",
        "max_long": "1000",
        "max_short": "1000",
        "collar_percent": "10",
        "initial_margin": "1",
    }
    return {**account, "instruments": {ES: {**plain, **instrument}}}


def _asked(chance: Random) -> Terms:
    """Most rest; one in five trades as soon as it is there."""
    side, away = chance.choice((Side.BUY, Side.SELL)), 0 if chance.random() < 0.2 else chance.randint(2, 9)
    return Terms(
        account=ACCOUNT,
        symbol=ES,
        side=side,
        type=OrderType.LIMIT,
        quantity=Decimal(chance.randint(1, 9)),
        limit_price=Decimal(4800 - side.sign * away),
        time_in_force=TimeInForce.GTC,
    )


async def _until_answered(stage: Stage, terms: Terms) -> Answer:
    """As a client does: asks with the same key until it knows."""
    key = stage.key()
    for _ in range(TRIES_MAX):
        answer = await stage.gate.place(TRADER, terms, key=key, correlation="test")
        if isinstance(answer, Answer):
            return answer
        assert isinstance(answer, Refusal)
        await stage.clock.sleep(1)
    raise AssertionError(f"{key} has had no answer")


async def _all_at_once(
    stage: Stage, chance: Random, fate: Fate, amid: Callable[[], None] | None = None
) -> list[Answer]:
    """Everybody's answer. `amid` happens after some of them have been decided, and before the others."""
    if fate is not Fate.CALM:
        stage.journal.hold()
    turn = chance.randint(1, ORDERS - 1)
    asking = []
    for number in range(ORDERS):
        if amid is not None and number == turn:
            asyncio.get_running_loop().call_soon(amid)
        asking.append(asyncio.create_task(_until_answered(stage, _asked(chance))))
    await let_run()
    if fate in (Fate.LOST, Fate.LOST_AFTER_WRITING):
        stage.journal.cut(written=fate is Fate.LOST_AFTER_WRITING)
    stage.journal.release()
    await stage.until(lambda: all(one.done() for one in asking))
    return [await one for one in asking]


@pytest.fixture(scope="module")
def kept() -> Iterator[list[dict[str, object]]]:
    """What each control came to; written down at the end where somebody wants it."""
    found: list[dict[str, object]] = []
    yield found
    keep("together", {"orders_per_trial": ORDERS, "controls": found})


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.control} up to {case.most}")
async def test_what_is_accepted_at_once_never_adds_up_to_more_than_the_limit(
    case: Together, kept: list[dict[str, object]]
) -> None:
    trials, most_used, fates = dose(4, 770, short=1), Decimal(0), Counter[str]()
    reasons: Counter[str] = Counter()
    for number in range(trials):
        chance, fate = Random(f"{case.control} {case.used.__name__} {number}"), list(Fate)[number % 4]
        async with Stage(limits=_limits(case.account, case.instrument)) as stage:
            used: list[Decimal | int] = []
            stage.listener.on("order_accepted", lambda used=used, stage=stage: used.append(case.used(stage)))  # type: ignore[misc]  # bound now
            answers = await _all_at_once(stage, chance, fate)
            used.append(case.used(stage))
            accepted = [one.order_id for one in answers if not one.failed]
            await stage.until(lambda stage=stage, ids=accepted: stage.placed_at_exchange() == len(ids))  # type: ignore[misc]  # bound now
            assert set(accepted) == {one.order_id for one in _accepted(stage)}
            reasons.update(no.control for one in answers for no in one.failed)
            fates[fate] += 1
            most_used = max(most_used, *map(Decimal, used))
        assert most_used <= case.most
    assert set(reasons) == {case.control}
    kept.append({
        "control": case.control,
        "limits": {**case.account, **{f"instrument.{name}": its for name, its in case.instrument.items()}},
        "trials": trials,
        "journal": dict(fates),
        "orders": trials * ORDERS,
        "refused": reasons[case.control],
        "most": case.most,
        "most_used": str(most_used),
        "breaches": 0,
    })  # fmt: skip


async def test_once_a_loss_is_reached_nothing_more_is_opened_by_any_of_them(
    kept: list[dict[str, object]],
) -> None:
    """The market falls in their midst: what was judged by the price after it only makes smaller."""
    limits = _limits({"losses": {"max_daily_loss": "5000"}, "trading_day": DAY}, {})
    trials, refused, fates = dose(4, 770, short=1), 0, Counter[str]()
    for number in range(trials):
        chance, fate = Random(f"R18 money {number}"), list(Fate)[number % 4]
        async with Stage(limits=limits) as stage:
            await stage.accepted(side=Side.BUY, quantity=10, limit="4800")
            await stage.until(lambda stage=stage: stage.held(ES) == 10)  # type: ignore[misc]  # bound now
            answers = await _all_at_once(stage, chance, fate, lambda stage=stage: stage.price(FALLEN))  # type: ignore[misc]  # bound now
            after = [one.terms for one in _accepted(stage) if one.reference_price == FALLEN]
            assert all(one.side is Side.SELL for one in after)
            assert sum(one.quantity for one in after) <= 10
            reasons = {f"{no.control} {no.reason}" for one in answers for no in one.failed}
            assert reasons == {"R18 daily-loss"}
            refused += sum(1 for one in answers if one.failed)
            fates[fate] += 1
    assert refused
    kept.append({
        "control": "R18",
        "limits": {"losses": {"max_daily_loss": "5000"}},
        "trials": trials,
        "journal": dict(fates),
        "orders": trials * ORDERS,
        "refused": refused,
        "breaches": 0,
    })  # fmt: skip
