"""Mistakes in what risk sees and says."""

from __future__ import annotations

from typing import Final

from tools.teeth.mutation import Mutation

_EXPOSURE: Final = "core/risk/exposure.py"
_HOLDINGS: Final = "core/risk/holdings.py"
_JUDGE: Final = "core/risk/judge.py"
_MOVED: Final = (
    "        if before is not None and _reserves_the_same(before, after):\n"
    "            return  # an acknowledgement, for one, changes nothing that is reserved\n"
    "        gone = self._held.get(after.id)\n"
    "        held = None\n"
    "        if after.status not in FINAL:\n"
)


def _reserved_only_if(condition: str) -> str:
    return (
        "        gone = self._held.get(after.id)\n"
        "        held = None\n"
        f"        if after.status not in FINAL and {condition}:\n"
    )


MUTATIONS: Final = (
    Mutation(
        id="reservation-released-on-unknown",
        p0=True,
        what="an order whose outcome is unknown reserves nothing",
        file=_EXPOSURE,
        find=_MOVED,
        put=_reserved_only_if("after.unknown_since is None"),
    ),
    Mutation(
        id="reservation-not-atomic",
        p0=True,
        what="an order is reserved for when the broker has acknowledged it, not when it is approved",
        file=_EXPOSURE,
        find=_MOVED,
        put=_reserved_only_if("after.is_proven"),
    ),
    Mutation(
        id="reservation-released-on-cancel-request",
        p0=True,
        what="an order reserves nothing once its cancel is asked",
        file=_EXPOSURE,
        find=_MOVED,
        put=_reserved_only_if("not after.cancel_requested"),
    ),
    Mutation(
        id="replace-not-reserved",
        p0=True,
        what="while a replace is unanswered only the old quantity is reserved",
        file=_EXPOSURE,
        find="        leaves = max(leaves, asked.quantity - order.cum_qty)",
        put="        leaves = min(leaves, asked.quantity - order.cum_qty)",
    ),
    Mutation(
        id="reservation-halved",
        p0=True,
        what="an order that has filled in part reserves nothing more",
        file=_EXPOSURE,
        find="    leaves = order.leaves_qty\n",
        put="    leaves = ZERO if order.cum_qty else order.leaves_qty\n",
    ),
    Mutation(
        id="open-orders-not-in-the-position",
        p0=True,
        what="the position limit forgets what is open",
        file=_HOLDINGS,
        find="        projected = position + opened + added",
        put="        projected = position + added",
    ),
    Mutation(
        id="position-not-in-the-limit",
        p0=True,
        what="the position limit forgets the position",
        file=_HOLDINGS,
        find="        projected = opened + added - position",
        put="        projected = opened + added",
    ),
    Mutation(
        id="position-limit-off",
        p0=True,
        what="the position limit is not judged",
        file=_JUDGE,
        find='    Control("R11", "position", holdings.refuse_large_position),\n',
        put="",
    ),
    Mutation(
        id="one-failure-is-none",
        p0=True,
        what="one failed control is not enough to deny",
        file=_JUDGE,
        find="    if len(refusing) > len(let_pass):\n",
        put="    if len(refusing) > len(let_pass) + 1:\n",
    ),
    Mutation(
        id="denied-is-recorded-as-accepted",
        p0=True,
        what="replaces are not judged by risk",
        file=_JUDGE,
        find="    return _judge(asked, _replacing(order, asked), view)\n\n\ndef judge_held(",
        put="    return _judge(asked, _replacing(order, asked), view, ())\n\n\ndef judge_held(",
    ),
    Mutation(
        id="risk-does-not-ask-the-kill-switch",
        p0=True,
        what="orders are approved while the kill switch is engaged",
        file=_JUDGE,
        find='    Control("R01", "kill switch", checks.refuse_when_killed),\n',
        put="",
    ),
    Mutation(
        id="one-order-too-many",
        what="one more order than allowed may be open",
        file=_HOLDINGS,
        find="    if count + 1 <= most:",
        put="    if count <= most:",
    ),
    Mutation(
        id="sides-swapped",
        p0=True,
        what="what is open to buy counts as open to sell",
        file=_EXPOSURE,
        find="        if side is Side.BUY:\n            return OpenInterest(",
        put="        if side is Side.SELL:\n            return OpenInterest(",
    ),
)
