"""Which order is kept for the next session instead of being refused, and what keeps it waiting there.

While a market is closed the last price there was is the newest one there is, so what is kept is judged by it;
when the order is to leave, everything is asked again by what is true then. Sends nothing, and ends nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from ordergate.core.orders.events import FailedControl
from ordergate.core.orders.terms import Terms, TimeInForce
from ordergate.core.risk.limit_parts import Hours, OutsideSession
from ordergate.core.risk.reasons import Reason
from ordergate.core.risk.view import RiskView

KEPT: Final = frozenset({TimeInForce.DAY, TimeInForce.GTC})
"""What is to trade at once or not at all has nothing to wait for."""

NOT_YET: Final = frozenset(
    {
        Reason.KILL_SWITCH,
        Reason.NO_REFERENCE_PRICE,
        Reason.STALE_REFERENCE_PRICE,
        Reason.NO_FX_RATE,
        Reason.STALE_FX_RATE,
        Reason.UNPRICED_EXPOSURE,
        Reason.NO_QUOTE,
        Reason.STALE_QUOTE,
        Reason.CROSSED_QUOTE,
        Reason.VALUATION_STALE,
        Reason.EXPOSURE_UNKNOWN,
        Reason.MESSAGE_RATE,
        Reason.RATE_STATE_STALE,
        Reason.STALE_ACCOUNT,
        Reason.OPEN_BREAK,
        Reason.FRESHNESS_UNKNOWN,
        Reason.HOURS_UNKNOWN,
        Reason.JUDGED_TOO_SLOWLY,
        Reason.MARKET_CLOSED,
    }
)
"""What is not known yet, or stops for a while, keeps an order where it is; every other no ends it."""


def kept_until(terms: Terms, view: RiskView) -> datetime | None:
    """When the market opens that the order is kept for; None where it is not to be kept."""
    limits, hours = view.limits, view.hours
    if limits is None or limits.outside_session is not OutsideSession.QUEUE:
        return None
    if limits.hours is Hours.ANY or hours is None or hours.is_open or hours.until is None:
        return None
    if terms.extended_hours and limits.extended_hours_allowed:
        return None
    return hours.until if terms.time_in_force in KEPT else None


def as_closed(view: RiskView) -> RiskView:
    """The same, with the market's last price and quote as those of now."""
    reference, top = view.reference, view.top
    return msgspec.structs.replace(
        view,
        reference=None if reference is None else msgspec.structs.replace(reference, at=view.now),
        top=None if top is None else msgspec.structs.replace(top, at=view.now),
    )


def not_yet(failed: Iterable[FailedControl]) -> bool:
    """Whether everything that refuses may pass a little later, with the order as it is."""
    return all(no.reason in NOT_YET for no in failed)
