"""Mistakes with orders that belong together: two legs at once, more to exit than there is, nothing that guards."""

# ruff: noqa: E501 - the code that is replaced keeps its own lines

from __future__ import annotations

from typing import Final

from tools.teeth.mutation import Mutation

_STEPS: Final = "core/contingent/steps.py"
_TALLY: Final = "core/contingent/tally.py"

MUTATIONS: Final = (
    Mutation(
        id="legs-live-together",
        p0=True,
        what="the wanted leg is placed beside the one that is there",
        file=_STEPS,
        find="    if wrong and seen.may_place:\n"
        "        return _make_room(group, leg, wrong, sums.need, seen)\n"
        "    standing = (*sums.live_in(leg.role), *wrong)",
        put="    standing = sums.live_in(leg.role)",
    ),
    Mutation(
        id="leg-gone-when-its-cancel-is-asked",
        p0=True,
        what="a leg counts as gone once its cancel is asked, and what it may still fill is placed again",
        file=_TALLY,
        find="        if not order.is_final:\n            live.append((one.role, order))",
        put="        if not order.is_final and not order.cancel_requested:\n            live.append((one.role, order))",
    ),
    Mutation(
        id="exit-for-all-that-was-asked",
        p0=True,
        what="exits are for the group's quantity, whatever the entry has filled",
        file=_TALLY,
        find="        allowance=entered if group.terms.kind.has_entry else group.terms.quantity,",
        put="        allowance=group.terms.quantity if entered or not group.terms.kind.has_entry else ZERO,",
    ),
    Mutation(
        id="flatten-beside-what-is-open",
        p0=True,
        what="a flatten closes a position while orders in it can still fill",
        file="core/contingent/flatten.py",
        find="    if others or own or position == ZERO",
        put="    if own or position == ZERO",
    ),
    Mutation(
        id="later-fills-of-an-entry-unguarded",
        p0=True,
        what="an exit does not grow with what its entry fills",
        file=_STEPS,
        find="    return _grow(group, leg, standing, -surplus, seen) if surplus < ZERO else ()",
        put="    return _grow(group, leg, standing, -surplus, seen) if surplus < ZERO and not standing else ()",
    ),
    Mutation(
        id="overrun-stays",
        p0=True,
        what="what was exited beyond what there was is not undone",
        file=_STEPS,
        find="    if exits:\n        return recall_all(group, exits, seen)\n    if sums.need < ZERO:\n        return _even_out(group, -sums.need, seen)\n",
        put="    if exits:\n        return recall_all(group, exits, seen)\n",
    ),
    Mutation(
        id="groups-forgotten-at-restart",
        p0=True,
        what="after a death no group goes on by itself",
        file="engine/node.py",
        find="            self._contingent.carry_on(seat)\n",
        put="",
    ),
    Mutation(
        id="canceled-group-goes-on",
        p0=True,
        what="a group whose cancel was asked for places its next order all the same",
        file=_STEPS,
        find="    if group.cancel_requested:\n        return End.CANCELED\n    if group.reason",
        put="    if group.reason",
    ),
    Mutation(
        id="refusals-forgiven-by-a-clock-that-was-fast",
        what="refused exits are tried without a pause after the clock was set back",
        file="core/contingent/tally.py",
        find="if one.final_at and one.final_at <= now)",
        put="if one.final_at)",
    ),
)
