"""The auditor's table of steps can fail: each life here has one event too many, and the others have none."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, get_args

import msgspec
import pytest

from ordergate.core.ids import AccountId, OrderId, Symbol
from ordergate.core.orders import events as e
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.simulation.invariants.steps import RULES, LegalSteps, Life

ORDER = OrderId("P-01HZX3K9QW5V7M2N4B")
TERMS = Terms(
    account=AccountId("P-A"),
    symbol=Symbol("ESH4"),
    side=Side.BUY,
    type=OrderType.LIMIT,
    quantity=Decimal(3),
    limit_price=Decimal(4700),
    time_in_force=TimeInForce.DAY,
)
SAID: dict[str, Any] = {
    "order_id": ORDER,
    "at": datetime(2024, 3, 4, tzinfo=UTC),
    "terms": TERMS,
    "quantity": Decimal(1),
    "price": Decimal(4700),
    "version": 2,
    "revision": 1,
    "failed": (),
    "executions": (),
    "resolution": e.Resolution.WORKING,
}


def event(word: str) -> e.OrderEvent:
    """An event of this kind; `OrderReplaced 3` is of version 3."""
    name, _, version = word.partition(" ")
    kind: type[e.OrderEvent] = getattr(e, name)
    fields = msgspec.structs.fields(kind)
    given = {one.name: SAID.get(one.name, "x") for one in fields if one.required or one.name == "revision"}
    return kind(**(given | ({"version": int(version)} if version else {})))


def wrongs(life: str) -> list[str]:
    """What is wrong with a life, event by event."""
    lived = Life()
    return [wrong for word in life.split(", ") if (wrong := lived.say(event(word))) is not None]


WORKING = "OrderAccepted, OrderSent, OrderAcknowledged"


@pytest.mark.parametrize(
    "life",
    [
        "OrderDenied",
        "OrderHeld, OrderDenied",
        "OrderHeld, HeldReplaced, ReplaceDenied, OrderAccepted, OrderSent, OrderAcknowledged, OrderFilled",
        "OrderHeld, CancelRequested, OrderCanceled",
        f"{WORKING}, OrderPartiallyFilled, OrderFilled, ExecutionBusted, OrderReopened, OrderFilled",
        f"{WORKING}, CancelRequested, OrderSent, OrderCanceled, OrderPartiallyFilled, CancelRejected",
        f"{WORKING}, CancelRequested, CancelRejected, CancelRequested, OrderCanceled",
        f"{WORKING}, ReplaceRequested, OrderSent, OrderReplaced, ReplaceRequested 3, ReplaceRejected 3",
        f"{WORKING}, ReplaceRequested, OrderFilled, OrderReplaced, OrderFilled",
        f"{WORKING}, ReplaceRequested, ReplaceRejected, OrderReplaced",
        "OrderAccepted, DispatchStarted, OutcomeUnknown, OrderQuarantined, OrderResolved, OrderAcknowledged",
        "OrderAccepted, OutcomeUnknown, DispatchStarted, OrderRejected, OrderAcknowledged, OrderExpired",
        "OrderAdopted, OrderPartiallyFilled, ExecutionCorrected, OrderCompleted, OutcomeUnknown",
    ],
)
def test_a_life_that_happens_is_legal(life: str) -> None:
    assert wrongs(life) == []


@pytest.mark.parametrize(
    ("life", "wrong"),
    [
        ("OrderAcknowledged", "OrderAcknowledged before its beginning"),
        ("OrderAccepted, OrderAccepted", "OrderAccepted begins what has begun"),
        ("OrderHeld, OrderAccepted, OrderAccepted", "OrderAccepted begins what has begun"),
        ("OrderHeld, OrderSent", "OrderSent while it is kept"),
        ("OrderHeld, OrderAcknowledged", "OrderAcknowledged while it is kept"),
        ("OrderAccepted, HeldReplaced", "HeldReplaced while it is open"),
        ("OrderDenied, OrderSent", "OrderSent after OrderDenied"),
        ("OrderDenied, OrderFilled", "OrderFilled after OrderDenied"),
        (f"{WORKING}, OrderReplaced", "OrderReplaced without a request of that version"),
        (
            f"{WORKING}, ReplaceRequested, OrderReplaced 3",
            "OrderReplaced without a request of that version",
        ),
        (f"{WORKING}, ReplaceRejected", "ReplaceRejected without a request of that version"),
        (f"{WORKING}, CancelRejected", "CancelRejected without a request"),
        (f"{WORKING}, CancelRequested, CancelRequested", "CancelRequested without an answer before"),
        (f"{WORKING}, DispatchStarted", "DispatchStarted without anything to say to the broker"),
        (f"{WORKING}, OrderQuarantined", "OrderQuarantined without a doubt"),
        (f"{WORKING}, OrderResolved", "OrderResolved without a doubt"),
        (f"{WORKING}, OrderReopened", "OrderReopened while it is open"),
        (f"{WORKING}, OrderCanceled, OrderAcknowledged", "OrderAcknowledged after OrderCanceled"),
        (f"{WORKING}, OrderExpired, OrderReplaced", "OrderReplaced after OrderExpired"),
        (
            f"{WORKING}, OrderCanceled, OrderFilled, OrderAcknowledged",
            "OrderAcknowledged after OrderCanceled",
        ),
        (f"{WORKING}, OrderFilled, OrderAcknowledged", "OrderAcknowledged after OrderFilled"),
        (f"{WORKING}, OrderFilled, CancelRequested", "CancelRequested after OrderFilled"),
        (f"{WORKING}, OrderFilled, OrderCompleted", "OrderCompleted after OrderFilled"),
        (f"{WORKING}, OrderCanceled, OrderReopened", "OrderReopened after OrderCanceled"),
        (f"{WORKING}, OrderCanceled, OrderCanceled", "OrderCanceled after OrderCanceled"),
        (f"{WORKING}, OrderCanceled, ReplaceDenied", "ReplaceDenied after OrderCanceled"),
        ("OrderAccepted, ReplaceRequested", "ReplaceRequested without an order to replace"),
        (
            f"{WORKING}, ReplaceRequested, ReplaceRequested 3",
            "ReplaceRequested without an order to replace",
        ),
        (
            f"{WORKING}, ReplaceRequested, OrderReplaced, ReplaceRequested 2",
            "ReplaceRequested without an order to replace",
        ),
        ("OrderAccepted, ExecutionCorrected", "ExecutionCorrected without any news of it"),
        ("OrderAccepted, ExecutionDuplicated", "ExecutionDuplicated without any news of it"),
    ],
)
def test_a_step_that_may_not_come_is_said(life: str, wrong: str) -> None:
    assert wrongs(life) == [wrong]


def test_the_checker_says_which_order_and_what() -> None:
    said: list[tuple[str, str]] = []
    sight: Any = None  # it looks at nothing but the events
    checker = LegalSteps(sight, lambda invariant, what: said.append((invariant, what)))
    for word in f"{WORKING}, OrderCanceled, OrderAcknowledged".split(", "):
        linked: Any = SimpleNamespace(unit=SimpleNamespace(entries=[SimpleNamespace(event=event(word))]))
        checker.committed(linked, "gateway")
    assert said == [("I7", f"{ORDER}: OrderAcknowledged after OrderCanceled")]


def test_every_kind_of_event_begins_an_order_or_has_its_rule() -> None:
    begins = {"OrderAccepted", "OrderHeld", "OrderDenied", "OrderAdopted"}
    assert {kind.__name__ for kind in get_args(e.AnyOrderEvent)} == begins | RULES.keys()
