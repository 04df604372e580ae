"""Risk's answer becomes an event: only an approval makes an order, and only risk makes an approval."""

import ast
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

import ordergate
from ordergate.core.admission import admit, admit_replace, preview
from ordergate.core.money import ZERO
from ordergate.core.orders.commands import ReplaceOrder
from ordergate.core.orders.content import content_hash
from ordergate.core.orders.events import (
    Basis,
    OrderAccepted,
    OrderDenied,
    ReplaceDenied,
    ReplaceRequested,
)
from ordergate.core.orders.order import as_replaced
from ordergate.core.orders.terms import Side
from ordergate.core.risk.judge import PRECEDENCE
from ordergate.core.risk.limits import config_hash
from ordergate.core.risk.trading_state import Grade, Stop
from ordergate.core.risk.view import MarketHours
from tests.core.examples import NOW, SHARE, account, ids, later, place, terms, working
from tests.core.risk_examples import limits, replacement, spoiled, view

REPLACE = ReplaceOrder(
    order_id=ids(), quantity=None, limit_price=None, stop_price=None, actor="trader", asked_at=NOW
)


def test_an_accepted_order_names_the_limits_and_the_price_that_it_was_judged_by() -> None:
    seen = view(price="100.5", now=later(2))
    assert admit(place(terms()), seen) == OrderAccepted(
        order_id=ids(),
        at=later(2),
        terms=terms(),
        actor="trader",
        config_hash=config_hash(limits()),
        reference_price=seen.reference.price if seen.reference else None,
        content_hash=content_hash(ids(), 1, terms()),
        basis=Basis(ZERO, ZERO, ZERO, reference_at=NOW, reference_source="quote", received_at=NOW),
    )


def test_a_decision_keeps_what_it_was_made_by_and_how_long_it_took() -> None:
    standing = [working(terms(Side.BUY, 3), 1), working(terms(Side.SELL, 4, 101), 2)]
    timed = {"took_us": lambda: 41, "began_us": 7, "offset_us": -12, "hours": MarketHours(True, later(60))}
    seen = spoiled(view(holding=account(10_000, {SHARE: (5, 100)}), orders=standing), **timed)
    kept = Basis(Decimal(5), Decimal(3), Decimal(4), NOW, "quote", took_us=41, monotonic_us=7, offset_us=-12)
    event = admit(place(terms()), seen)
    assert isinstance(event, OrderAccepted)
    assert (event.basis, event.expires_at) == (kept, later(60))
    denied = admit(place(terms(quantity=100_000)), seen)
    assert isinstance(denied, OrderDenied)
    assert (denied.basis, denied.reference_price) == (kept, Decimal(100))


def test_a_denied_order_carries_every_failure_and_the_limits_that_denied_it() -> None:
    tight = limits(share={"max_order_quantity": "1", "max_long": "1"})
    event = admit(place(terms()), view(tight))
    assert isinstance(event, OrderDenied)
    assert [no.control for no in event.failed] == ["R06", "R11"]
    assert event.config_hash == config_hash(tight)
    assert event.terms == terms()


def test_without_limits_an_order_is_denied_under_no_limits() -> None:
    event = admit(place(terms()), spoiled(view(), limits=None))
    assert isinstance(event, OrderDenied)
    assert event.config_hash == "none"


def test_a_replacement_is_requested_under_its_own_version() -> None:
    order = working()
    seen = view(orders=[order], now=later(1))
    assert admit_replace(order, replacement(20, 101), REPLACE, seen) == ReplaceRequested(
        order_id=order.id,
        at=later(1),
        version=2,
        quantity=replacement(20).quantity,
        limit_price=replacement(20, 101).limit_price,
        actor="trader",
        config_hash=config_hash(limits()),
        content_hash=content_hash(order.id, 2, as_replaced(order.terms, replacement(20, 101))),
        reference_price=Decimal(100),
        basis=Basis(ZERO, Decimal(10), ZERO, NOW, "quote", NOW),
    )


def test_a_denied_replacement_carries_every_failure() -> None:
    order = working()
    event = admit_replace(order, replacement(2000), REPLACE, view(orders=[order]))
    assert isinstance(event, ReplaceDenied)
    assert [no.control for no in event.failed] == ["R06", "R07", "R11"]


def test_whatever_was_asked_for_counts_as_a_message() -> None:
    order = working()
    seen = view(limits({"message_windows": [[3, 60]]}, share={"max_order_quantity": "10"}), orders=[order])
    assert isinstance(admit(place(terms()), seen), OrderAccepted)
    assert isinstance(admit(place(terms(quantity=11)), seen), OrderDenied)
    assert isinstance(admit_replace(order, replacement(5), REPLACE, seen), ReplaceRequested)
    denied = admit(place(terms(quantity=9)), seen)
    assert isinstance(denied, OrderDenied)
    assert [no.control for no in denied.failed] == ["R15"]


def test_only_an_accepted_order_makes_its_equal_a_duplicate() -> None:
    seen = view(limits({"reference_price_max_age_s": "60"}))
    killed = spoiled(seen, kill=Stop(Grade.BLOCK_NEW))
    assert isinstance(admit(place(terms()), killed), OrderDenied)
    assert isinstance(admit(place(terms()), seen), OrderAccepted)
    denied = admit(place(terms(), 1), seen)
    assert isinstance(denied, OrderDenied)
    assert [no.control for no in denied.failed] == ["R16"]
    assert isinstance(admit(place(terms(), 1), spoiled(seen, now=later(10))), OrderAccepted)


def test_a_denied_order_reserves_nothing() -> None:
    seen = view()
    admit(place(terms(quantity=5000)), seen)
    assert seen.exposure.count == 0


def test_a_preview_says_how_each_control_would_judge_and_counts_nothing() -> None:
    seen = view(limits({"message_windows": [[1, 60]]}, share={"max_order_quantity": "1"}))
    for _ in range(3):
        judged = preview(terms(), seen)
        assert [verdict.control.id for verdict in judged] == [control.id for control in PRECEDENCE]
        assert [verdict.control.id for verdict in judged if verdict.failed] == ["R06"]
    assert seen.buckets.orders.tokens(NOW) == 1
    assert len(seen.recent) == 0


def test_the_same_view_gives_the_same_answer() -> None:
    for asked in (terms(), terms(quantity=5000)):
        one, other = (admit(place(asked), view(now=later(1))) for _ in range(2))
        assert one == other


def test_a_decision_depends_on_the_view_and_not_on_when_it_is_asked() -> None:
    seen = view()
    seen.recent.remember(terms(), NOW - timedelta(milliseconds=1))
    assert isinstance(admit(place(terms()), seen), OrderDenied)


@pytest.mark.parametrize(
    ("made", "by"),
    [
        ("Approved", {"core/risk/judge.py"}),
        ("OrderAccepted", {"core/admission.py"}),
        ("ReplaceRequested", {"core/admission.py"}),
        ("OrderDenied", {"core/admission.py"}),
        ("ReplaceDenied", {"core/admission.py"}),
    ],
)
def test_an_approval_and_what_follows_from_it_are_made_in_one_place(made: str, by: set[str]) -> None:
    root = Path(ordergate.__file__).parent
    makers = {
        str(file.relative_to(root))
        for file in root.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and _called(node.func) == made and node.keywords + list(node.args) != []
    }
    assert makers == by


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
