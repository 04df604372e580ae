"""Random lives of an order: commands of ours, news of a broker, late, twice and in the wrong order.

Strategies only; nothing here knows what should come of them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Final

from hypothesis import strategies as st

from ordergate.core.ids import cl_ord_id
from ordergate.core.orders import events as e
from ordergate.core.orders import reports as r
from ordergate.core.orders.absorb import proven
from ordergate.core.orders.commands import CancelOrder, ReplaceOrder
from ordergate.core.orders.decide import decide_cancel, decide_replace
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order, evolve
from ordergate.core.refusals import Refusal
from tests.core.examples import NOW, ids

AT: Final = NOW + timedelta(seconds=1)

Step = Callable[[Order], tuple[e.AnyOrderEvent, ...]]

QUANTITIES: Final = st.integers(1, 12).map(Decimal)
PRICES: Final = st.integers(95, 105).map(Decimal)
VERSIONS: Final = st.integers(1, 3)
EXECUTIONS: Final = st.sampled_from(["x-1", "x-2", "x-3", "x-4"])


@st.composite
def reports(draw: st.DrawFn) -> r.AnyReport:
    """Any report at all about the order, of any version, true or not."""
    version = draw(VERSIONS)
    cl, broker = cl_ord_id(ids(), version), f"b-{version}"
    kind = draw(st.sampled_from(_REPORTS))
    exec_id, quantity, price = draw(EXECUTIONS), draw(QUANTITIES), draw(PRICES)
    if kind is r.ExecutedReport or kind is r.CorrectedReport:
        revision = draw(st.integers(0, 2))
        return kind(
            cl_ord_id=cl,
            version=version,
            broker_order_id=broker,
            exec_id=exec_id,
            revision=revision,
            quantity=quantity,
            price=price,
        )
    if kind is r.BustedReport:
        return r.BustedReport(cl_ord_id=cl, version=version, broker_order_id=broker, exec_id=exec_id)
    if kind is r.ReplacedReport:
        return r.ReplacedReport(
            cl_ord_id=cl, version=version, broker_order_id=broker, replaced_by=f"b-{version + 1}"
        )
    if kind in _WITH_REASON:
        return kind(cl_ord_id=cl, version=version, broker_order_id=broker, reason="no")
    plain: r.AnyReport = kind(cl_ord_id=cl, version=version, broker_order_id=broker)
    return plain


_WITH_REASON: Final = (r.RejectedReport, r.CancelRejectedReport, r.ReplaceRejectedReport)
_REPORTS: Final = (
    r.AcknowledgedReport,
    r.ExecutedReport,
    r.ExecutedReport,
    r.ExecutedReport,
    r.BustedReport,
    r.CorrectedReport,
    r.CanceledReport,
    r.ExpiredReport,
    r.ReplacedReport,
    *_WITH_REASON,
)


ACKNOWLEDGED: Final = r.AcknowledgedReport(cl_ord_id=cl_ord_id(ids(), 1), version=1, broker_order_id="b-1")


def heard(report: r.AnyReport) -> Step:
    return lambda order: proven(order, report, AT)


def cancel(order: Order) -> tuple[e.AnyOrderEvent, ...]:
    answer = decide_cancel(order, CancelOrder(order_id=order.id, actor="trader", asked_at=AT))
    return () if isinstance(answer, Refusal) else (answer,)


def replace(quantity: Decimal, limit: Decimal) -> Step:
    def step(order: Order) -> tuple[e.AnyOrderEvent, ...]:
        asked = decide_replace(
            order,
            ReplaceOrder(
                order_id=order.id,
                quantity=quantity,
                limit_price=limit,
                stop_price=None,
                actor="trader",
                asked_at=AT,
            ),
        )
        if isinstance(asked, Refusal):
            return ()
        return (
            e.ReplaceRequested(
                order_id=order.id,
                at=AT,
                version=asked.version,
                quantity=asked.quantity,
                limit_price=asked.limit_price,
                stop_price=asked.stop_price,
                actor="trader",
                config_hash="none",
            ),
        )

    return step


def unanswered(asked: e.Asked) -> Step:
    """A call that gave up. What was never asked cannot be unanswered."""

    def step(order: Order) -> tuple[e.AnyOrderEvent, ...]:
        if order.status is Status.DENIED:
            return ()
        return (e.OutcomeUnknown(order_id=order.id, at=AT, asked=asked, why="timeout"),)

    return step


def steps() -> st.SearchStrategy[Step]:
    return st.one_of(
        reports().map(heard),
        reports().map(heard),
        st.just(cancel),
        st.builds(replace, QUANTITIES, PRICES),
        st.sampled_from(e.Asked).map(unanswered),
    )


def histories() -> st.SearchStrategy[list[Step]]:
    """Steps, with some of them told again later."""

    def with_repeats(taken: list[Step]) -> st.SearchStrategy[list[Step]]:
        again = st.lists(st.sampled_from(taken), max_size=6) if taken else st.just([])
        return again.map(lambda repeated: taken + repeated)

    lives = st.lists(steps(), max_size=20).flatmap(with_repeats)
    return st.tuples(st.sampled_from([[], [heard(ACKNOWLEDGED)]]), lives).map(
        lambda parts: parts[0] + parts[1]
    )


def live(order: Order, history: list[Step]) -> list[tuple[Order, e.AnyOrderEvent, Order]]:
    """Everything that happens: the order before, the event, the order after."""
    happened = []
    for step in history:
        for event in step(order):
            after = evolve(order, event)
            happened.append((order, event, after))
            order = after
    return happened
