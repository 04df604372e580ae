"""Every control of money compares in the currency of the limits: below, at and above, and without a rate.

The share is in euros, the account in dollars and one euro is 1.25 dollars, unless a test says otherwise: ten
at 100 are 1250 dollars.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.accounts.account import Account
from ordergate.core.orders.events import FailedControl
from ordergate.core.orders.order import Order
from ordergate.core.orders.terms import Side, Terms
from ordergate.core.risk.exposure import Exposure
from ordergate.core.risk.fx import Fx, FxRate, FxTable, Rate
from ordergate.core.risk.limits import Limits
from ordergate.core.risk.losses import sums_in
from ordergate.core.risk.profit import ProfitLog
from ordergate.core.risk.utilization import Standing, utilization
from ordergate.core.risk.valuation import Totals, Valuation
from ordergate.core.risk.view import InputMissing, ReferencePrice, RiskView
from ordergate.engine.worth.converting import converted
from tests.core.examples import FUTURE, NOW, SHARE, account, future, later, share, terms, working
from tests.core.risk_examples import failures, limits, spoiled, view

INSTRUMENTS = {SHARE: share(currency="EUR"), FUTURE: future()}
EPSILON = Decimal("0.000001")


def rates(rate: str = "1.25", *, base: str = "USD", currency: str = "EUR") -> FxTable:
    return FxTable(base=base, rates={currency: FxRate(rate=Decimal(rate), as_of=NOW, source="desk")})


def abroad(
    limited: Limits,
    *,
    holding: Account | None = None,
    orders: list[Order] | None = None,
    table: FxTable | None = None,
    power: int | str | None = 1_000_000,
    now: Any = NOW,
) -> RiskView:
    limited = msgspec.structs.replace(limited, fx_rates=rates() if table is None else table)
    books = account() if holding is None else holding
    seen = view(limited, power=power, now=now)
    exposure, valuation = Exposure(INSTRUMENTS), Valuation()
    for order in orders or ():
        exposure.moved(None, order)
    valuation.mark(SHARE, Decimal(100))
    for symbol in {*books.positions, *exposure.symbols()}:
        opened, instrument = exposure.of(symbol), INSTRUMENTS[symbol]
        valuation.moved(symbol, books.position(symbol), opened, instrument, books.currency)
    fx = converted(books, valuation, limited, lambda _: None, "EUR")
    valuation.looked_up(now, frozenset())
    return spoiled(
        seen,
        account=books,
        exposure=exposure,
        valuation=valuation,
        instrument=INSTRUMENTS[SHARE],
        fx=fx,
        reference=ReferencePrice(Decimal(100), now, "quote"),
    )


def euros(amount: int, dollars: int = 0) -> Account:
    return msgspec.structs.replace(account(dollars), foreign_cash={"EUR": Decimal(amount)})


DAY = {"trading_day": {"zone": "UTC", "ends_at": "00:00"}}


class Edge(NamedTuple):
    """`at` is the limit that an order of ten comes to, in dollars; `limited` and `seen` are made for it."""

    control: str
    at: Decimal
    limited: Callable[[str], Limits]
    seen: Callable[[Limits], RiskView] = abroad
    asked: Terms = terms()


EDGES = [
    Edge("R07", Decimal(1250), lambda at: limits(share={"max_order_notional": at})),
    Edge("R12", Decimal(1250), lambda at: limits({"max_gross_exposure": at})),
    Edge("R12", Decimal(1250), lambda at: limits({"max_net_exposure": at})),
    Edge(
        "R12",
        Decimal(2500),
        lambda at: limits({"max_gross_exposure": at}),
        lambda limited: abroad(limited, orders=[working(terms(), 1)]),
    ),
    Edge(
        "R12",  # a future in dollars beside it, at its cost
        Decimal(1250 + 240_000),
        lambda at: limits({"max_gross_exposure": at}),
        lambda limited: abroad(limited, holding=account(10**6, {FUTURE: (1, 4800)})),
    ),
    Edge("R14", Decimal(1250), lambda at: limits({"max_open_notional": at})),
    Edge("R14", Decimal(1250), lambda at: limits(share={"max_open_notional": at})),
    Edge(
        "R14",
        Decimal(2500),
        lambda at: limits({"max_open_notional": at}),
        lambda limited: abroad(limited, orders=[working(terms(), 1)]),
    ),
    Edge(
        "R27",
        Decimal(2500),
        lambda at: limits({"canary": {"days": 5, "percent": "50"}}, share={"max_order_notional": at}),
    ),
]


def failed(edge: Edge, level: int) -> FailedControl | None:
    return failures(edge.asked, edge.seen(edge.limited(str(edge.at + level * EPSILON)))).get(edge.control)


@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: f"{edge.control} {edge.at}")
def test_what_is_in_another_currency_is_compared_at_its_rate(edge: Edge) -> None:
    assert failed(edge, 1) is None
    assert failed(edge, 0) is None
    no = failed(edge, -1)
    assert no is not None
    assert no.inputs["fx_rate_EURUSD"] == "1.25"
    assert no.inputs["fx_age_s_EURUSD"] == "0"
    assert no.inputs["fx_source_EURUSD"] == "desk"


@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: f"{edge.control} {edge.at}")
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda seen: spoiled(seen, fx=None), "no-fx-rate"),
        (lambda seen: spoiled(seen, fx=msgspec.structs.replace(seen.fx, rates={})), "no-fx-rate"),
        (
            lambda seen: spoiled(
                seen, fx=msgspec.structs.replace(seen.fx, max_age=timedelta(0)), now=later()
            ),
            "stale-fx-rate",
        ),
    ],
)
def test_without_a_rate_or_by_an_old_one_nothing_that_is_valued_passes(
    edge: Edge, spoil: Callable[[RiskView], RiskView], reason: str
) -> None:
    no = failures(edge.asked, spoil(edge.seen(edge.limited("999999999"))))[edge.control]
    assert no.reason == reason


@pytest.mark.parametrize(
    ("age_s", "most", "passes"),
    [
        ("3599.999999", "3600", True),
        ("3600", "3600", True),
        ("3600.000001", "3600", False),
        ("-3600", "3600", True),
        ("-3600.000001", "3600", False),
        ("86400", None, True),
        ("86400.000001", None, False),
    ],
)
def test_a_rate_is_as_old_as_the_limits_allow_and_one_of_the_future_is_no_better(
    age_s: str, most: str | None, passes: bool
) -> None:
    limited = limits({} if most is None else {"fx_max_age_s": most})
    seen = abroad(limited, now=later(age_s))
    assert ("R07" in failures(terms(), seen)) is not passes


@pytest.mark.parametrize(("cash", "passes"), [(1000, True), (999, False)])
def test_r13_cash_in_the_instrument_s_currency_pays_for_it(cash: int, passes: bool) -> None:
    limited = limits({"buying_power_haircut_percent": "0"})
    no = failures(terms(), abroad(limited, holding=euros(cash), power=None)).get("R13")
    assert (no is None) is passes


@pytest.mark.parametrize(("cash", "passes"), [("1250", True), ("1249.999999", False)])
def test_r13_so_does_cash_in_the_account_s_at_the_rate(cash: str, passes: bool) -> None:
    limited = limits({"buying_power_haircut_percent": "0"})
    no = failures(terms(), abroad(limited, holding=account(cash), power=None)).get("R13")
    assert (no is None) is passes
    theirs = failures(terms(), abroad(limited, power=cash)).get("R13")
    assert (theirs is None) is passes


def test_r13_what_was_spent_in_another_currency_is_owed() -> None:
    limited = limits({"buying_power_haircut_percent": "0"})
    spent = msgspec.structs.replace(account(2499), foreign_cash={"EUR": Decimal(-1000)})
    assert failures(terms(), abroad(limited, holding=spent, power=None))["R13"].reason == "buying-power"
    enough = msgspec.structs.replace(spent, cash=Decimal(2500))
    assert "R13" not in failures(terms(), abroad(limited, holding=enough, power=None))


@pytest.mark.parametrize(("percent", "passes"), [("50", True), ("49.999999", False)])
def test_r19_a_part_of_what_the_account_is_worth(percent: str, passes: bool) -> None:
    limited = limits(share={"max_concentration_percent": percent})
    no = failures(terms(), abroad(limited, holding=euros(1600, 500))).get("R19")
    assert (no is None) is passes


@pytest.mark.parametrize(("lost", "passes"), [("399.999999", True), ("400", False)])
def test_r18_what_was_lost_in_another_currency_counts(lost: str, passes: bool) -> None:
    limited = limits({**DAY, "losses": {"max_daily_loss": "500"}})
    seen = abroad(limited)
    assert seen.profit is not None
    seen.profit.book_abroad(NOW, "EUR", -Decimal(lost))
    assert ("R18" in failures(terms(), seen)) is not passes


def test_what_was_made_today_and_this_week_is_summed_over_every_currency() -> None:
    limited = limits({**DAY, "losses": {"max_weekly_loss": "500"}})
    today = NOW + timedelta(days=2)
    log = ProfitLog()
    log.book(NOW, Decimal(-1000), began=True)
    log.book(today, Decimal(-100), began=False)
    for currency, lost in (("GBP", -20), ("CHF", -3)):
        log.book_abroad(NOW, currency, Decimal(lost) * 10)
        log.book_abroad(today, currency, Decimal(lost))

    def at(rate: str) -> Rate:
        return Rate(Decimal(rate), Decimal(rate), today, "desk")

    fx = Fx("EUR", {"USD": at("0.5"), "GBP": at("2"), "CHF": at("1.5")}, timedelta(days=1))
    assert limited.trading_day is not None
    sums = sums_in(spoiled(view(limited, now=today), fx=fx), log, limited.trading_day)
    assert sums.day == (Decimal("-50") - 40 - Decimal("4.5"), 0)
    assert sums.week == (Decimal(-550) - 440 - Decimal("49.5"), 1)


def test_where_there_is_one_currency_alone_nothing_is_converted() -> None:
    limited = limits({**DAY, "losses": {"max_daily_loss": "500"}})
    log = ProfitLog()
    log.book(NOW, Decimal(-100), began=True)
    assert limited.trading_day is not None
    assert sums_in(view(limited), log, limited.trading_day).day == (Decimal(-100), 1)
    log.book_abroad(NOW, "GBP", Decimal(-1))
    with pytest.raises(InputMissing, match="no rate from GBP to USD is known"):
        sums_in(view(limited), log, limited.trading_day)


def test_r18_what_an_open_position_lost_in_another_currency_counts() -> None:
    limited = limits({**DAY, "losses": {"max_daily_loss": "250"}})
    held = account(10**6, {SHARE: (10, 120)})
    assert failures(terms(), abroad(limited, holding=held))["R18"].value == "250"
    assert "R18" not in failures(terms(), abroad(limited, holding=account(10**6, {SHARE: (10, 119)})))


def test_limits_may_be_in_another_currency_than_the_account() -> None:
    """Then the account's own is the other one: ten at 100 euros are 1000 of the limits."""
    for at, passes in (("1000", True), ("999.999999", False)):
        limited = limits(
            {"currency": "EUR", "buying_power_haircut_percent": "0"}, share={"max_order_notional": at}
        )
        seen = abroad(limited, holding=account(1250), power=None)
        found = failures(terms(), seen)
        assert ("R07" in found) is not passes
        assert "R13" not in found
        poor = failures(terms(), abroad(limited, holding=account("1249.99"), power=None))
        assert poor["R13"].reason == "buying-power"


def test_no_rate_of_cash_is_no_known_cash() -> None:
    yen = msgspec.structs.replace(account(), foreign_cash={"JPY": Decimal(1)})
    assert failures(terms(), abroad(limits(), holding=yen))["R13"].reason == "no-fx-rate"


def test_the_utilization_is_in_the_limits_currency_and_unknown_without_a_rate() -> None:
    limited = limits(
        {"max_gross_exposure": "5000", **DAY, "losses": {"max_daily_loss": "500"}},
        share={"max_concentration_percent": "10", "max_open_notional": "5000"},
    )
    seen = abroad(limited, orders=[working(terms(), 1)])

    def used(fx: Any) -> dict[str, str | None]:
        standing = Standing(
            now=seen.now,
            account=seen.account,
            exposure=seen.exposure,
            buckets=seen.buckets,
            valuation=seen.valuation,
            profit=seen.profit,
            buying_power=seen.buying_power,
            fx=fx,
        )
        return {
            f"{use.symbol or ''} {use.limit}".strip(): use.used for use in utilization(limited, standing, {})
        }

    known = used(seen.fx)
    names = ("max_open_notional", "max_gross_exposure", f"{SHARE} max_open_notional", "buying_power")
    assert [known[name] for name in names] == ["1250"] * 4
    assert known[f"{SHARE} max_concentration_percent"] == "1250"
    assert known["losses.max_daily_loss"] == "0"
    assert {used(None)[name] for name in (*names, "losses.max_daily_loss")} == {None}


def test_accounts_of_two_currencies_add_up_where_their_limits_are_in_one() -> None:
    totals, dollar_rates = Totals((account().id,)), {"EUR": Rate(Decimal("1.25"), Decimal("1.25"), NOW, "")}
    american, european = Valuation(), Valuation()
    for valuation, currency in ((american, "USD"), (european, "EUR")):
        held = account(positions={SHARE: (10, 100)}).position(SHARE)
        opened = Exposure(INSTRUMENTS).of(SHARE)
        valuation.moved(SHARE, held, opened, share(currency=currency), currency)
        valuation.mark(SHARE, Decimal(100))
    american.join(account().id, "USD", {"firm": totals})
    european.express("USD", dollar_rates)
    european.join(account().id, "USD", {"firm": totals})
    assert totals.gross == 1000 + 1250
    european.express("USD", {"EUR": Rate(Decimal(2), Decimal(2), NOW, "")})
    assert totals.gross == 1000 + 2000
    european.express("USD", {})
    assert european.has_foreign
    assert totals.gross == 1000
    european.express("EUR", {})
    assert european.abroad == frozenset()
    assert european.own.gross == 1000
    assert european.shared == {}
    assert account().id in totals.absent


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["hold", "open", "mark", "rate", "no rate", "home"]),
        st.integers(-5, 5),
        st.sampled_from(["0.5", "1.25", "3"]),
    ),
    max_size=30,
)


@given(CHANGES)
def test_a_valuation_kept_up_to_date_is_the_one_worked_out_anew(
    changes: list[tuple[str, int, str]],
) -> None:
    kept, held, home = Valuation(), 0, "USD"
    marks: dict[str, Decimal] = {}
    table: Mapping[str, Rate] = {}
    opened = Exposure(INSTRUMENTS)

    def put(valuation: Valuation) -> None:
        books = account(positions={SHARE: (held, 100)} if held else {})
        valuation.moved(SHARE, books.position(SHARE), opened.of(SHARE), INSTRUMENTS[SHARE], "USD")

    for number, (what, size, rate) in enumerate(changes):
        match what:
            case "hold":
                held = size
                put(kept)
            case "open":
                opened.moved(None, working(terms(Side.BUY, abs(size) + 1), number + 1))
                put(kept)
            case "mark":
                marks["price"] = Decimal(100 + size)
                kept.mark(SHARE, marks["price"])
            case "rate":
                table = {name: Rate(Decimal(rate), Decimal(rate), NOW, "") for name in ("EUR", "USD")}
                kept.express(home, table)
            case "no rate":
                table = {}
                kept.express(home, table)
            case _:
                home = "EUR" if home == "USD" else "USD"
                kept.express(home, table)
        anew = Valuation()
        anew.express(home, table)
        if marks:
            anew.mark(SHARE, marks["price"])
        put(anew)
        assert kept.has_foreign == anew.has_foreign
        assert kept.abroad == anew.abroad
        for name in ("gross", "up", "down", "unrealised", "worth", "open_profit"):
            assert getattr(kept.own, name) == getattr(anew.own, name), name


def test_an_instrument_that_is_listed_again_is_valued_again() -> None:
    valuation, listed = Valuation(), share(currency="USD")
    opened = Exposure(INSTRUMENTS).of(SHARE)
    held = account(positions={SHARE: (10, 100)}).position(SHARE)
    valuation.moved(SHARE, held, opened, listed, "USD")
    valuation.moved(SHARE, held, opened, None, "USD")
    assert valuation.has_foreign
    valuation.moved(SHARE, held, opened, listed, "USD")
    assert not valuation.has_foreign


def test_a_change_that_moves_nothing_of_a_symbol_is_not_worked_out_again() -> None:
    valuation, totals = Valuation(), Totals()
    held = account(positions={SHARE: (10, 100)}).position(SHARE)
    opened, listed = Exposure(INSTRUMENTS).of(SHARE), share(currency="USD")
    valuation.moved(SHARE, held, opened, listed, "USD")
    valuation.join(account().id, "USD", {"firm": totals})
    before = totals.gross
    valuation.moved(SHARE, msgspec.structs.replace(held), opened, listed, "USD")
    assert totals.gross is before
