"""The controls that look at the market: how far it has run, whether to believe it, whether it is open."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from ordergate.core.durations import in_seconds
from ordergate.core.money import text
from ordergate.core.orders.events import FailedControl
from ordergate.core.orders.terms import OrderType, Side
from ordergate.core.risk.limit_parts import Hours
from ordergate.core.risk.marketable import whole
from ordergate.core.risk.reasons import Reason
from ordergate.core.risk.reducing import only_reduces
from ordergate.core.risk.view import (
    InputMissing,
    Proposal,
    RiskView,
    Top,
    instrument_limits_in,
    limits_in,
    reference_in,
)

_HUNDRED: Final = Decimal(100)
_TWO: Final = Decimal(2)


def refuse_price_drift(proposal: Proposal, view: RiskView) -> FailedControl | None:
    """R09. No dearer than the lowest price of the market at which an order was accepted within the window,

    and the percentage more; no cheaper than the highest, and the percentage less. So orders cannot
    follow, each within its collar, a price that runs away, or that they themselves drive.
    """
    limits = limits_in(view)
    if limits.drift_window is None:
        return None
    its = instrument_limits_in(view)
    if its.drift_percent is None:
        return None
    if view.prices_seen is None:
        raise InputMissing(Reason.CONTROL_ERROR, "the prices of the window are not known")
    reference, side = reference_in(view), proposal.terms.side
    price = proposal.terms.limit_price
    seen = view.prices_seen.strictest(view.instrument.symbol, side, view.now, limits.drift_window)
    anchor, since = (reference, view.now) if seen is None else (seen.price, seen.at)
    if side is Side.BUY:
        price = reference if price is None else price
        anchor = min(anchor, reference)
        most = anchor + anchor * its.drift_percent / _HUNDRED
        passes = price <= most
    else:
        price = reference if price is None else price
        anchor = max(anchor, reference)
        most = anchor - anchor * its.drift_percent / _HUNDRED
        passes = price >= most
    if passes:
        return None
    return FailedControl(
        control="R09",
        reason=Reason.PRICE_DRIFT,
        detail=f"{text(price)} is beyond {text(most)}, with the market at {text(anchor)} within the window",
        limit=text(most),
        value=text(price),
        headroom=text(-abs(price - most)),
        inputs={
            "reference_price": text(reference),
            "anchor": text(anchor),
            "since": since.isoformat(),
            "window_s": in_seconds(limits.drift_window),
        },
    )


def refuse_blind_market_order(proposal: Proposal, view: RiskView) -> FailedControl | None:
    """R10. An order at the market takes what is there: that must be known, sane and narrow.

    A quote whose bid is above its ask is wrong, whatever the limits are. Where a spread is set, or how
    far the limit may be that such an order is turned into, a whole quote of now is needed. An order of a
    group cannot be turned: it is refused there.
    """
    if proposal.said.type is not OrderType.MARKET:
        return None
    limits, its, top = limits_in(view), instrument_limits_in(view), view.top
    if top is not None and top.bid is not None and top.ask is not None and top.bid > top.ask:
        return _refused(Reason.CROSSED_QUOTE, f"the bid {top.bid} is above the ask {top.ask}", top)
    if its.market_spread_percent is None and its.market_to_limit_percent is None:
        return None
    top = whole(top)
    if top is None or top.bid is None or top.ask is None:
        raise InputMissing(Reason.NO_QUOTE, f"no whole quote of {view.instrument.symbol} is known")
    age = view.now - top.at
    if abs(age) > limits.market_quote_max_age:
        raise InputMissing(
            Reason.STALE_QUOTE,
            f"the quote of {view.instrument.symbol} is {in_seconds(age)} s old",
            {"quoted_at": top.at.isoformat()},
        )
    if its.market_to_limit_percent is not None and proposal.terms.type is OrderType.MARKET:
        detail = "orders at the market become limit orders here, and an order of a group cannot"
        return _refused(Reason.MARKET_NOT_CONVERTED, detail, top)
    if its.market_spread_percent is None:
        return None
    spread = (top.ask - top.bid) * _TWO * _HUNDRED / (top.ask + top.bid)
    if spread <= its.market_spread_percent:
        return None
    detail = "the spread is too wide for a market order"
    return _refused(Reason.WIDE_SPREAD, detail, top, its.market_spread_percent, spread)


def _refused(
    reason: Reason, detail: str, top: Top, limit: Decimal | None = None, value: Decimal | None = None
) -> FailedControl:
    known = (
        {}
        if limit is None or value is None
        else {"limit": text(limit), "value": _rounded(value), "headroom": _rounded(limit - value)}
    )
    return FailedControl(
        control="R10",
        reason=reason,
        detail=detail,
        limit=known.get("limit"),
        value=known.get("value"),
        headroom=known.get("headroom"),
        inputs={"bid": str(top.bid), "ask": str(top.ask), "quoted_at": top.at.isoformat()},
    )


def _rounded(percent: Decimal) -> str:
    """A spread is a quotient: it is shown to six decimals, and judged whole."""
    return text(percent.quantize(_SHOWN))


_SHOWN: Final = Decimal("0.000001")


def refuse_outside_hours(proposal: Proposal, view: RiskView) -> FailedControl | None:
    """R22. Only in the market's session, where the limits say so; flatter only, past the time to be flat.

    An order for extended hours passes outside the session where the limits allow that.
    """
    limits = limits_in(view)
    rule = limits.trading_day
    if rule is not None and rule.flatten_by is not None:
        span = rule.span_of(view.now)
        if span.flat_from is not None and view.now >= span.flat_from and not only_reduces(proposal, view):
            return FailedControl(
                control="R22",
                reason=Reason.FLATTEN_BY,
                detail="it is past the time to be flat: only orders that make a position smaller pass",
                limit=span.flat_from.isoformat(),
                value=view.now.isoformat(),
                inputs={"until": span.ends.isoformat(), "zone": rule.zone},
            )
    if limits.hours is Hours.ANY:
        return None
    if view.hours is None:
        raise InputMissing(Reason.HOURS_UNKNOWN, f"the hours of {view.instrument.calendar} are not known")
    if view.hours.is_open or (proposal.terms.extended_hours and limits.extended_hours_allowed):
        return None
    until = view.hours.until
    return FailedControl(
        control="R22",
        reason=Reason.MARKET_CLOSED,
        detail=f"{view.instrument.symbol} is not in a session of {view.instrument.calendar}",
        value=view.now.isoformat(),
        inputs={} if until is None else {"opens": until.isoformat()},
    )
