"""What is shown as used is what the controls compare, for every limit that bounds a level."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from ordergate.core.money import text
from ordergate.core.orders.terms import Side
from ordergate.core.risk.limits import Limits
from ordergate.core.risk.rates import MessageBuckets
from ordergate.core.risk.utilization import Standing, Use, levels, measured, utilization
from tests.core.examples import FUTURE, NOW, SHARE, account, terms, working
from tests.core.risk_examples import failures, limits, view


def seen_of(limited: Limits, *, orders: int = 0, held: int = 0, sent: int = 0) -> tuple[Standing, list[Use]]:
    opened = [working(terms(Side.BUY, 10, 100), number) for number in range(1, orders + 1)]
    looked = view(limited, holding=account(10_000, {SHARE: (held, 100)} if held else {}), orders=opened)
    buckets = MessageBuckets(limited)
    for _ in range(sent):
        buckets.order_sent(NOW)
    standing = Standing(now=NOW, account=looked.account, exposure=looked.exposure, buckets=buckets)
    return standing, utilization(limited, standing, {"max_open_orders": "firm"})


def one(uses: list[Use], limit: str, symbol: str | None = None) -> Use:
    return next(use for use in uses if (use.limit, use.symbol) == (limit, symbol))


def test_every_limit_on_a_level_has_a_use() -> None:
    assert measured() == levels()


def test_uses_are_counted_as_the_controls_count_them() -> None:
    _, uses = seen_of(limits(), orders=3, held=5, sent=7)
    orders = one(uses, "max_open_orders")
    assert (orders.used, orders.value, orders.headroom, orders.percent) == ("3", "100", "97", "3")
    assert orders.rule == "firm"
    assert one(uses, "max_open_notional").used == "3000"
    assert one(uses, "max_long", SHARE).used == "35"
    assert one(uses, "max_short", SHARE).used == "0"
    windows = [use for use in uses if use.limit == "message_windows"]
    assert [(use.window_s, use.used, use.value) for use in windows] == [(1, "7", "100"), (60, "7", "1000")]
    assert one(uses, "cancel_windows").used == "0"


def test_a_limit_on_one_order_is_listed_without_a_use() -> None:
    _, uses = seen_of(limits())
    largest = one(uses, "max_order_quantity", SHARE)
    assert (largest.value, largest.used, largest.headroom) == ("1000", None, None)
    assert one(uses, "collar_ticks", FUTURE).value == "40"
    assert not any(use.limit in ("enabled", "initial_margin") for use in uses)


def test_headroom_is_what_still_passes_and_one_more_is_refused() -> None:
    limited = limits({"max_open_notional": "3500"}, share={"max_long": "36"})
    _, uses = seen_of(limited, orders=3)
    room = one(uses, "max_long", SHARE).headroom
    assert room == "6"
    looked = view(limited, orders=[working(terms(Side.BUY, 10, 100), number) for number in (1, 2, 3)])
    assert "R11" not in failures(terms(Side.BUY, int(room), 100), looked)
    assert "R11" in failures(terms(Side.BUY, int(room) + 1, 100), looked)
    money = one(uses, "max_open_notional").headroom
    assert money is not None
    fits = int(Decimal(money) / 100)
    assert "R14" not in failures(terms(Side.BUY, fits, 100), looked)
    assert "R14" in failures(terms(Side.BUY, fits + 1, 100), looked)


def test_what_is_not_known_is_not_guessed_and_none_of_nothing_has_no_percent() -> None:
    unpriced = msgspec.structs.replace(working(terms(Side.SELL, 10, None), 1), reference_price=None)
    looked = view(limits({"max_open_orders": 0}), orders=[unpriced])
    standing = Standing(
        now=NOW, account=looked.account, exposure=looked.exposure, buckets=MessageBuckets(limits())
    )
    assert looked.exposure.has_unpriced
    uses = utilization(limits({"max_open_orders": 0}), standing, {})
    assert one(uses, "max_open_notional").used is None
    orders = one(uses, "max_open_orders")
    assert (orders.used, orders.headroom, orders.percent) == ("1", "-1", None)
    assert text(Decimal(orders.headroom or "0")) == "-1"
