"""The controls that look at the order itself: may it be sent at all, is it well formed, is it sane.

Each is a small function of the proposal and the view that returns the failed control, or None
when it passes. What it needs and does not find it raises as InputMissing, and `judge` turns
that, and anything else that goes wrong, into a failed control: there is no way to pass by
accident. Details are only written on the way to a no.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Final

from ordergate.core.durations import in_seconds
from ordergate.core.ids import Env, is_account_id
from ordergate.core.money import DIGITS_MAX, SCALE_MAX, ZERO, is_multiple, text
from ordergate.core.orders.events import FailedControl, Severity
from ordergate.core.orders.terms import OrderType, Side
from ordergate.core.risk.limits import InstrumentLimits
from ordergate.core.risk.reasons import Reason
from ordergate.core.risk.reducing import only_reduces
from ordergate.core.risk.trading_state import Grade
from ordergate.core.risk.view import (
    Proposal,
    RiskView,
    dear,
    instrument_limits_in,
    limits_in,
    rate_in,
    reference_in,
)

_HUNDRED: Final = Decimal(100)


def refuse_when_killed(proposal: Proposal, view: RiskView) -> FailedControl | None:
    """R01. The hardest stop at any level decides; cancels never come here."""
    stop = view.kill
    if stop is None or (stop.grade is Grade.REDUCE_ONLY and only_reduces(proposal, view)):
        return None
    where = f"{stop.level} {stop.target}".rstrip()
    return FailedControl(
        control="R01",
        reason=Reason.KILL_SWITCH,
        detail=f"the kill switch is engaged, {where}, {stop.grade}: {stop.why}",
        inputs={"level": str(stop.level), "target": stop.target, "grade": str(stop.grade)},
    )


def refuse_when_not_enabled(proposal: Proposal, view: RiskView) -> FailedControl | None:
    """R02. Off until switched on, for the account and for the instrument."""
    limits = limits_in(view)
    if not limits.enabled:
        return FailedControl(
            control="R02",
            reason=Reason.NOT_ENABLED,
            detail=f"account {view.account.id} is not enabled for trading",
            inputs={"version": str(limits.version)},
        )
    instrument_limits_in(view)
    return _not_enabled_by_now(proposal, view)


def _not_enabled_by_now(proposal: Proposal, view: RiskView) -> FailedControl | None:
    """In live an account is enabled until a moment. After it, what is held may still be made smaller."""
    limits, account = limits_in(view), view.account.id
    until = limits.enabled_until
    if until is None:
        if not is_account_id(Env.LIVE, account):
            return None
        detail = f"account {account} is not enabled in live: two persons do that, until a moment"
    elif view.now < until or only_reduces(proposal, view):
        return None
    else:
        detail = f"account {account} was enabled until {until.isoformat()}"
    return FailedControl(
        control="R02",
        reason=Reason.NOT_ENABLED,
        detail=detail,
        inputs={"version": str(limits.version)},
    )


def refuse_malformed(proposal: Proposal, view: RiskView) -> FailedControl | None:
    """R05. On the grid or refused; never rounded."""
    terms = proposal.terms
    instrument = view.instrument
    is_its = terms.symbol == instrument.symbol or terms.symbol in instrument.aliases
    if terms.account != view.account.id or not is_its:
        return _malformed(Reason.WRONG_ACCOUNT, f"judged for {view.account.id} and {instrument.symbol}")
    amounts = (
        ("quantity", terms.quantity, instrument.lot, Reason.OFF_LOT),
        ("limit_price", terms.limit_price, instrument.tick, Reason.OFF_TICK),
        ("stop_price", terms.stop_price, instrument.tick, Reason.OFF_TICK),
    )
    for name, value, step, off_step in amounts:
        if value is None:
            continue
        if not (value.is_finite() and value > ZERO):
            return _malformed(Reason.NOT_POSITIVE, f"{name} must be positive", **{name: str(value)})
        if _is_over_precise(value):
            return _malformed(Reason.OVER_PRECISE, f"{name} has too many digits", **{name: str(value)})
        if not is_multiple(value, step):
            said = {name: text(value), "step": text(step)}
            return _malformed(off_step, f"{name} must be a multiple of {text(step)}", **said)
    return _misplaced_price(proposal)


def _misplaced_price(proposal: Proposal) -> FailedControl | None:
    terms = proposal.terms
    prices = (
        ("limit_price", terms.limit_price, terms.type.needs_limit_price),
        ("stop_price", terms.stop_price, terms.type.needs_stop_price),
    )
    for name, price, needed in prices:
        if needed and price is None:
            return _malformed(Reason.PRICE_MISSING, f"a {terms.type} order needs a {name}")
        if price is not None and not needed:
            return _malformed(Reason.PRICE_MISPLACED, f"a {terms.type} order has no {name}")
    return None


def _is_over_precise(value: Decimal) -> bool:
    """True beyond 18 digits or 9 decimals, counted as written out."""
    plain = str(value)
    if len(plain) <= SCALE_MAX and "E" not in plain:
        return False  # too short to be either, as nearly every amount is
    digits, exponent = value.as_tuple()[1:]
    if isinstance(exponent, int):
        return len(digits) + max(exponent, 0) > DIGITS_MAX or -exponent > SCALE_MAX
    return True  # no number at all


def _malformed(reason: Reason, detail: str, **inputs: str) -> FailedControl:
    return FailedControl(control="R05", reason=reason, detail=detail, inputs=inputs)


def refuse_large_quantity(proposal: Proposal, view: RiskView) -> FailedControl | None:
    """R06. The whole quantity of the order, what has filled included."""
    quantity = proposal.terms.quantity
    limit = instrument_limits_in(view).max_order_quantity
    if quantity <= limit:
        return None
    return over("R06", Reason.ORDER_QUANTITY, "the quantity", quantity, limit)


def refuse_large_notional(proposal: Proposal, view: RiskView) -> FailedControl | None:
    """R07. Valued at the reference price, or at a dearer price of the order's own."""
    limit = instrument_limits_in(view).max_order_notional
    rate = rate_in(view, view.instrument.currency)
    terms = proposal.terms
    reference = price = reference_in(view)
    if terms.limit_price is not None:
        price = max(price, terms.limit_price)
    if terms.stop_price is not None:
        price = max(price, terms.stop_price)
    value = dear(terms.quantity * price * view.instrument.multiplier, rate)
    if value <= limit:
        return None
    inputs = {"quantity": text(terms.quantity), "price": text(price), "reference_price": text(reference)}
    return over("R07", Reason.ORDER_NOTIONAL, "the order's value", value, limit, inputs=inputs)


def refuse_price_off_market(proposal: Proposal, view: RiskView) -> FailedControl | None:
    """R08. Buying too high or selling too low is a hard no.

    The far passive side is a soft one, and allowed unless the limits say otherwise. A stop is compared
    nowhere, it waits; the limit behind a stop is compared with the market as it will be when
    the stop triggers, if that is the further one.
    """
    limits = instrument_limits_in(view)
    reference = reference_in(view)
    price = proposal.terms.limit_price
    if price is None:
        return None
    stop = proposal.terms.stop_price
    width = _collar_width(limits, reference, view.instrument.tick)
    if proposal.terms.side is Side.BUY:
        dearest = (reference if stop is None else max(reference, stop)) + width
        if price > dearest:
            return _off_market(Reason.PRICE_TOO_AGGRESSIVE, price, dearest, reference)
        too_passive = price < reference - width
    else:
        cheapest = (reference if stop is None else min(reference, stop)) - width
        if price < cheapest:
            return _off_market(Reason.PRICE_TOO_AGGRESSIVE, price, cheapest, reference)
        too_passive = price > reference + width
    if too_passive and limits_in(view).far_passive_refused and proposal.terms.type is OrderType.LIMIT:
        nearest = reference - width if proposal.terms.side is Side.BUY else reference + width
        return _off_market(Reason.PRICE_TOO_PASSIVE, price, nearest, reference, Severity.SOFT)
    return None


def _collar_width(limits: InstrumentLimits, reference: Decimal, tick: Decimal) -> Decimal:
    """The tighter of the two collars. The reader of limits makes sure that there is one."""
    widths = []
    if limits.collar_percent is not None:
        widths.append(reference * limits.collar_percent / _HUNDRED)
    if limits.collar_ticks is not None:
        widths.append(limits.collar_ticks * tick)
    return min(widths)


def _off_market(
    reason: Reason,
    price: Decimal,
    limit: Decimal,
    reference: Decimal,
    severity: Severity = Severity.HARD,
) -> FailedControl:
    return FailedControl(
        control="R08",
        reason=reason,
        detail=f"{text(price)} is beyond {text(limit)}, with the market at {text(reference)}",
        limit=text(limit),
        value=text(price),
        headroom=text(-abs(price - limit)),
        inputs={"reference_price": text(reference)},
        severity=severity,
    )


def refuse_fast_messages(proposal: Proposal, view: RiskView) -> FailedControl | None:
    """R15. New orders and replacements together; cancels are counted elsewhere and never refused."""
    windows = limits_in(view).message_windows
    if view.buckets.orders.windows != windows:
        return FailedControl(
            control="R15", reason=Reason.RATE_STATE_STALE, detail="the limits changed; counting again"
        )
    lacking = view.buckets.orders.lacking(view.now)
    if lacking is None:
        return None
    return FailedControl(
        control="R15",
        reason=Reason.MESSAGE_RATE,
        detail=f"more than {lacking.count} messages in {lacking.seconds} s",
        limit=str(lacking.count),
        value=str(lacking.count + 1),
        headroom="-1",
        inputs={"window_s": str(lacking.seconds)},
    )


def refuse_duplicate(proposal: Proposal, view: RiskView) -> FailedControl | None:
    """R16. The same side, quantity and prices as an order accepted a moment ago.

    Within the window it is taken for a mistake; within the soft one it may be meant, and is confirmed
    by an override. A replacement is compared with nothing: it makes no second order.
    """
    if proposal.standing is not None:
        return None
    limits = limits_in(view)
    memory = limits.duplicate_memory
    last = view.recent.last(proposal.said)
    if last is not None and _is_within(view.now - last, memory):
        age = view.now - last
        is_hard = _is_within(age, limits.duplicate_window)
        window = limits.duplicate_window if is_hard else memory
        return FailedControl(
            control="R16",
            reason=Reason.DUPLICATE,
            detail=f"an equal order was accepted less than {in_seconds(window)} s ago",
            limit=in_seconds(window),
            value=in_seconds(age),
            inputs={"accepted_at": last.isoformat()},
            severity=Severity.HARD if is_hard else Severity.SOFT,
        )
    if view.recent.is_full(view.now, memory):
        return FailedControl(
            control="R16",
            reason=Reason.DUPLICATE_MEMORY_FULL,
            detail="too many orders inside the window to compare with",
        )
    return None


def _is_within(age: timedelta, window: timedelta) -> bool:
    """A clock that stepped back makes an age negative: that is within as well."""
    return age < window and window > timedelta(0)


def over(
    control: str,
    reason: Reason,
    what: str,
    value: Decimal,
    limit: Decimal,
    *,
    inputs: dict[str, str] | None = None,
) -> FailedControl:
    """A value over its limit, with the numbers that justify the no."""
    return FailedControl(
        control=control,
        reason=reason,
        detail=f"{what} {text(value)} is over the limit {text(limit)}",
        limit=text(limit),
        value=text(value),
        headroom=text(limit - value),
        inputs=inputs or {},
    )
