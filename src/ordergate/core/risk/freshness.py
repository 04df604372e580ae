"""The control that looks at how far the account's own picture can be trusted.

An account whose books and broker differ badly, or that has not heard its broker for too long, must
not grow. Where the limits say so, an order that can only make a position smaller still passes, but
never on a position that is itself in doubt. What is not known is a no.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from ordergate.core.accounts.breaks import Break, Nature
from ordergate.core.durations import in_seconds
from ordergate.core.orders.events import FailedControl
from ordergate.core.risk.reasons import Reason
from ordergate.core.risk.reducing import only_reduces
from ordergate.core.risk.view import InputMissing, Proposal, RiskView, limits_in

_NO_TIME: Final = timedelta(0)


def refuse_when_stale(proposal: Proposal, view: RiskView) -> FailedControl | None:
    """R25. Severe breaks first: they are worse than silence."""
    if view.freshness is None:
        raise InputMissing(Reason.FRESHNESS_UNKNOWN, "whether the account is current is not known")
    if view.freshness.stale_since is None and not view.account.breaks:
        return None
    severe = [item for item in view.account.breaks.values() if item.blocks_opening]
    trouble = _broken(severe) if severe else _stale(view)
    if trouble is None:
        return None
    if limits_in(view).reduce_when_stale and _only_reduces(proposal, view, severe):
        return None
    return trouble


def _broken(severe: list[Break]) -> FailedControl:
    oldest = min(severe, key=lambda item: (item.opened_at, item.id))
    return FailedControl(
        control="R25",
        reason=Reason.OPEN_BREAK,
        detail=f"{oldest.nature} of {oldest.subject} differs: ours {oldest.ours}, theirs {oldest.theirs}",
        limit="0",
        value=str(len(severe)),
        inputs={"break": oldest.id, "opened_at": oldest.opened_at.isoformat()},
    )


def _stale(view: RiskView) -> FailedControl | None:
    """A clock that stepped back makes an age negative: that is not known, and so too old."""
    freshness = view.freshness
    if freshness is None or freshness.stale_since is None:
        return None
    age, most = view.now - freshness.stale_since, limits_in(view).stream_stale_max
    if _NO_TIME <= age <= most:
        return None
    return FailedControl(
        control="R25",
        reason=Reason.STALE_ACCOUNT,
        detail=f"the account has not been current for {in_seconds(age)} s: {freshness.why}",
        limit=in_seconds(most),
        value=in_seconds(age),
        headroom=in_seconds(most - age),
        inputs={"stale_since": freshness.stale_since.isoformat()},
    )


def _only_reduces(proposal: Proposal, view: RiskView, severe: list[Break]) -> bool:
    """Never on a position that a break is about, nor while it is not known which one that is."""
    symbol = view.instrument.symbol
    if any(item.nature is not Nature.POSITION or item.subject == symbol for item in severe):
        return False
    return only_reduces(proposal, view)
