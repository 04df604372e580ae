"""A market order leaves as a limit order where the limits of its instrument say how far it may go."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from ordergate.core.admission import admit, admit_leg, admit_overridden, preview
from ordergate.core.orders.content import content_hash
from ordergate.core.orders.events import OrderAccepted, OrderDenied
from ordergate.core.orders.order import first
from ordergate.core.orders.terms import OrderType, Side, Terms
from ordergate.core.risk.judge import verdicts
from ordergate.core.risk.limits import Limits
from ordergate.core.risk.marketable import as_limit, whole
from ordergate.core.risk.view import RiskView, Top
from tests.core.examples import NOW, account, place, terms, working
from tests.core.risk_examples import failures, limits, spoiled, view


def converting(percent: str = "1", changes: dict[str, Any] | None = None, **share: Any) -> Limits:
    return limits(changes, share={"market_to_limit_percent": percent, **share})


def quoted(
    limited: Limits | None = None,
    bid: str | None = "99.90",
    ask: str | None = "100.10",
    *,
    age_s: float = 0,
    **more: Any,
) -> RiskView:
    top = Top(
        None if bid is None else Decimal(bid),
        None if ask is None else Decimal(ask),
        NOW - timedelta(seconds=age_s),
    )
    return spoiled(view(converting() if limited is None else limited, **more), top=top)


def asked(side: Side = Side.BUY, quantity: int = 10) -> Terms:
    return terms(side, quantity, None)


@pytest.mark.parametrize(
    ("side", "percent", "price"),
    [
        (Side.BUY, "1", "101.10"),
        (Side.SELL, "1", "98.91"),
        (Side.BUY, "0", "100.10"),
        (Side.SELL, "0", "99.90"),
        (Side.BUY, "0.004", "100.10"),
        (Side.SELL, "0.004", "99.90"),
    ],
)
def test_it_goes_no_further_than_the_percentage_and_rests_on_the_tick(
    side: Side, percent: str, price: str
) -> None:
    found = as_limit(asked(side), quoted(converting(percent)))
    assert found == msgspec.structs.replace(asked(side), type=OrderType.LIMIT, limit_price=Decimal(price))


def test_what_is_accepted_is_the_limit_order_and_says_what_it_was() -> None:
    event = admit(place(asked()), quoted())
    assert isinstance(event, OrderAccepted)
    assert (event.terms.type, event.terms.limit_price) == (OrderType.LIMIT, Decimal("101.10"))
    assert event.converted_from is OrderType.MARKET
    assert event.content_hash == content_hash(event.order_id, 1, event.terms)
    order = first(event)
    assert (order.converted_from, order.said) == (OrderType.MARKET, asked())
    plain = admit(place(terms()), quoted())
    assert isinstance(plain, OrderAccepted)
    assert (plain.converted_from, first(plain).said) == (None, terms())


def test_one_that_is_converted_waits_for_the_own_orders_that_it_would_meet() -> None:
    yielding = converting(changes={"self_match_refused": True, "self_match_cancels_oldest": True})
    own = [working(terms(Side.SELL, 1, 101), 1), working(terms(Side.SELL, 1, 102), 2)]
    event = admit(place(asked()), quoted(yielding, orders=own))
    assert isinstance(event, OrderAccepted), event
    assert event.waits_for == (own[0].id,)


def test_what_is_denied_is_denied_as_it_was_asked() -> None:
    event = admit(place(asked(quantity=2000)), quoted())
    assert isinstance(event, OrderDenied)
    assert event.terms == asked(quantity=2000)


def test_it_is_judged_as_the_limit_order_that_it_becomes() -> None:
    far = quoted(converting("6"))
    assert failures(asked(), far)["R08"].value == "106.1"
    assert [one.control.id for one in preview(asked(), far) if one.failed] == ["R08"]
    assert failures(asked(), quoted(converting("6", {"order_types": ["market"]}))).keys() == {"R08"}


def test_what_is_permitted_is_the_type_that_was_asked_for() -> None:
    assert failures(asked(), quoted(converting(changes={"order_types": ["market"]}))) == {}
    assert failures(asked(), quoted(converting(changes={"order_types": ["limit"]}))).keys() == {"R03"}


@pytest.mark.parametrize(
    ("bid", "ask", "age_s", "reason"),
    [
        (None, "100.10", 0, "no-quote"),
        ("99.90", None, 0, "no-quote"),
        ("0", "100.10", 0, "no-quote"),
        ("99.90", "100.10", 5.000001, "stale-quote"),
        ("99.90", "100.10", -5.000001, "stale-quote"),
        ("100.11", "100.10", 0, "crossed-quote"),
    ],
)
def test_without_a_whole_sane_quote_of_now_it_is_refused(
    bid: str | None, ask: str | None, age_s: float, reason: str
) -> None:
    seen = quoted(None, bid, ask, age_s=age_s)
    assert as_limit(asked(), seen) is None
    assert failures(asked(), seen)["R10"].reason == reason
    assert failures(asked(), spoiled(seen, top=None))["R10"].reason == "no-quote"


@pytest.mark.parametrize("age_s", [5, -5])
def test_a_quote_of_the_greatest_age_is_still_one_of_now_and_a_locked_one_is_sane(age_s: float) -> None:
    assert failures(asked(), quoted(None, "100", "100", age_s=age_s)) == {}


def test_the_spread_is_still_looked_at() -> None:
    limited = converting("1", market_spread_percent="0.1")
    assert failures(asked(), quoted(limited))["R10"].reason == "wide-spread"
    assert failures(asked(), quoted(limited, "99.95", "100.05")) == {}


@pytest.mark.parametrize("other", [terms(), terms(limit=None, stop=101), terms(limit=100, stop=101)])
def test_every_other_order_leaves_as_it_is(other: Terms) -> None:
    assert as_limit(other, quoted()) is None


def test_one_that_has_a_price_it_should_not_have_is_malformed_and_not_mended() -> None:
    wrong = msgspec.structs.replace(terms(), type=OrderType.MARKET)
    assert as_limit(wrong, quoted()) is None
    assert "R05" in failures(wrong, quoted())
    stopped = msgspec.structs.replace(terms(limit=None, stop=101), type=OrderType.MARKET)
    assert as_limit(stopped, quoted()) is None


def test_without_the_limit_nothing_is_converted() -> None:
    assert as_limit(asked(), quoted(limits())) is None
    assert as_limit(asked(), spoiled(quoted(), limits=None)) is None
    assert as_limit(asked(), quoted(limits({"instruments": {}}))) is None


def test_a_repeated_market_order_is_a_duplicate_whatever_its_limit_has_become() -> None:
    seen = quoted()
    assert isinstance(admit(place(asked()), seen), OrderAccepted)
    moved = spoiled(seen, top=Top(Decimal("99"), Decimal("99.20"), NOW))
    assert failures(asked(), moved).keys() == {"R16"}


def test_it_would_meet_an_own_order_wherever_that_rests() -> None:
    resting = working(terms(Side.SELL, 5, 120), 9)
    limited = converting(changes={"self_match_refused": True})
    assert failures(asked(), quoted(limited, orders=[resting]))["R21"].value == "market"


def test_an_order_of_a_group_is_refused_unless_it_only_reduces() -> None:
    event = admit_leg(place(asked()), quoted())
    assert isinstance(event, OrderDenied)
    assert [(no.control, no.reason) for no in event.failed] == [("R10", "market-not-converted")]
    closing = quoted(holding=account(10**6, {terms().symbol: (10, 100)}))
    out = admit_leg(place(asked(Side.SELL)), closing)
    assert isinstance(out, OrderAccepted)
    assert (out.terms.type, out.converted_from) == (OrderType.MARKET, None)


def test_an_override_lifts_what_the_limit_order_breaks() -> None:
    limited = converting("1", {"soft": ["R06"]}, max_order_quantity="5")
    event, lifted = admit_overridden(place(asked()), quoted(limited), ["R06"])
    assert isinstance(event, OrderAccepted)
    assert (event.converted_from, [no.control for no in lifted]) == (OrderType.MARKET, ["R06"])


def test_a_whole_quote_has_two_sides_that_can_be_meant() -> None:
    one = Decimal(1)
    assert whole(Top(one, one, NOW)) is not None
    for bid, ask in ((None, one), (one, None), (Decimal(0), one), (Decimal(-1), one)):
        assert whole(Top(bid, ask, NOW)) is None
    assert whole(None) is None


@pytest.mark.parametrize("percent", ["100", "250"])
def test_all_of_the_price_is_no_limit(percent: str) -> None:
    with pytest.raises(ValueError, match="market_to_limit_percent must be less than 100"):
        converting(percent)


def test_what_was_converted_before_is_judged_again_as_it_was_asked() -> None:
    """As a dry run does, that has no quotes: the type that was asked for is what has to be permitted."""
    leaving = msgspec.structs.replace(asked(), type=OrderType.LIMIT, limit_price=Decimal(101))
    only_market = view(limits({"order_types": ["market"]}))
    plain = {one.control.id for one in verdicts(leaving, only_market) if one.failed}
    said = {one.control.id for one in verdicts(leaving, only_market, asked_as=asked()) if one.failed}
    assert (plain, said) == ({"R03"}, set())


def test_a_preview_knows_that_an_order_can_wait_for_own_ones() -> None:
    yielding = limits({"self_match_refused": True, "self_match_cancels_oldest": True})
    seen = view(yielding, orders=[working(terms(Side.SELL, 1, 100), 9)])
    assert not any(one.failed for one in verdicts(terms(), seen))
    assert all(not one.shadow for one in verdicts(terms(), spoiled(seen, limits=None)))
