"""The controls of what an account may send at all, of whom, and in what: allowed by a list or refused.

They ask for nothing that changes from one moment to the next, except the age of the restricted list.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Final

from ordergate.core.orders.events import FailedControl
from ordergate.core.orders.terms import Side
from ordergate.core.risk.limit_parts import RestrictedList, Restriction
from ordergate.core.risk.reasons import Reason
from ordergate.core.risk.reducing import only_reduces
from ordergate.core.risk.view import Proposal, RiskView, limits_in

_NO_TIME: Final = timedelta(0)


def refuse_not_permitted(proposal: Proposal, view: RiskView) -> FailedControl | None:
    """R03. What is on no list is refused; an instrument's own list only takes away from the account's.

    An order that names no venue asks for none: where it goes is the broker's to choose.
    That the instrument itself is permitted is R02's to say: it has limits, or it is refused.
    """
    limits, terms = limits_in(view), proposal.said
    its = limits.instruments.get(view.instrument.symbol)
    narrow = (None, None, None) if its is None else (its.order_types, its.sides, its.times_in_force)
    if not _permits(limits.order_types, narrow[0], terms.type):
        return _not_permitted("type", terms.type, limits.order_types, narrow[0])
    if not _permits(limits.sides, narrow[1], terms.side):
        return _not_permitted("side", terms.side, limits.sides, narrow[1])
    if not _permits(limits.times_in_force, narrow[2], terms.time_in_force):
        return _not_permitted("time_in_force", terms.time_in_force, limits.times_in_force, narrow[2])
    if terms.venue is None:
        return None
    venues = None if its is None else its.venues
    if not _permits(limits.venues, venues, terms.venue):
        return _not_permitted("venue", terms.venue, sorted(limits.venues), venues)
    return None


def _permits(ours: Collection[str], its: Collection[str] | None, asked: str) -> bool:
    return asked in ours and (its is None or asked in its)


def _not_permitted(
    what: str, asked: str, ours: Collection[str], its: Collection[str] | None
) -> FailedControl:
    permitted = [each for each in ours if its is None or each in its]
    return FailedControl(
        control="R03",
        reason=Reason.NOT_PERMITTED,
        detail=f"the {what} {asked} is not permitted",
        limit=", ".join(permitted) or "none",
        value=asked,
        inputs={"field": what},
    )


def refuse_restricted(proposal: Proposal, view: RiskView) -> FailedControl | None:
    """R04. Nothing in what is restricted or halted, no short sale of what is hard to borrow.

    A list that is too old, or that claims to be of the future, may lack what was added since: then only
    orders that make a position smaller pass.
    """
    listed = limits_in(view).restricted
    if listed is None:
        return None
    restriction = listed.symbols.get(view.instrument.symbol)
    if restriction is not None and _applies(restriction, proposal, view):
        return FailedControl(
            control="R04",
            reason=Reason.RESTRICTED,
            detail=f"{view.instrument.symbol} is {restriction}",
            inputs=_said(listed) | {"restriction": restriction},
        )
    age = view.now - listed.as_of
    if _NO_TIME <= age <= timedelta(hours=listed.max_age_hours) or only_reduces(proposal, view):
        return None
    return FailedControl(
        control="R04",
        reason=Reason.RESTRICTED_LIST_STALE,
        detail=f"the restricted list is of {listed.as_of.isoformat()}: too old to open a position by",
        limit=str(listed.max_age_hours * 3600),
        value=str(int(age.total_seconds())),
        inputs=_said(listed),
    )


def _applies(restriction: Restriction, proposal: Proposal, view: RiskView) -> bool:
    if restriction is not Restriction.HARD_TO_BORROW:
        return True
    return proposal.terms.side is Side.SELL and not only_reduces(proposal, view)


def _said(listed: RestrictedList) -> dict[str, str]:
    return {"as_of": listed.as_of.isoformat(), "source": listed.source}


def refuse_unidentified(proposal: Proposal, view: RiskView) -> FailedControl | None:
    """R28. Which algorithm of which version decided, and which person answers for it."""
    if not limits_in(view).identity_required:
        return None
    terms = proposal.terms
    given = {"strategy": terms.strategy, "strategy_version": terms.strategy_version, "user": terms.user}
    lacking = [name for name, value in given.items() if not value]
    if not lacking:
        return None
    return FailedControl(
        control="R28",
        reason=Reason.IDENTITY_MISSING,
        detail=f"the order lacks {', '.join(lacking)}",
        inputs={name: value for name, value in given.items() if value},
    )
