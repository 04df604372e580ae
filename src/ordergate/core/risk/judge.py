"""Asks every control and gives the one answer.

All controls are evaluated, in the order of PRECEDENCE, and every failure is returned, the hard
ones first. A control that cannot be answered has failed, and so has one that breaks: this is the
one place that sees to it. What the limits keep in shadow is evaluated and noted, and refuses
nothing. An answer that took too long is a no. `Approved` is made here and nowhere else, so holding
one proves that risk was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from typing import Final, Generic, NamedTuple, TypeVar

import msgspec

from ordergate.core.orders.commands import PlaceOrder
from ordergate.core.orders.events import FailedControl, Severity
from ordergate.core.orders.order import Order, Replacement, as_replaced
from ordergate.core.orders.terms import Terms
from ordergate.core.risk import (
    aggregates,
    checks,
    conduct,
    freshness,
    holdings,
    losses,
    market,
    permissions,
)
from ordergate.core.risk.limits import ADJUSTABLE, config_hash
from ordergate.core.risk.marketable import as_limit
from ordergate.core.risk.overrides import lifted
from ordergate.core.risk.reasons import Reason
from ordergate.core.risk.reducing import reduces, reduces_as_replaced
from ordergate.core.risk.view import InputMissing, Proposal, RiskView, reference_said

Check = Callable[[Proposal, RiskView], FailedControl | None]

T = TypeVar("T")

WITHIN_US: Final = 50_000
"""From when the view was put together; what it shows is not taken for the present after that."""

_NONE: Final = frozenset[str]()
_PRICES: Final = frozenset({"R07", "R08", "R09", "R12", "R13", "R14", "R19", "R27"})
_COUNTED: Final = frozenset({Reason.OPEN_ORDERS, Reason.VOLUME_SHARE, Reason.VOLUME_UNKNOWN})
_CONVERTS: Final = frozenset({"R07", "R12", "R13", "R14", "R18", "R19", "R27"})


class Control(NamedTuple):
    """One control: its id in the catalogue, its name for people, and the check."""

    id: str
    name: str
    check: Check


PRECEDENCE: Final[tuple[Control, ...]] = (
    Control("R01", "kill switch", checks.refuse_when_killed),
    Control("R02", "enabled", checks.refuse_when_not_enabled),
    Control("R03", "permissions", permissions.refuse_not_permitted),
    Control("R04", "restricted list", permissions.refuse_restricted),
    Control("R05", "well formed", checks.refuse_malformed),
    Control("R06", "order quantity", checks.refuse_large_quantity),
    Control("R07", "order value", checks.refuse_large_notional),
    Control("R08", "price collar", checks.refuse_price_off_market),
    Control("R09", "price drift", market.refuse_price_drift),
    Control("R10", "market order", market.refuse_blind_market_order),
    Control("R11", "position", holdings.refuse_large_position),
    Control("R12", "exposure", aggregates.refuse_large_exposure),
    Control("R13", "buying power", holdings.refuse_without_funds),
    Control("R14", "open orders", holdings.refuse_many_open_orders),
    Control("R15", "message rate", checks.refuse_fast_messages),
    Control("R16", "duplicate", checks.refuse_duplicate),
    Control("R18", "losses", losses.refuse_after_losses),
    Control("R19", "concentration", aggregates.refuse_concentrated),
    Control("R21", "self-match", conduct.refuse_self_match),
    Control("R22", "hours", market.refuse_outside_hours),
    Control("R25", "stale account", freshness.refuse_when_stale),
    Control("R27", "canary", conduct.refuse_large_newcomer),
    Control("R28", "identity", permissions.refuse_unidentified),
)

# What is kept for the next session is asked everything but the hours; when it leaves, everything but whether
# it repeats another: it would be compared with itself.
OF_A_HELD: Final = tuple(one for one in PRECEDENCE if one.id != "R22")
OF_A_RELEASE: Final = tuple(one for one in PRECEDENCE if one.id != "R16")

# An order of a group repeats on purpose; one that only makes a position smaller risks nothing new.
OF_A_LEG: Final = tuple(one for one in PRECEDENCE if one.id != "R16")
OF_A_REDUCING_LEG: Final = tuple(one for one in PRECEDENCE if one.id in ("R01", "R02", "R05", "R15"))


class Approved(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """What every control let pass, under which limits and at which price of the market.

    `noted` is what controls in shadow would have refused, `lifted` what an override let pass.
    """

    what: T
    config_hash: str
    reference_price: Decimal | None
    noted: tuple[FailedControl, ...] = ()
    lifted: tuple[FailedControl, ...] = ()


class Denied(msgspec.Struct, frozen=True, gc=False):
    """What at least one control refused, with every failure, the hard ones first."""

    failed: tuple[FailedControl, ...]
    config_hash: str
    noted: tuple[FailedControl, ...] = ()


class Verdict(NamedTuple):
    """How one control judged: `failed` is None where it passed. In shadow a failure refuses nothing."""

    control: Control
    failed: FailedControl | None
    shadow: bool = False


def judge_place(command: PlaceOrder, view: RiskView) -> Approved[PlaceOrder] | Denied:
    what, proposal = _alone(command, view)
    return _judge(what, proposal, view)


def judge_overridden(
    command: PlaceOrder, view: RiskView, controls: Collection[str]
) -> Approved[PlaceOrder] | Denied:
    """A new order that an override lets past these controls; every other one must pass."""
    what, proposal = _alone(command, view)
    return _judge(what, proposal, view, lifting=controls)


def judge_replace(order: Order, asked: Replacement, view: RiskView) -> Approved[Replacement] | Denied:
    return _judge(asked, _replacing(order, asked), view)


def judge_held(command: PlaceOrder, view: RiskView) -> Approved[PlaceOrder] | Denied:
    """An order to be kept until its market opens."""
    return _judge(command, Proposal(terms=command.terms), view, OF_A_HELD)


def judge_held_replace(order: Order, asked: Replacement, view: RiskView) -> Approved[Replacement] | Denied:
    """Other terms for one that is kept: nothing of it is at a broker, so they are judged as a new order's."""
    proposal = Proposal(terms=as_replaced(order.terms, asked))
    return _judge(asked, proposal, view, tuple(one for one in OF_A_HELD if one.id != "R16"))


def judge_release(command: PlaceOrder, view: RiskView) -> Approved[PlaceOrder] | Denied:
    """One that was kept, at the moment it is to leave."""
    return _judge(command, Proposal(terms=command.terms), view, OF_A_RELEASE)


def judge_leg(command: PlaceOrder, view: RiskView) -> Approved[PlaceOrder] | Denied:
    """An order of a group, whose own repetitions are no mistake: it was approved with its group."""
    what = _of_a_leg(reduces(command.terms, view))
    return _judge(command, Proposal(terms=command.terms), view, what)


def judge_leg_resize(order: Order, asked: Replacement, view: RiskView) -> Approved[Replacement] | Denied:
    """A leg that follows what there is to exit."""
    return _judge(asked, _replacing(order, asked), view, _of_a_leg(reduces_as_replaced(order, asked, view)))


def _of_a_leg(only_reduces: bool) -> tuple[Control, ...]:
    return OF_A_REDUCING_LEG if only_reduces else OF_A_LEG


def _alone(command: PlaceOrder, view: RiskView) -> tuple[PlaceOrder, Proposal]:
    """An order of no group, as it would leave: it can be another than it was asked as, and can wait."""
    converted = as_limit(command.terms, view)
    if converted is None:
        return command, Proposal(terms=command.terms, may_wait=True)
    as_it_leaves = msgspec.structs.replace(command, terms=converted)
    return as_it_leaves, Proposal(terms=converted, asked_as=command.terms, may_wait=True)


def verdicts_of_held(terms: Terms, view: RiskView) -> tuple[Verdict, ...]:
    """How each control would judge an order that is to be kept; the hours are what it is kept for."""
    return _verdicts(Proposal(terms=terms), view, OF_A_HELD)


def verdicts_of_release(terms: Terms, view: RiskView) -> tuple[Verdict, ...]:
    """How each control would judge one that was kept, at the moment it is to leave."""
    return _verdicts(Proposal(terms=terms), view, OF_A_RELEASE)


def verdicts_of_leg(terms: Terms, view: RiskView) -> tuple[Verdict, ...]:
    """How each control would judge an order of a group, at the moment it is to leave."""
    return _verdicts(Proposal(terms=terms), view, _of_a_leg(reduces(terms, view)))


def verdicts(terms: Terms, view: RiskView, *, asked_as: Terms | None = None) -> tuple[Verdict, ...]:
    """How each control would judge a new order; `asked_as` is of one that has been converted before."""
    converted = as_limit(terms, view)
    if converted is not None:
        terms, asked_as = converted, terms
    return _verdicts(Proposal(terms=terms, asked_as=asked_as, may_wait=True), view, PRECEDENCE)


def _verdicts(proposal: Proposal, view: RiskView, asked: tuple[Control, ...]) -> tuple[Verdict, ...]:
    """What is not asked passes."""
    shadow = _NONE if view.limits is None else view.limits.shadow
    said = {one.id: evaluate(one, proposal, view) for one in asked}
    return tuple(Verdict(one, said.get(one.id), one.id in shadow) for one in PRECEDENCE)


def evaluate(control: Control, proposal: Proposal, view: RiskView) -> FailedControl | None:
    """One control's answer. Whatever goes wrong inside it is a no."""
    try:
        failed = control.check(proposal, view)
    except InputMissing as missing:
        failed = missing.as_failure(control.id)
    except Exception as fault:  # fail closed: a control that breaks has not passed
        return FailedControl(
            control=control.id,
            reason=Reason.CONTROL_ERROR,
            detail=f"the control could not be evaluated ({type(fault).__name__})",
        )
    if failed is None:
        return None  # as nearly always
    if control.id in _PRICES and failed.reason not in _COUNTED:
        failed = msgspec.structs.replace(failed, inputs={**reference_said(view), **failed.inputs})
    if view.fx is not None and control.id in _CONVERTS:
        failed = msgspec.structs.replace(failed, inputs={**failed.inputs, **view.fx.said(view.now)})
    if failed.severity is Severity.HARD and _is_soft(control, proposal, view):
        return msgspec.structs.replace(failed, severity=Severity.SOFT)
    return failed


def _is_soft(control: Control, proposal: Proposal, view: RiskView) -> bool:
    """Whether the control is called soft, or passes by the hard rules alone.

    Messages are counted by all windows together, so what R15 says is as hard as its windows.
    """
    limits = view.limits
    if limits is None or control.id not in ADJUSTABLE:
        return False
    if control.id in limits.soft:
        return True
    if limits.hard is None or control.id == "R15":
        return False
    by_hard_ones = msgspec.structs.replace(view, limits=limits.hard)
    try:
        return control.check(proposal, by_hard_ones) is None
    except Exception:  # fail closed: what cannot be answered under the hard rules is no softer
        return False


def enforced(
    failed: Sequence[FailedControl], view: RiskView
) -> tuple[tuple[FailedControl, ...], tuple[FailedControl, ...]]:
    """What refuses, the hard ones first, and what is only noted because its control is in shadow."""
    shadow = _NONE if view.limits is None else view.limits.shadow
    refusing = [no for no in failed if no.control not in shadow]
    refusing.sort(key=lambda no: no.severity is Severity.SOFT)
    return tuple(refusing), tuple(no for no in failed if no.control in shadow)


def _judge(
    what: T,
    proposal: Proposal,
    view: RiskView,
    controls: tuple[Control, ...] = PRECEDENCE,
    *,
    lifting: Collection[str] = (),
) -> Approved[T] | Denied:
    failed = [no for control in controls if (no := evaluate(control, proposal, view)) is not None]
    refusing, noted = enforced(failed, view) if failed else ((), ())
    took_us = 0 if view.took_us is None else view.took_us()
    if took_us > WITHIN_US and controls is not OF_A_REDUCING_LEG:
        refusing = (_too_late(took_us), *refusing)
    let_pass = lifted(refusing, lifting) if lifting else ()
    if len(refusing) > len(let_pass):
        return Denied(refusing, config_hash(view.limits), noted)
    price = None if view.reference is None else view.reference.price
    return Approved(what, config_hash(view.limits), price, noted, let_pass)


def _too_late(took_us: int) -> FailedControl:
    return FailedControl(
        control="R25",
        reason=Reason.JUDGED_TOO_SLOWLY,
        detail=f"it took {took_us} us to judge; what it was judged by may have changed",
        limit=str(WITHIN_US),
        value=str(took_us),
        headroom=str(WITHIN_US - took_us),
    )


def _replacing(order: Order, asked: Replacement) -> Proposal:
    terms = msgspec.structs.replace(
        order.terms,
        quantity=asked.quantity,
        limit_price=asked.limit_price,
        stop_price=asked.stop_price,
    )
    return Proposal(terms=terms, standing=order, asked=asked)
