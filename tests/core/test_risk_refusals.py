"""What a refusal says, word for word and number for number: people and programs act on it."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from ordergate.core.ids import Symbol
from ordergate.core.orders.events import FailedControl, Severity
from ordergate.core.orders.terms import Side, Terms
from ordergate.core.risk.view import RiskView
from tests.core.examples import ACCOUNT, FUTURE, NOW, SHARE, account, later, terms, working
from tests.core.risk_examples import SAID_OF_PRICE, failures, limits, spoiled, view


def told(control: str, reason: str, detail: str, **more: object) -> FailedControl:
    return FailedControl(control=control, reason=reason, detail=detail, **more)  # type: ignore[arg-type]  # as named


def repeated() -> RiskView:
    seen = view()
    seen.recent.remember(terms(), NOW)
    return spoiled(seen, now=later("0.5"))


def spent(windows: list[list[int]]) -> RiskView:
    seen = view(limits({"message_windows": windows}))
    for _ in range(2):
        seen.buckets.order_sent(NOW)
    return seen


FLAT_BY = {"trading_day": {"zone": "UTC", "ends_at": "20:00", "flatten_by": "14:00"}}
CASES = [
    (
        terms(),
        view(limits({"enabled": False})),
        told("R02", "not-enabled", f"account {ACCOUNT} is not enabled for trading", inputs={"version": "1"}),
    ),
    (
        msgspec.structs.replace(terms(), symbol=Symbol("OTHER")),
        view(),
        told("R05", "wrong-account", f"judged for {ACCOUNT} and {SHARE}"),
    ),
    (
        terms(quantity="-1"),
        view(),
        told("R05", "not-positive", "quantity must be positive", inputs={"quantity": "-1"}),
    ),
    (
        terms(quantity="NaN"),
        view(),
        told("R05", "not-positive", "quantity must be positive", inputs={"quantity": "NaN"}),
    ),
    (
        terms(limit="100.001"),
        view(),
        told(
            "R05",
            "off-tick",
            "limit_price must be a multiple of 0.01",
            inputs={"limit_price": "100.001", "step": "0.01"},
        ),
    ),
    (
        terms(limit=None, stop="100.001"),
        view(),
        told(
            "R05",
            "off-tick",
            "stop_price must be a multiple of 0.01",
            inputs={"stop_price": "100.001", "step": "0.01"},
        ),
    ),
    (
        terms(limit="100.0000000001"),
        view(),
        told(
            "R05",
            "over-precise",
            "limit_price has too many digits",
            inputs={"limit_price": "100.0000000001"},
        ),
    ),
    (
        terms(),
        view(limits(share={"max_long": "5"}), holding=account(positions={SHARE: (1, 100)})),
        told(
            "R11",
            "position",
            "the long position 11 is over the limit 5",
            limit="5",
            value="11",
            headroom="-6",
            inputs={"position": "1", "open": "0", "added": "10"},
        ),
    ),
    (
        terms(Side.SELL),
        view(limits(share={"max_short": "5"}), holding=account(positions={SHARE: (1, 100)})),
        told(
            "R11",
            "position",
            "the short position 9 is over the limit 5",
            limit="5",
            value="9",
            headroom="-4",
            inputs={"position": "1", "open": "0", "added": "10"},
        ),
    ),
    (
        terms(),
        view(holding=account(999), power=None),
        told(
            "R13",
            "buying-power",
            "what open orders and this need 1000 is over the limit 899.1",
            limit="899.1",
            value="1000",
            headroom="-100.9",
            inputs=SAID_OF_PRICE | {"own": "999", "source": "own less haircut", "cash": "999"},
        ),
    ),
    (
        terms(),
        view(limits({"max_open_orders": 0})),
        told(
            "R14",
            "open-orders",
            "the number of open orders 1 is over the limit 0",
            limit="0",
            value="1",
            headroom="-1",
        ),
    ),
    (
        terms(),
        view(limits({"max_open_notional": "999"})),
        told(
            "R14",
            "open-notional",
            "the value of open orders 1000 is over the limit 999",
            limit="999",
            value="1000",
            headroom="-1",
            inputs=SAID_OF_PRICE | {"open": "0", "added": "1000"},
        ),
    ),
    (
        terms(),
        spent([[9, 1], [2, 60]]),
        told(
            "R15",
            "message-rate",
            "more than 2 messages in 60 s",
            limit="2",
            value="3",
            headroom="-1",
            inputs={"window_s": "60"},
        ),
    ),
    (
        terms(),
        spoiled(spent([[9, 1]]), limits=limits()),
        told("R15", "rate-state-stale", "the limits changed; counting again"),
    ),
    (
        terms(),
        repeated(),
        told(
            "R16",
            "duplicate",
            "an equal order was accepted less than 1 s ago",
            limit="1",
            value="0.5",
            inputs={"accepted_at": NOW.isoformat()},
        ),
    ),
    (
        terms(),
        spoiled(repeated(), now=later("1.5")),
        told(
            "R16",
            "duplicate",
            "an equal order was accepted less than 10 s ago",
            limit="10",
            value="1.5",
            inputs={"accepted_at": NOW.isoformat()},
            severity=Severity.SOFT,
        ),
    ),
    (
        terms(),
        view(limits(FLAT_BY)),
        told(
            "R22",
            "flatten-by",
            "it is past the time to be flat: only orders that make a position smaller pass",
            limit="2026-01-05T14:00:00+00:00",
            value=NOW.isoformat(),
            inputs={"until": "2026-01-05T20:00:00+00:00", "zone": "UTC"},
        ),
    ),
]


@pytest.mark.parametrize(("asked", "seen", "failed"), CASES, ids=lambda one: getattr(one, "reason", ""))
def test_a_refusal_says_all_of_this(asked: Terms, seen: RiskView, failed: FailedControl) -> None:
    assert failures(asked, seen)[failed.control] == failed


def test_the_needs_of_every_symbol_add_up() -> None:
    orders = [working(terms(Side.BUY, 5, 100), 1), working(terms(Side.BUY, 1, 4800, symbol=FUTURE), 2)]
    holding = account(11_000, {SHARE: (0, 100)})
    seen = view(limits({"buying_power_haircut_percent": "0"}), holding=holding, orders=orders, power=None)
    assert "R13" not in failures(terms(quantity=5), seen)
    failed = failures(terms(quantity=6), seen)["R13"]
    assert (failed.value, failed.limit) == ("11100", "11000")


def test_an_amount_of_great_size_or_precision_is_none() -> None:
    for quantity in ("1E+18", "1234567890123456789", "1E-10"):
        asked = msgspec.structs.replace(terms(), quantity=Decimal(quantity))
        assert failures(asked, view())["R05"].reason == "over-precise"
