"""Asks risk about a whole group: the worst that its legs can do, before the first of them leaves.

The order that leaves first is judged as any order is. What follows an entry can only take back what the
entry brought, so it is judged for its form; legs of which only one can fill are judged each as if it
were the one. Every order of the group is judged once more when it leaves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from ordergate.core.contingent.events import GroupAccepted, GroupDenied
from ordergate.core.contingent.terms import GroupId, GroupTerms, Leg, LegType, Role, order_terms
from ordergate.core.orders.events import FailedControl
from ordergate.core.orders.terms import Terms
from ordergate.core.risk.judge import PRECEDENCE, Control, enforced, evaluate
from ordergate.core.risk.limits import config_hash
from ordergate.core.risk.reducing import reduces
from ordergate.core.risk.view import Proposal, RiskView

_FORM: Final = frozenset({"R01", "R02", "R03", "R05", "R06", "R07", "R08", "R28"})
_EXPOSURE: Final = frozenset({"R07", "R11", "R13", "R14", "R25"})


def admit_group(terms: GroupTerms, group: GroupId, actor: str, view: RiskView) -> GroupAccepted | GroupDenied:
    """Counts no message, since nothing is sent by it; remembers what it let pass."""
    failed, _ = enforced(tuple(_failures(terms, view)), view)
    if failed:
        return GroupDenied(
            account=terms.account,
            at=view.now,
            group_id=group,
            terms=terms,
            actor=actor,
            config_hash=config_hash(view.limits),
            failed=failed,
        )
    if view.limits is not None:
        for leg in terms.legs:
            view.recent.remember(_as_judged(terms, leg), view.now)
    return GroupAccepted(
        account=terms.account,
        at=view.now,
        group_id=group,
        terms=terms,
        actor=actor,
        config_hash=config_hash(view.limits),
    )


def _failures(terms: GroupTerms, view: RiskView) -> Iterator[FailedControl]:
    for leg in terms.legs:
        order = _as_judged(terms, leg)
        for control in _controls(terms, leg, order, view):
            failed = evaluate(control, Proposal(terms=order), view)
            if failed is not None:
                yield msgspec.structs.replace(failed, inputs={**failed.inputs, "leg": leg.role})


def _as_judged(terms: GroupTerms, leg: Leg) -> Terms:
    """What trails the market leaves as an order at the market."""
    triggered = leg.type is LegType.TRAILING_STOP
    return order_terms(terms, leg, terms.quantity, triggered=triggered)


def _controls(terms: GroupTerms, leg: Leg, order: Terms, view: RiskView) -> Iterator[Control]:
    follows = terms.kind.has_entry and leg.role is not Role.ENTRY
    exempt = _EXPOSURE if not follows and reduces(order, view) else frozenset[str]()
    for control in PRECEDENCE:
        if (not follows or control.id in _FORM) and control.id not in exempt:
            yield control
