"""Every rule that heals a break: what proves it, and what does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.accounts import breaks
from ordergate.core.accounts.breaks import NOT_FOUND, SEVERITY, Break, Nature
from ordergate.core.accounts.events import BreakOpened
from ordergate.core.accounts.healing import RULES, Evidence, healed_by
from ordergate.core.ids import OrderId
from ordergate.core.orders import events as e
from ordergate.core.orders.order import Order, evolve
from tests.core.examples import ACCOUNT, NOW, filled, ids, terms, working

ORDER = ids(1)


def broken(nature: Nature, subject: str = "AAPL", ours: str = "1", theirs: str = "2") -> Break:
    return breaks.opened(
        BreakOpened(
            account=ACCOUNT,
            at=NOW,
            break_id="b-1",
            nature=nature,
            severity=SEVERITY[nature],
            subject=subject,
            ours=ours,
            theirs=theirs,
        )
    )


def canceled(order: Order) -> Order:
    return evolve(order, e.OrderCanceled(order_id=order.id, at=NOW, evidence="told"))


def seen(*orders: Order, shown: bool = False, listed: bool = True) -> Evidence:
    return Evidence(
        orders={order.id: order for order in orders},
        shown=frozenset({order.id for order in orders}) if shown else frozenset(),
        listed_all=listed,
    )


OPEN = working(terms(quantity=10), 1)
DENIED = broken(Nature.ORDER_STATUS, ORDER, "working", NOT_FOUND)
ALIVE = broken(Nature.ORDER_STATUS, ORDER, "canceled", "working")
MISSING = broken(Nature.EXECUTION_MISSING, ORDER, "0", "4")
POSITION = broken(Nature.POSITION)
COMPARED = frozenset({Nature.POSITION})


@pytest.mark.parametrize(
    ("item", "evidence", "rule"),
    [
        (POSITION, Evidence(all_compared=COMPARED), "sides-agree"),
        (POSITION, Evidence(), None),  # nothing was compared
        (POSITION, Evidence(all_compared=frozenset({Nature.CASH})), None),
        (POSITION, Evidence(all_compared=COMPARED, moving=frozenset({POSITION.key})), None),
        (POSITION, Evidence(all_compared=COMPARED, differing=frozenset({POSITION.key})), None),
        (broken(Nature.CASH, "USD"), Evidence(all_compared=frozenset({Nature.CASH})), "sides-agree"),
        (MISSING, seen(evolve(OPEN, filled(4, number=1))), "executions-came"),
        (MISSING, Evidence(complete=frozenset({ORDER})), "counts-agree"),
        (MISSING, seen(OPEN, shown=True), None),
        (MISSING, seen(evolve(OPEN, filled(3, number=1))), None),
        (MISSING, seen(), None),
        (DENIED, seen(OPEN, shown=True), "order-shown"),
        (DENIED, seen(OPEN), None),
        (DENIED, seen(canceled(OPEN)), "order-ended"),
        (ALIVE, seen(canceled(OPEN), shown=True), None),
        (ALIVE, seen(canceled(OPEN), listed=False), None),
        (ALIVE, seen(canceled(OPEN)), "order-gone"),
        (broken(Nature.STREAM), Evidence(stream_heard=True), "stream-heard"),
        (broken(Nature.STREAM), Evidence(), None),
    ],
)
def test_a_rule_heals_on_its_proof_alone(item: Break, evidence: Evidence, rule: str | None) -> None:
    healing = healed_by(item, evidence)
    assert (None if healing is None else healing.rule) == rule
    assert healing is None or healing.evidence


EVIDENCE = st.builds(
    Evidence,
    differing=st.frozensets(st.sampled_from([POSITION.key, DENIED.key])),
    all_compared=st.frozensets(st.sampled_from(list(Nature))),
    orders=st.sampled_from([{}, {ORDER: OPEN}, {ORDER: canceled(OPEN)}]),
    shown=st.frozensets(st.sampled_from([ORDER, OrderId("other")])),
    listed_all=st.booleans(),
    stream_heard=st.booleans(),
)


@given(EVIDENCE)
def test_no_evidence_heals_a_session_that_was_another_account(evidence: Evidence) -> None:
    assert healed_by(broken(Nature.ENVIRONMENT, ACCOUNT, "ours", "theirs"), evidence) is None


@given(st.sampled_from([POSITION, DENIED, ALIVE, MISSING]), EVIDENCE)
def test_nothing_is_healed_on_no_evidence_and_every_proof_is_of_a_rule_for_that_nature(
    item: Break, evidence: Evidence
) -> None:
    assert healed_by(item, Evidence()) is None
    healing = healed_by(item, evidence)
    if healing is not None:
        (rule,) = [rule for rule in RULES if rule.name == healing.rule]
        assert item.nature in rule.natures


def test_every_nature_has_a_rule_but_those_that_a_person_must_look_at() -> None:
    covered = frozenset().union(*(rule.natures for rule in RULES))
    assert covered == frozenset(Nature) - {Nature.ENVIRONMENT, Nature.EGRESS}
