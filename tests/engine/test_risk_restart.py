"""What a control refuses it refuses after a restart as well: what it goes by is journalled, or set again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

import msgspec
import pytest

from ordergate.core.accounts.breaks import SEVERITY, Nature
from ordergate.core.accounts.events import BreakOpened
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.risk.judge import PRECEDENCE
from ordergate.engine.answering.answers import Answer
from tests.engine.killing import engage_anyhow
from tests.engine.stage import ACCOUNT, ES, START, TRADER, Stage

HOUSE: Final[Mapping[str, object]] = {
    "max_order_quantity": "100",
    "max_order_notional": "100000000",
    "max_long": "1000",
    "max_short": "1000",
    "collar_percent": "10",
    "initial_margin": "1",
}
DAY: Final = {"zone": "UTC", "ends_at": "17:00"}
ORDER: Final = Terms(
    account=ACCOUNT,
    symbol=ES,
    side=Side.BUY,
    type=OrderType.LIMIT,
    quantity=Decimal(1),
    limit_price=Decimal(4700),
    time_in_force=TimeInForce.GTC,
)


class Case(NamedTuple):
    """Under these limits, after `before`, the order is refused by the control."""

    limits: Mapping[str, object]
    order: Terms = ORDER
    before: Callable[[Stage], Awaitable[object]] | None = None


def one(**changes: Any) -> Terms:
    return msgspec.structs.replace(ORDER, **changes)


def of_es(**changes: object) -> dict[str, object]:
    return {"instruments": {"ESH4": {**HOUSE, **changes}}}


async def another(stage: Stage) -> None:
    await stage.accepted()


async def at_a_price_that_runs_away(stage: Stage) -> None:
    await stage.accepted(limit="4795")
    stage.price(Decimal(4900))


async def killed(stage: Stage) -> None:
    await engage_anyhow(stage)


async def sold(stage: Stage) -> None:
    await stage.accepted(side=Side.SELL, limit="4810")


async def broken(stage: Stage) -> None:
    opened = BreakOpened(
        account=ACCOUNT,
        at=stage.clock.now(),
        break_id="brk-1",
        nature=Nature.EGRESS,
        severity=SEVERITY[Nature.EGRESS],
        subject="an order",
        ours="this",
        theirs="that",
        detail="what was about to leave is not what was approved",
    )
    await stage.lane.record([opened], correlation="test").committed


RESTRICTED: Final = {
    "as_of": START.isoformat(), "source": "desk", "max_age_hours": 24, "symbols": {"ESH4": "restricted"},
}  # fmt: skip
CASES: Final[Mapping[str, Case]] = {
    "R01": Case({}, before=killed),
    "R02": Case({"enabled": False}),
    "R03": Case({"order_types": ["market"]}),
    "R04": Case({"restricted": RESTRICTED}),
    "R05": Case({}, one(limit_price=Decimal("4700.10"))),
    "R06": Case({}, one(quantity=Decimal(101))),
    "R07": Case(of_es(max_order_notional="239999")),
    "R08": Case({}, one(limit_price=Decimal("5280.25"))),
    "R09": Case(
        {"drift_window_s": "60", **of_es(drift_percent="1")},
        one(limit_price=Decimal(4900)),
        at_a_price_that_runs_away,
    ),
    "R10": Case(of_es(market_spread_percent="0"), one(type=OrderType.MARKET, limit_price=None)),
    "R11": Case(of_es(max_long="1"), before=another),
    "R12": Case({"max_gross_exposure": "300000"}, before=another),
    "R13": Case(of_es(initial_margin="600000"), before=another),
    "R14": Case({"max_open_orders": 1}, before=another),
    "R15": Case({"message_windows": [[1, 3600]]}, before=another),
    "R16": Case({"duplicate_window_s": "60"}, before=another),
    "R18": Case({"losses": {"max_trades": 1}, "trading_day": DAY}, before=another),
    "R19": Case(
        of_es(max_volume_percent="10", average_daily_volume="10", average_daily_volume_at=START.isoformat()),
        before=another,
    ),
    "R21": Case({"self_match_refused": True}, one(limit_price=Decimal(4810)), sold),
    "R22": Case({"trading_day": {**DAY, "flatten_by": "14:00"}}),
    "R25": Case({}, before=broken),
    "R27": Case({"canary": {"days": 5, "percent": "1"}}, one(quantity=Decimal(2))),
    "R28": Case({"identity_required": True}),
}


def test_every_control_of_the_catalogue_is_asked() -> None:
    assert list(CASES) == [control.id for control in PRECEDENCE]


@pytest.mark.parametrize("control", CASES)
async def test_a_control_refuses_after_a_restart_what_it_refused_before(control: str) -> None:
    case = CASES[control]
    async with Stage(limits=case.limits) as stage:
        if case.before is not None:
            await case.before(stage)
        before = await refused(stage, case.order)
        assert list(before) == [control]
        await stage.restart()
        assert await refused(stage, case.order) == before


async def refused(stage: Stage, order: Terms) -> dict[str, str]:
    """The controls that say no, each with its reason, once everything has been valued."""
    await stage.clock.move(1.25)
    answer = await stage.gate.place(TRADER, order, key=stage.key(), correlation="test")
    assert isinstance(answer, Answer), answer
    return {no.control: no.reason for no in answer.failed}
