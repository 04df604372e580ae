"""The controls that add up: what an account is exposed to, what several together, and in how few things.

What makes nothing larger passes, even above a limit: an account that is over it may shrink.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from ordergate.core.money import ZERO, text
from ordergate.core.orders.events import FailedControl
from ordergate.core.orders.terms import Side
from ordergate.core.risk.checks import over
from ordergate.core.risk.fx import Rate
from ordergate.core.risk.holdings import holds, with_proposal, would_hold
from ordergate.core.risk.limit_parts import ExposureLimit
from ordergate.core.risk.limits import InstrumentLimits, Limits
from ordergate.core.risk.reasons import Reason
from ordergate.core.risk.valuation import Share, Totals, Valuation, exposed
from ordergate.core.risk.view import (
    Booked,
    InputMissing,
    Proposal,
    RiskView,
    cash_in,
    home_of,
    instrument_limits_in,
    limits_in,
    rate_in,
    reference_in,
)

_HUNDRED: Final = Decimal(100)
MARKS_MAX_AGE: Final = timedelta(seconds=5)


class Grown(NamedTuple):
    """A symbol's share as it is and as it would be."""

    before: Share
    after: Share


def valuation_in(view: Booked) -> Valuation:
    """What everything is worth, if that is known as of now. Raises InputMissing."""
    found: Valuation | None = view.__dict__.get("fresh_valuation")
    if found is None:
        found = view.__dict__["fresh_valuation"] = _fresh_valuation(view)
    return found


def _fresh_valuation(view: Booked) -> Valuation:
    valuation = view.valuation
    if valuation is None or not _is_fresh(valuation.marked_at, view.now):
        raise InputMissing(Reason.VALUATION_STALE, "the account has not been valued of late")
    if valuation.unknown:
        symbols = ", ".join(sorted(valuation.unknown))
        raise InputMissing(Reason.VALUATION_STALE, f"no price is known of {symbols}")
    if valuation.has_foreign:
        raise InputMissing(Reason.NO_FX_RATE, "no rate is known of something held or open")
    if view.fx is not None or valuation.abroad or valuation.home != view.account.currency:
        _require_rates(view, valuation)
    return valuation


def _require_rates(view: Booked, valuation: Valuation) -> None:
    """It is valued in the currency that is asked for, by rates that are not too old. Raises InputMissing."""
    if valuation.home is not None and valuation.home != home_of(view):
        raise InputMissing(Reason.VALUATION_STALE, f"the account was last valued in {valuation.home}")
    for currency in valuation.abroad:
        rate_in(view, currency)


def _is_fresh(marked_at: datetime | None, now: datetime) -> bool:
    return marked_at is not None and abs(now - marked_at) <= MARKS_MAX_AGE


def _grown(proposal: Proposal, view: RiskView) -> Grown:
    """Worked out once for a proposal, however many controls ask."""
    kept: tuple[RiskView, Grown] | None = proposal.__dict__.get("grown")
    if kept is None or kept[0] is not view:
        kept = proposal.__dict__["grown"] = (view, _work_out(proposal, view))
    return kept[1]


def _work_out(proposal: Proposal, view: RiskView) -> Grown:
    rate = rate_in(view, view.instrument.currency)
    price = reference_in(view)
    if view.exposure.has_unpriced:
        raise InputMissing(Reason.UNPRICED_EXPOSURE, "an open order has no known value")
    symbol = view.instrument.symbol
    value = view.account.position(symbol).quantity * price * view.instrument.multiplier
    opened = view.exposure.of(symbol)
    before, after = exposed(value, opened), exposed(value, with_proposal(proposal, view))
    return Grown(before, after) if rate is None else Grown(_converted(before, rate), _converted(after, rate))


def _converted(share: Share, rate: Rate) -> Share:
    """An exposure in another currency; what is only exposed has made nothing."""
    return Share(rate.dear(share.gross), rate.dear(share.up), rate.cheap(share.down))


def refuse_large_exposure(proposal: Proposal, view: RiskView) -> FailedControl | None:
    """R12. Gross and net, of the account and of every group of accounts that it belongs to.

    Everything open counts in full, each side by itself. A sum that is not known is a no.
    """
    limits = limits_in(view)
    own = limits.own_exposure
    if own is None and not limits.shared_exposure:
        return None
    valuation = valuation_in(view)
    grown = _grown(proposal, view)
    if own is not None:
        failed = _over_exposed("account", own, valuation.own, grown, proposal.terms.side)
        if failed is not None:
            return failed
    for name, limit in limits.shared_exposure.items():
        totals = valuation.shared.get(name)
        if totals is None or totals.absent:
            raise InputMissing(Reason.EXPOSURE_UNKNOWN, f"the exposure of {name} is not known")
        failed = _over_exposed(name, limit, totals, grown, proposal.terms.side)
        if failed is not None:
            return failed
    return None


def _over_exposed(
    scope: str, limit: ExposureLimit, totals: Totals, grown: Grown, side: Side
) -> FailedControl | None:
    added = grown.after.gross - grown.before.gross
    if limit.max_gross is not None and added > ZERO and totals.gross + added > limit.max_gross:
        what, value = f"the gross exposure of {scope}", totals.gross + added
        inputs = {"scope": scope, "gross": text(totals.gross), "added": text(added)}
        return over("R12", Reason.GROSS_EXPOSURE, what, value, limit.max_gross, inputs=inputs)
    if side is Side.BUY:
        net, added = totals.up, grown.after.up - grown.before.up
    else:
        net, added = -totals.down, grown.before.down - grown.after.down
    if limit.max_net is not None and added > ZERO and net + added > limit.max_net:
        inputs = {"scope": scope, "net": text(net), "added": text(added)}
        what = f"the net exposure of {scope}"
        return over("R12", Reason.NET_EXPOSURE, what, net + added, limit.max_net, inputs=inputs)
    return None


def refuse_concentrated(proposal: Proposal, view: RiskView) -> FailedControl | None:
    """R19. Against what the account is worth, and against what the market trades in a day."""
    its = instrument_limits_in(view)
    if its.max_concentration_percent is not None:
        failed = _concentrated(proposal, view, its.max_concentration_percent)
        if failed is not None:
            return failed
    return None if its.max_volume_percent is None else _large_for_market(proposal, view, its)


def _concentrated(proposal: Proposal, view: RiskView, percent: Decimal) -> FailedControl | None:
    valuation = valuation_in(view)
    grown = _grown(proposal, view)
    if grown.after.gross <= grown.before.gross:
        return None
    worth = cash_in(view) + valuation.own.worth
    most = part_of_worth(worth, percent)
    if grown.after.gross <= most:
        return None
    inputs = {"worth": text(worth), "percent": text(percent)}
    what = f"the exposure in {view.instrument.symbol}"
    return over("R19", Reason.CONCENTRATION, what, grown.after.gross, most, inputs=inputs)


def part_of_worth(worth: Decimal, percent: Decimal) -> Decimal:
    """Nothing of what is worth nothing."""
    return max(worth, ZERO) * percent / _HUNDRED


def daily_volume(its: InstrumentLimits, limits: Limits, now: datetime) -> Decimal | None:
    """What the market trades in a day, if that is known as of these days."""
    known_at = its.average_daily_volume_at
    if known_at is None or abs(now - known_at) > timedelta(days=limits.volume_max_age_days):
        return None
    return its.average_daily_volume


def _large_for_market(proposal: Proposal, view: RiskView, its: InstrumentLimits) -> FailedControl | None:
    percent, known_at = its.max_volume_percent, its.average_daily_volume_at
    volume = daily_volume(its, limits_in(view), view.now)
    if percent is None or volume is None or known_at is None:
        symbol = view.instrument.symbol
        raise InputMissing(Reason.VOLUME_UNKNOWN, f"the daily volume of {symbol} is not known")
    added = would_hold(proposal, view).quantity - holds(proposal, view).quantity
    if proposal.standing is not None and added <= ZERO:
        return None
    opened = view.exposure.of(view.instrument.symbol)
    side = proposal.terms.side
    value = (opened.buy_quantity if side is Side.BUY else opened.sell_quantity) + added
    most = volume * percent / _HUNDRED
    if value <= most:
        return None
    inputs = {"average_daily_volume": text(volume), "at": known_at.isoformat(), "percent": text(percent)}
    return over("R19", Reason.VOLUME_SHARE, f"what is open to {side}", value, most, inputs=inputs)
