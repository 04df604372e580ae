"""Asks every control and gives the one answer.

All controls are evaluated, in the order of PRECEDENCE, and every failure is returned. A
control that cannot be answered has failed, and so has one that breaks: this is the one place
that sees to it. `Approved` is made here and nowhere else, so holding one proves that risk
was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from decimal import Decimal
from typing import Final, Generic, NamedTuple, TypeVar

import msgspec

from ordergate.core.orders.commands import PlaceOrder
from ordergate.core.orders.events import FailedControl
from ordergate.core.orders.order import Order, Replacement
from ordergate.core.orders.terms import Terms
from ordergate.core.risk import checks, freshness, holdings
from ordergate.core.risk.limits import config_hash
from ordergate.core.risk.overrides import lifted
from ordergate.core.risk.reasons import Reason
from ordergate.core.risk.reducing import reduces, reduces_as_replaced
from ordergate.core.risk.view import InputMissing, Proposal, RiskView

Check = Callable[[Proposal, RiskView], FailedControl | None]

T = TypeVar("T")


class Control(NamedTuple):
    """One control: its id in the catalogue, its name for people, and the check."""

    id: str
    name: str
    check: Check


PRECEDENCE: Final[tuple[Control, ...]] = (
    Control("R01", "kill switch", checks.refuse_when_killed),
    Control("R02", "enabled", checks.refuse_when_not_enabled),
    Control("R05", "well formed", checks.refuse_malformed),
    Control("R06", "order quantity", checks.refuse_large_quantity),
    Control("R07", "order value", checks.refuse_large_notional),
    Control("R08", "price collar", checks.refuse_price_off_market),
    Control("R11", "position", holdings.refuse_large_position),
    Control("R13", "buying power", holdings.refuse_without_funds),
    Control("R14", "open orders", holdings.refuse_many_open_orders),
    Control("R15", "message rate", checks.refuse_fast_messages),
    Control("R16", "duplicate", checks.refuse_duplicate),
    Control("R25", "stale account", freshness.refuse_when_stale),
)

# An order of a group repeats on purpose; one that only makes a position smaller risks nothing new.
OF_A_LEG: Final = tuple(one for one in PRECEDENCE if one.id != "R16")
OF_A_REDUCING_LEG: Final = tuple(one for one in PRECEDENCE if one.id in ("R01", "R02", "R05", "R15"))


class Approved(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """What every control let pass, under which limits and at which price of the market.

    `lifted` are the failures that an override let pass.
    """

    what: T
    config_hash: str
    reference_price: Decimal | None
    lifted: tuple[FailedControl, ...] = ()


class Denied(msgspec.Struct, frozen=True, gc=False):
    """What at least one control refused, with every failure."""

    failed: tuple[FailedControl, ...]
    config_hash: str


class Verdict(NamedTuple):
    """How one control judged: `failed` is None where it passed."""

    control: Control
    failed: FailedControl | None


def judge_place(command: PlaceOrder, view: RiskView) -> Approved[PlaceOrder] | Denied:
    return _judge(command, Proposal(terms=command.terms), view)


def judge_overridden(
    command: PlaceOrder, view: RiskView, controls: Collection[str]
) -> Approved[PlaceOrder] | Denied:
    """A new order that an override lets past these controls; every other one must pass."""
    return _judge(command, Proposal(terms=command.terms), view, lifting=controls)


def judge_replace(order: Order, asked: Replacement, view: RiskView) -> Approved[Replacement] | Denied:
    return _judge(asked, _replacing(order, asked), view)


def judge_leg(command: PlaceOrder, view: RiskView) -> Approved[PlaceOrder] | Denied:
    """An order of a group, whose own repetitions are no mistake: it was approved with its group."""
    what = _of_a_leg(reduces(command.terms, view))
    return _judge(command, Proposal(terms=command.terms), view, what)


def judge_leg_resize(order: Order, asked: Replacement, view: RiskView) -> Approved[Replacement] | Denied:
    """A leg that follows what there is to exit."""
    return _judge(asked, _replacing(order, asked), view, _of_a_leg(reduces_as_replaced(order, asked, view)))


def _of_a_leg(only_reduces: bool) -> tuple[Control, ...]:
    return OF_A_REDUCING_LEG if only_reduces else OF_A_LEG


def verdicts(terms: Terms, view: RiskView) -> tuple[Verdict, ...]:
    """How each control would judge a new order."""
    proposal = Proposal(terms=terms)
    return tuple(Verdict(control, evaluate(control, proposal, view)) for control in PRECEDENCE)


def evaluate(control: Control, proposal: Proposal, view: RiskView) -> FailedControl | None:
    """One control's answer. Whatever goes wrong inside it is a no."""
    try:
        return control.check(proposal, view)
    except InputMissing as missing:
        return missing.as_failure(control.id)
    except Exception as fault:  # fail closed: a control that breaks has not passed
        return FailedControl(
            control=control.id,
            reason=Reason.CONTROL_ERROR,
            detail=f"the control could not be evaluated ({type(fault).__name__})",
        )


def _judge(
    what: T,
    proposal: Proposal,
    view: RiskView,
    controls: tuple[Control, ...] = PRECEDENCE,
    *,
    lifting: Collection[str] = (),
) -> Approved[T] | Denied:
    failed = [no for control in controls if (no := evaluate(control, proposal, view)) is not None]
    let_pass = lifted(failed, lifting) if lifting else ()
    if len(failed) > len(let_pass):
        return Denied(tuple(failed), config_hash(view.limits))
    price = None if view.reference is None else view.reference.price
    return Approved(what, config_hash(view.limits), price, let_pass)


def _replacing(order: Order, asked: Replacement) -> Proposal:
    terms = msgspec.structs.replace(
        order.terms,
        quantity=asked.quantity,
        limit_price=asked.limit_price,
        stop_price=asked.stop_price,
    )
    return Proposal(terms=terms, standing=order, asked=asked)
