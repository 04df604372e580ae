"""Mistakes in the controls beside the plain limits, in who may change limits, and in what a stop reaches."""

from __future__ import annotations

from typing import Final

from tools.teeth.mutation import Mutation

_JUDGE: Final = "core/risk/judge.py"
_DESK: Final = "engine/stopping/kill_desk.py"


def _not_judged(control: str, name: str, check: str) -> Mutation:
    return Mutation(
        id=f"{name}-not-judged".replace(" ", "-"),
        p0=True,
        what=f"{control} ({name}) is not judged",
        file=_JUDGE,
        find=f'    Control("{control}", "{name}", {check}),\n',
        put="",
    )


MUTATIONS: Final = (
    _not_judged("R03", "permissions", "permissions.refuse_not_permitted"),
    _not_judged("R04", "restricted list", "permissions.refuse_restricted"),
    _not_judged("R12", "exposure", "aggregates.refuse_large_exposure"),
    _not_judged("R18", "losses", "losses.refuse_after_losses"),
    _not_judged("R19", "concentration", "aggregates.refuse_concentrated"),
    _not_judged("R21", "self-match", "conduct.refuse_self_match"),
    _not_judged("R09", "price drift", "market.refuse_price_drift"),
    _not_judged("R10", "market order", "market.refuse_blind_market_order"),
    _not_judged("R15", "message rate", "checks.refuse_fast_messages"),
    _not_judged("R16", "duplicate", "checks.refuse_duplicate"),
    _not_judged("R27", "canary", "conduct.refuse_large_newcomer"),
    _not_judged("R28", "identity", "permissions.refuse_unidentified"),
    Mutation(
        id="override-for-any-order",
        p0=True,
        what="an override lets any order of its owner past",
        file="core/risk/overrides.py",
        find="        return terms == self.terms\n",
        put="        return True\n",
    ),
    Mutation(
        id="override-used-again",
        p0=True,
        what="an override is not spent",
        file="engine/commands/judging.py",
        find="one.is_for(terms, actor, now) and one.override_id not in used]",
        put="one.is_for(terms, actor, now)]",
    ),
    Mutation(
        id="dead-man-cancels-nothing",
        p0=True,
        what="a client that went away keeps what it had open",
        file="engine/stopping/dead_man.py",
        find=(
            "    return found.armed.gtc is Remaining.CANCEL"
            " or order.terms.time_in_force is not TimeInForce.GTC\n"
        ),
        put="    return False\n",
    ),
    Mutation(
        id="dead-man-never-expires",
        p0=True,
        what="nobody notices that a client went away",
        file="engine/stopping/dead_man.py",
        find="            if found.expired_at is None and now >= found.expires:",
        put="            if found.expired_at is None and now >= found.expires + 3600:",
    ),
    Mutation(
        id="short-sale-of-hard-to-borrow",
        p0=True,
        what="what is hard to borrow is sold short",
        file="core/risk/permissions.py",
        find="    return proposal.terms.side is Side.SELL and not only_reduces(proposal, view)",
        put="    return False",
    ),
    Mutation(
        id="loss-forgotten-when-it-recovers",
        p0=True,
        what="a loss limit that was reached binds only while the loss lasts",
        file="core/risk/losses.py",
        find="    if locked is None or now >= locked.until or limit > locked.limit:",
        put="    if locked is None or now >= locked.at:",
    ),
    Mutation(
        id="open-orders-not-in-the-exposure",
        p0=True,
        what="the exposure forgets what is open",
        file="core/risk/valuation.py",
        find="    up, down = value + opened.buy_value, value - opened.sell_value",
        put="    up, down = value + 0 * opened.buy_value, value - 0 * opened.sell_value",
    ),
    Mutation(
        id="loosened-alone",
        p0=True,
        what="one person loosens limits",
        file="engine/limits/changes.py",
        find="            if await self._loosens(standing, after, at):",
        put="            if too_much:",
    ),
    Mutation(
        id="approved-by-the-proposer",
        p0=True,
        what="who proposed a change approves it",
        file="core/approvals.py",
        find="    if not by.is_other_than(change.proposed.by):",
        put="    if not by.subject:",
    ),
    Mutation(
        id="tightening-not-followed",
        p0=True,
        what="limits that were changed hold from the next start on",
        file="engine/limits/book.py",
        find="    def end(self) -> None:\n        if self.opened:\n",
        put="    def end(self) -> None:\n        if self.opened and not self._in_force._policy.rules:\n",
    ),
    Mutation(
        id="limits-of-people-forgotten-at-restart",
        p0=True,
        what="a gateway that starts anew knows the limits of its settings alone",
        file="engine/desks/control_stream.py",
        find="        for stored in events:\n            self._fold.take(stored.event)\n        self._epoch",
        put=(
            "        for stored in events[:4]:\n"
            "            self._fold.take(stored.event)\n"
            "        self._epoch"
        ),
    ),
    Mutation(
        id="change-of-a-lost-commit-written-again",
        p0=False,
        what="a change whose commit was lost, and had been made, is written a second time",
        file="engine/desks/control_stream.py",
        find="if isinstance(tried, Unit) and _has(stored, tried):",
        put="if False:",
    ),
    Mutation(
        id="stop-of-an-instrument-ignored",
        p0=True,
        what="a stop of one instrument reaches no order",
        file="engine/stopping/kill_guard.py",
        find="names=() if symbol is None else seat.lane.books.names_of(symbol),",
        put="names=(),",
    ),
    Mutation(
        id="stop-of-a-strategy-ignored",
        p0=True,
        what="a stop of one strategy reaches no order",
        file="engine/stopping/kill_guard.py",
        find="                strategy=strategy,\n                order=order,\n",
        put="                strategy=None,\n                order=order,\n",
    ),
    Mutation(
        id="reduce-only-allows-all",
        p0=True,
        what="a stop that lets positions be made smaller lets everything pass",
        file="core/risk/checks.py",
        find="    if stop is None or (stop.grade is Grade.REDUCE_ONLY and only_reduces(proposal, view)):",
        put="    if stop is None or stop.grade is Grade.REDUCE_ONLY:",
    ),
    Mutation(
        id="stop-cancels-nothing",
        p0=True,
        what="a stop that cancels what is open leaves it",
        file=_DESK,
        find="        if kill is None or not kill.grade.cancels:\n            self._sweeps.end(name)",
        put="        if kill is None or name:\n            self._sweeps.end(name)",
    ),
)
