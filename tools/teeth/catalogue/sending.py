"""Mistakes in speaking to a broker: before the commit, twice, without asking, under another's ownership."""

# ruff: noqa: E501 - the code that is replaced keeps its own lines

from __future__ import annotations

from typing import Final

from tools.teeth.mutation import Mutation

_DISPATCHER: Final = "engine/wire/dispatcher.py"
_LANE: Final = "engine/accounts/lane.py"

MUTATIONS: Final = (
    Mutation(
        id="send-before-commit",
        p0=True,
        what="what follows a commit is started when it is asked for",
        file=_LANE,
        find="        self._unwritten += 1\n        return Recorded(unit, committed)",
        put=(
            "        self._unwritten += 1\n"
            "        for entry in unit.entries:\n"
            "            if isinstance(entry.event, OrderEvent):\n"
            "                self._follow(self, entry.event)\n"
            "        return Recorded(unit, committed)"
        ),
    ),
    Mutation(
        id="failed-commit-sent",
        p0=True,
        what="a failed commit is logged, and followed like one that succeeded",
        file=_LANE,
        find="            self.stop(fault)\n            return\n        self.proven_at = asked_at",
        put='            log.error("commit.failed", why=str(fault))\n        self.proven_at = asked_at',
    ),
    Mutation(
        id="resend-without-dedup",
        p0=True,
        what="an order that was not found is sent again at brokers that would take it twice",
        file="core/orders/reconcile.py",
        find="may_resend = resend_is_safe and not order.cancel_requested",
        put="may_resend = not order.cancel_requested",
    ),
    Mutation(
        id="resend-class-c",
        p0=True,
        what="an order in question is sent again where nothing tells the second from the first",
        file="engine/reconciling/order_matching.py",
        find="            await self._quarantine.examine(seat, order)\n",
        put=(
            "            await self._quarantine.examine(seat, order)\n"
            "            again = seat.broker.place(order.cl_ord_id, order.terms, lambda: None)\n"
            "            self._dispatcher.ask(seat, order.id, again)\n"
        ),
    ),
    Mutation(
        id="class-c-without-marker",
        p0=True,
        what="nothing is written down before speaking to a broker without dedup and queries",
        file=_DISPATCHER,
        find=(
            "            await self._mark_started(seat, order)\n"
            "        await self._egress.prepare(seat, order_id)\n"
        ),
        put="        await self._egress.prepare(seat, order_id)\n",
    ),
    Mutation(
        id="lease-ignored",
        p0=True,
        what="after a pause an order is sent without proving the account still ours",
        file=_DISPATCHER,
        find="        return self._clock.monotonic() - seat.lane.proven_at <= self._pace.send_within_s",
        put="        return seat.lane.proven_at >= 0",
    ),
    Mutation(
        id="lease-without-margin",
        p0=True,
        what="the account counts as ours for a minute after the last proof",
        file=_DISPATCHER,
        find="    send_within_s: float = 5.0",
        put="    send_within_s: float = 60.0",
    ),
    Mutation(
        id="lease-proven-by-the-answer",
        p0=True,
        what="the account counts as ours from when a commit's answer was read, not from when it was asked",
        file=_LANE,
        find="        self.proven_at = asked_at\n",
        put="        self.proven_at = self._clock.monotonic() + 0 * asked_at\n",
    ),
    Mutation(
        id="kill-not-asked-before-the-wire",
        p0=True,
        what="the kill switch is not asked before an order is sent",
        file=_DISPATCHER,
        find="        if self._kill_guard.forbids(seat, order, asked):\n            return KILL_SWITCH",
        put="        if False:\n            return KILL_SWITCH",
    ),
    Mutation(
        id="nothing-asked-after-a-wait",
        p0=True,
        what="nothing is asked again once an order has waited for a connection",
        file="engine/wire/egress.py",
        find="seat.broker.place(name, terms, veto)",
        put="seat.broker.place(name, terms, lambda: None)",
    ),
    Mutation(
        id="retry-after-any-answer",
        p0=True,
        what="an unclear answer is tried again as if nothing had been sent",
        file=_DISPATCHER,
        find=(
            "            if not isinstance(outcome, Unsent) or attempt == pace.unsent_attempts_max:\n"
            "                break\n"
            "            wait = max(outcome.retry_after_s"
        ),
        put=(
            '            answered = isinstance(outcome, Rejected | Withheld) or hasattr(outcome, "broker_order_id")\n'
            "            if answered or attempt == pace.unsent_attempts_max:\n"
            "                break\n"
            '            wait = max(getattr(outcome, "retry_after_s", 0.0)'
        ),
    ),
    Mutation(
        id="retry-without-cap-or-wait",
        what="what could not be sent is tried again at once, for ever",
        file=_DISPATCHER,
        find="            await self._clock.sleep(min(wait, pace.unsent_wait_s_max))",
        put=(
            "            await self._clock.sleep(0 * wait)\n"
            "            while isinstance(outcome, Unsent):\n"
            "                outcome = await seat.broker.place(order.cl_ord_id, order.terms, veto)"
        ),
    ),
    Mutation(
        id="wrong-version-sent",
        p0=True,
        what="a replacement is sent under the name of the version it replaces",
        file="engine/wire/egress.py",
        find="return await seat.broker.replace(order.broker_order_id, name, order.terms, asked, veto)",
        put=(
            "name = cl_ord_id(order.id, order.version)\n"
            "        return await seat.broker.replace(order.broker_order_id, name, order.terms, asked, veto)"
        ),
    ),
    Mutation(
        id="placed-again-on-acknowledgement",
        p0=True,
        what="an acknowledged order is placed once more",
        file=_DISPATCHER,
        find="                order = lane.books.order(order_id)\n                # A cancel asked",
        put=(
            "                order = lane.books.order(order_id)\n"
            "                if order is not None:\n"
            "                    again = seat.broker.place(order.cl_ord_id, order.terms, lambda: None)\n"
            "                    self.ask(seat, order_id, again)\n"
            "                # A cancel asked"
        ),
    ),
    Mutation(
        id="cancel-of-unknown-lost",
        what="a cancel asked while the order was unknown is never sent",
        file=_DISPATCHER,
        find="            return  # remembered; asked as soon as the order is found",
        put=(
            "            return  # remembered; asked as soon as the order is found\n"
            "        if order.unknown_since is not None:\n"
            "            return"
        ),
    ),
    Mutation(
        id="lost-cancel-not-asked-again",
        what="a cancel that found no answer is not asked again",
        file="engine/reconciling/order_matching.py",
        find="        overdue = self.is_suspect(order) and self.is_due(order)",
        put="        overdue = False",
    ),
)
