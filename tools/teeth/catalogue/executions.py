"""Mistakes with executions: dropped, booked twice, known by the wrong key."""

# ruff: noqa: E501 - the code that is replaced keeps its own lines

from __future__ import annotations

from typing import Final

from tools.teeth.mutation import Mutation

_EXECUTIONS: Final = "core/orders/executions.py"
_KNOWN: Final = "    if known is not None and (known.revision >= report.revision or known.gone):"
_INGEST: Final = "engine/wire/ingest.py"
_MATCHING: Final = "engine/reconciling/order_matching.py"

MUTATIONS: Final = (
    Mutation(
        id="late-fill-dropped",
        p0=True,
        what="an execution after the order's end is dropped",
        file=_EXECUTIONS,
        find=_KNOWN,
        put="    if order.is_final:\n        return None\n" + _KNOWN,
    ),
    Mutation(
        id="fill-after-cancel-dropped",
        p0=True,
        what="an execution after the confirmed cancel is dropped",
        file=_EXECUTIONS,
        find=_KNOWN,
        put='    if order.status == "canceled":\n        return None\n' + _KNOWN,
    ),
    Mutation(
        id="fill-before-ack-dropped",
        p0=True,
        what="an execution of an order that nobody acknowledged is dropped, wherever it is told",
        file=_EXECUTIONS,
        find=_KNOWN,
        put="    if not order.is_proven:\n        return None\n" + _KNOWN,
    ),
    Mutation(
        id="execution-known-without-revision",
        p0=True,
        what="an execution is known by its id alone, so its later revisions are dropped",
        file=_EXECUTIONS,
        find=_KNOWN,
        put="    if known is not None:",
    ),
    Mutation(
        id="execution-known-with-revision",
        p0=True,
        what="each revision counts as an execution of its own",
        file=_EXECUTIONS,
        find="    known = order.executions.get(exec_id)\n    if known is not None and (known.revision >= report.revision",
        put=(
            '    exec_id = f"{exec_id}.{report.revision}"\n'
            "    known = order.executions.get(exec_id)\n"
            "    if known is not None and (known.revision >= report.revision"
        ),
    ),
    Mutation(
        id="execution-known-by-price",
        p0=True,
        what="an execution at the price and quantity of another counts as the same one",
        file=_EXECUTIONS,
        find=_KNOWN,
        put=(
            "    if known is None and any(\n"
            "        (one.quantity, one.price) == (report.quantity, report.price)\n"
            "        for one in order.executions.values()\n"
            "    ):\n"
            "        return None\n" + _KNOWN
        ),
    ),
    Mutation(
        id="repeat-under-a-new-id-booked",
        p0=True,
        what="an execution told again under another id is booked again",
        file="engine/wire/repeats.py",
        find="    alike = looks_like(order, report)\n",
        put="    alike = [] and looks_like(order, report)\n",
    ),
    Mutation(
        id="overfill-clipped",
        p0=True,
        what="an execution beyond the order's quantity is cut to fit",
        file=_EXECUTIONS,
        find="        exec_id=exec_id,\n        revision=report.revision,\n        quantity=report.quantity,\n        price=report.price,\n        fee",
        put=(
            "        exec_id=exec_id,\n"
            "        revision=report.revision,\n"
            "        quantity=min(report.quantity, max(order.terms.quantity - order.cum_qty, 0 * report.quantity)),\n"
            "        price=report.price,\n        fee"
        ),
    ),
    Mutation(
        id="partial-fill-completes",
        p0=True,
        what="a part of an order completes it",
        file=_EXECUTIONS,
        find="order.cum_qty + report.quantity >= order.terms.quantity",
        put="order.cum_qty + report.quantity >= order.terms.quantity / 2",
    ),
    Mutation(
        id="bust-ignored",
        p0=True,
        what="an execution that was taken back stays in the books",
        file=_EXECUTIONS,
        find="    return e.ExecutionBusted(order_id=order.id, at=at, exec_id=exec_id, revision=report.revision)",
        put="    return None",
    ),
    Mutation(
        id="correction-ignored",
        p0=True,
        what="a correction is dropped",
        file=_EXECUTIONS,
        find="    if known.gone or revision <= known.revision:",
        put="    if known.gone or known.quantity:",
    ),
    Mutation(
        id="correction-booked-twice",
        p0=True,
        what="a correction is booked on top of what it corrects",
        file="core/accounts/account.py",
        find="            return _amend(account, instrument, side, gone, quantity=event.quantity, price=event.price, at=at)",
        put="            return _trade(account, instrument, side, event.quantity + 0 * gone.quantity, event.price)",
    ),
    Mutation(
        id="filled-counts-old-and-new",
        p0=True,
        what="an order's filled quantity counts an execution before and after its correction",
        file="core/orders/order.py",
        find="    cum_qty = order.cum_qty - before.quantity + execution.quantity",
        put="    cum_qty = order.cum_qty + execution.quantity",
    ),
    Mutation(
        id="busted-order-stays-filled",
        p0=True,
        what="an order whose completing execution was taken back stays filled",
        file="core/orders/absorb.py",
        find="    if back and order.status in (Status.FILLED, Status.REJECTED):",
        put="    if back and order.status is Status.REJECTED:",
    ),
    Mutation(
        id="reconcile-skips-executions",
        p0=True,
        what="the reconciler reads the broker's executions and books none",
        file=_MATCHING,
        find="            recorded = await self._ingest.absorb(seat, report, execution.snapshot, listed=True)",
        put="            recorded = None",
    ),
    Mutation(
        id="reconcile-reads-only-what-is-new",
        p0=True,
        what="an execution that sorts before the cursor is never read",
        file="engine/reconciling/reconciler.py",
        find="    return None if account is None else account.opening_cursor",
        put="    return None if account is None else account.cursor",
    ),
    Mutation(
        id="foreign-order-dropped",
        p0=True,
        what="an order placed elsewhere is not taken into the books",
        file=_INGEST,
        find="        seen = snapshot or await self._asked(seat, report)",
        put="        seen = None",
    ),
    Mutation(
        id="strange-order-in-the-way",
        p0=True,
        what="an order beyond our terms, placed elsewhere, keeps everything behind it from being read",
        file=_INGEST,
        find="        if seen.terms.symbol == r.NO_SYMBOL:",
        put="        if seen.inexpressible is not None:\n            raise BrokerUnavailable(seen.inexpressible)\n"
        "        if seen.terms.symbol == r.NO_SYMBOL:",
    ),
    Mutation(
        id="unsized-order-completed-by-its-fills",
        p0=False,
        what="an order without a quantity is taken for complete at its first fill",
        file="core/orders/executions.py",
        find="    completes = not order.unsized and order.cum_qty",
        put="    completes = order.cum_qty",
    ),
    Mutation(
        id="own-order-adopted",
        p0=True,
        what="our own order, acknowledged while its news was asked about, is adopted as somebody else's",
        file=_INGEST,
        find="if (order := seat.lane.books.order_of_broker(report.broker_order_id)) is not None:",
        put="if (order := seat.lane.books.order(adopted_order_id(self._env, seat.lane.account, seen, self._clock.now()))) is not None:",
    ),
    Mutation(
        id="cursor-before-its-executions",
        p0=True,
        what="the cursor moves past executions whose order was not known yet",
        file=_MATCHING,
        find="        if seat.withheld or seat.unplaced:",
        put="        if seat.withheld:",
    ),
)
