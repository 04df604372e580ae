"""What a control needs and does not get is a no, and so is a control that breaks."""

from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest

from ordergate.core.faults import InvariantBroken
from ordergate.core.ids import Symbol
from ordergate.core.orders.events import FailedControl
from ordergate.core.orders.order import Order
from ordergate.core.orders.terms import Side, Terms
from ordergate.core.risk.exposure import Exposure
from ordergate.core.risk.judge import (
    PRECEDENCE,
    Approved,
    Control,
    Denied,
    evaluate,
    judge_leg,
    judge_place,
)
from ordergate.core.risk.limits import RateWindow
from ordergate.core.risk.rates import TokenBucket
from ordergate.core.risk.view import BuyingPower, Proposal, ReferencePrice, RiskView
from tests.core.examples import FUTURE, NOW, SHARE, account, future, later, place, share, terms, working
from tests.core.risk_examples import (
    INSTRUMENTS,
    SAID_OF_PRICE,
    failures,
    limits,
    replace_failures,
    replacement,
    spoiled,
    view,
)


def reasons(asked: Terms, seen: RiskView) -> dict[str, str]:
    return {control: no.reason for control, no in failures(asked, seen).items()}


def test_without_limits_nothing_that_has_one_passes() -> None:
    assert reasons(terms(), spoiled(view(), limits=None)) == dict.fromkeys(
        [control.id for control in PRECEDENCE if control.id not in {"R01", "R05", "R10", "R25"}], "no-limits"
    )


PRICED = ["R07", "R08", "R13", "R14"]


@pytest.mark.parametrize("asked", [terms(), terms(limit=None), terms(limit=None, stop=101)])
def test_without_a_reference_price_nothing_that_is_valued_passes(asked: Terms) -> None:
    assert reasons(asked, spoiled(view(), reference=None)) == dict.fromkeys(PRICED, "no-reference-price")


@pytest.mark.parametrize(
    ("seconds", "fresh"), [("5", True), ("5.000001", False), ("-5", True), ("-5.000001", False)]
)
def test_a_reference_price_must_be_of_now(seconds: str, fresh: bool) -> None:
    expected = {} if fresh else dict.fromkeys(PRICED, "stale-reference-price")
    assert reasons(terms(), spoiled(view(), now=later(seconds))) == expected


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity"])
def test_a_reference_price_must_be_a_price(price: str) -> None:
    seen = spoiled(view(), reference=ReferencePrice(Decimal(price), NOW, "trade"))
    assert reasons(terms(), seen) == dict.fromkeys(PRICED, "no-reference-price")


def test_a_stale_price_says_how_old_it_is_and_where_it_came_from() -> None:
    no = failures(terms(), spoiled(view(), now=later(7)))["R07"]
    assert "7 s old" in no.detail
    assert no.inputs == SAID_OF_PRICE | {"reference_age_s": "7", "reference_at": NOW.isoformat()}


@pytest.mark.parametrize(("holding", "instrument"), [("EUR", "USD"), ("USD", "EUR")])
def test_without_a_rate_between_two_currencies_nothing_that_is_valued_passes(
    holding: str, instrument: str
) -> None:
    seen = spoiled(
        view(),
        account=msgspec.structs.replace(account(), currency=holding),
        instrument=share(currency=instrument),
    )
    assert reasons(terms(), seen) == dict.fromkeys(["R07", "R13", "R14"], "no-fx-rate")


def test_a_future_without_a_margin_is_refused() -> None:
    bare = {"instruments": {FUTURE: _without_margin()}}
    seen = view(limits(bare), symbol=FUTURE, price=4800)
    assert reasons(terms(quantity=1, limit=4800, symbol=FUTURE), seen) == {"R13": "no-initial-margin"}


def test_a_future_held_elsewhere_without_a_margin_ties_up_nobody_knows_what() -> None:
    bare = limits({"instruments": {SHARE: _of_share(), FUTURE: _without_margin()}})
    holding = account(positions={FUTURE: (1, 4800)})
    assert reasons(terms(), view(bare, holding=holding)) == {"R13": "no-initial-margin"}


def _without_margin() -> dict[str, object]:
    return {
        "max_order_quantity": "100",
        "max_order_notional": "10000000",
        "max_long": "100",
        "max_short": "100",
        "collar_ticks": 40,
    }


def _of_share() -> dict[str, object]:
    return {**_without_margin(), "collar_percent": "5"}


def test_an_open_order_without_a_value_makes_every_sum_of_values_unknown() -> None:
    unpriced = working(terms(limit=None), 1, reference=None)
    assert reasons(terms(), view(orders=[unpriced])) == dict.fromkeys(["R13", "R14"], "unpriced-exposure")


def test_a_replacement_of_an_order_without_a_value_is_refused() -> None:
    unpriced = working(terms(limit=None), 1, reference=None)
    failed = replace_failures(unpriced, replacement(20, None), view(orders=[unpriced]))
    assert {control: no.reason for control, no in failed.items()} == dict.fromkeys(
        ["R13", "R14"], "unpriced-exposure"
    )


def test_a_position_in_what_is_not_listed_ties_up_nobody_knows_what() -> None:
    holding = account(positions={Symbol("GONE"): (5, 10)})
    assert reasons(terms(), view(holding=holding)) == {"R13": "unpriced-exposure"}


def test_a_position_in_another_currency_ties_up_nobody_knows_what() -> None:
    seen = spoiled(
        view(holding=account(positions={FUTURE: (1, 4800)})),
        exposure=Exposure({SHARE: share(), FUTURE: future(currency="EUR")}),
    )
    assert reasons(terms(), seen) == {"R13": "no-fx-rate"}


def test_a_position_that_was_closed_ties_up_nothing() -> None:
    assert failures(terms(), view(holding=account(positions={Symbol("GONE"): (0, 10)}))) == {}


def test_a_replacement_of_an_order_that_nobody_reserved_counts_in_full() -> None:
    limited = limits(share={"max_long": "19"})
    failed = replace_failures(working(), replacement(20), view(limited))
    assert failed["R11"].inputs["added"] == "20"


class _Breaks(Exposure):
    """An exposure that cannot be read."""

    @property
    def count(self) -> int:
        raise InvariantBroken("a sum that must hold did not")


def test_a_control_that_breaks_has_not_passed_and_says_only_what_kind_of_fault_it_was() -> None:
    failed = failures(terms(), spoiled(view(), exposure=_Breaks(INSTRUMENTS)))
    assert list(failed) == ["R14"]
    assert failed["R14"].reason == "control-error"
    assert failed["R14"].detail == "the control could not be evaluated (InvariantBroken)"


@pytest.mark.parametrize(("took_us", "refused"), [(50_000, []), (50_001, ["judged-too-slowly"])])
def test_an_answer_that_took_longer_than_50_ms_is_a_no_whatever_is_in_shadow(
    took_us: int, refused: list[str]
) -> None:
    limited = msgspec.structs.replace(limits(), shadow=frozenset({"R25"}))
    slow = spoiled(view(limited), took_us=lambda: took_us)
    assert [no.reason for no in failures(terms(), slow).values()] == refused


def test_a_leg_that_only_closes_what_is_held_is_not_lost_to_a_slow_answer() -> None:
    held = account(10_000, {SHARE: (10, 100)})
    seen = spoiled(view(holding=held), took_us=lambda: 60_000)
    leg = place(terms(Side.SELL, 10))
    assert isinstance(judge_leg(leg, seen), Approved)
    assert isinstance(judge_place(leg, seen), Denied)


def test_one_control_that_breaks_leaves_the_others_their_say() -> None:
    seen = spoiled(view(limits(share={"max_order_quantity": "1"})), exposure=_Breaks(INSTRUMENTS))
    assert list(failures(terms(), seen)) == ["R06", "R14"]


def test_a_time_without_a_zone_is_a_no_and_not_a_crash() -> None:
    naive = datetime.fromisoformat("2026-01-05T14:30:00")
    failed = failures(terms(), spoiled(view(), now=naive))
    assert {no.reason for no in failed.values()} == {"control-error"}
    assert {"R07", "R15"} <= set(failed)


def test_numbers_that_are_none_are_refused_by_every_control_that_counts_with_them() -> None:
    failed = failures(terms(quantity="NaN"), view())
    assert {"R05", "R06", "R07", "R11", "R13", "R14"} <= set(failed)
    assert failed["R06"].reason == "control-error"


@pytest.mark.parametrize("control", PRECEDENCE, ids=lambda control: control.id)
def test_no_control_passes_on_an_exception(control: Control) -> None:
    def broken(proposal: Proposal, seen: RiskView) -> FailedControl | None:
        raise ZeroDivisionError

    answer = evaluate(control._replace(check=broken), Proposal(terms=terms()), view())
    assert answer is not None
    assert (answer.control, answer.reason) == (control.id, "control-error")


def test_a_broker_figure_from_the_future_is_not_used() -> None:
    seen = spoiled(view(holding=account(1000)), buying_power=BuyingPower(Decimal(10**6), later("60.000001")))
    assert failures(terms(), seen)["R13"].inputs["source"] == "own less haircut"


def test_a_full_memory_of_recent_orders_refuses_rather_than_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ordergate.core.risk.recent.RECENT_MAX", 2)
    seen = view()
    for quantity in (1, 2):
        seen.recent.remember(terms(quantity=quantity), NOW)
    assert reasons(terms(), seen) == {"R16": "duplicate-memory-full"}
    assert "R16" not in failures(terms(), spoiled(seen, now=later(10)))


def test_a_bucket_without_windows_holds_nothing() -> None:
    assert TokenBucket(()).tokens(NOW) == 0
    assert TokenBucket((RateWindow(5, 1),)).tokens(NOW.astimezone(UTC)) == 5


def test_an_order_that_nobody_knows_is_unlike_any_that_is_open() -> None:
    order: Order = working(number=7)
    assert view(orders=[order]).exposure.held(working(number=8).id) is None


EXPOSED = limits({"max_gross_exposure": "100000"})
DAY = {"zone": "UTC", "ends_at": "00:00"}


def unlisted(seen: RiskView, symbols: set[Symbol]) -> RiskView:
    assert seen.valuation is not None
    seen.valuation.looked_up(NOW, frozenset(symbols))
    return seen


def in_another_currency(seen: RiskView) -> RiskView:
    assert seen.valuation is not None
    euros = msgspec.structs.replace(future(), currency="EUR")
    position = account(positions={FUTURE: (1, 4800)}).position(FUTURE)
    seen.valuation.moved(FUTURE, position, seen.exposure.of(FUTURE), euros, "USD")
    return seen


@pytest.mark.parametrize(
    ("control", "seen", "reason", "detail"),
    [
        ("R02", spoiled(view(), limits=None), "no-limits", "no limits are configured for the account"),
        ("R06", view(limits({"instruments": {}})), "no-limits", "no limits are configured for AAPL"),
        ("R07", spoiled(view(), reference=None), "no-reference-price", "no price of AAPL is known"),
        (
            "R07",
            spoiled(view(), reference=ReferencePrice(Decimal(-1), NOW, "trade")),
            "no-reference-price",
            "the last price was -1",
        ),
        ("R07", spoiled(view(), now=later(6)), "stale-reference-price", "the price of AAPL is 6 s old"),
        (
            "R07",
            spoiled(view(), instrument=msgspec.structs.replace(share(), currency="EUR")),
            "no-fx-rate",
            "no rate from EUR to USD is known",
        ),
        (
            "R12",
            spoiled(view(EXPOSED), valuation=None),
            "valuation-stale",
            "the account has not been valued of late",
        ),
        (
            "R12",
            unlisted(view(EXPOSED), {FUTURE, SHARE}),
            "valuation-stale",
            f"no price is known of {', '.join(sorted((FUTURE, SHARE)))}",
        ),
        (
            "R12",
            in_another_currency(view(EXPOSED)),
            "no-fx-rate",
            "no rate is known of something held or open",
        ),
        (
            "R12",
            view(EXPOSED, orders=[working(terms(Side.SELL, 1, None), reference=None)]),
            "unpriced-exposure",
            "an open order has no known value",
        ),
        (
            "R12",
            view(limits({"shared_exposure": {"firm": {"max_net": "1"}}})),
            "exposure-unknown",
            "the exposure of firm is not known",
        ),
        (
            "R18",
            spoiled(
                view(limits({"losses": {"max_trades": 1}, "trading_day": DAY})),
                profit=None,
            ),
            "valuation-stale",
            "what the account has realised is not known",
        ),
        (
            "R19",
            view(limits(share={"max_volume_percent": "1"})),
            "volume-unknown",
            "the daily volume of AAPL is not known",
        ),
        (
            "R21",
            spoiled(view(limits({"self_match_refused": True})), rivals=()),
            "control-error",
            "the own resting orders are not known",
        ),
        (
            "R22",
            view(limits({"hours": "session"})),
            "hours-unknown",
            f"the hours of {share().calendar} are not known",
        ),
        (
            "R25",
            spoiled(view(), freshness=None),
            "freshness-unknown",
            "whether the account is current is not known",
        ),
        (
            "R27",
            spoiled(view(limits({"canary": {"days": 1, "percent": "1"}})), strategies=None),
            "control-error",
            "the strategies that have traded are not known",
        ),
    ],
)
def test_a_no_for_want_of_an_input_says_what_is_lacking(
    control: str, seen: RiskView, reason: str, detail: str
) -> None:
    failed = failures(terms(), seen)[control]
    assert (failed.reason, failed.detail) == (reason, detail)
