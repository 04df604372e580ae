"""What no sequence of orders may do, and what no tightening may allow."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.accounts import account as accounts
from ordergate.core.admission import admit, admit_replace
from ordergate.core.orders import events as e
from ordergate.core.orders.commands import ReplaceOrder
from ordergate.core.orders.decide import decide_replace
from ordergate.core.orders.order import Order, evolve, first
from ordergate.core.orders.terms import Side, Terms
from ordergate.core.refusals import Refusal
from ordergate.core.risk.exposure import worst_price
from ordergate.core.risk.holdings import needs_of
from ordergate.core.risk.judge import PRECEDENCE
from ordergate.core.risk.limit_fields import spelling
from ordergate.core.risk.limits import InstrumentLimits, Limits, limits_of, mapping_of
from ordergate.core.risk.rates import MessageBuckets
from ordergate.core.risk.view import Freshness, MarketHours, RiskView, Top
from tests.core.examples import FUTURE, NOW, SHARE, account, later, place, terms, working
from tests.core.risk_examples import (
    HOPELESS,
    failures,
    hopeless,
    limits,
    replace_failures,
    replacement,
    spoiled,
    view,
)

LIMITED = limits(
    {
        "max_open_orders": 6,
        "max_open_notional": "4000",
        "duplicate_window_s": "0",
        "buying_power_haircut_percent": "0",
        "message_windows": [[1000, 1]],
    },
    share={"max_order_quantity": "20", "max_long": "30", "max_short": "20", "collar_percent": "10"},
)


class Desk:
    """One account as its lane keeps it: decides, folds what was decided, and keeps what it adds up to."""

    def __init__(self, limited: Limits = LIMITED, cash: int = 3500) -> None:
        self.view = view(limited, holding=account(cash), power=None)
        self.orders: dict[int, Order] = {}
        self.filled = 0

    def place(self, side: Side, quantity: int, price: int | None) -> bool:
        number = len(self.orders)
        event = admit(place(terms(side, quantity, price), number), self.view)
        self._fold(number, event)
        return isinstance(event, e.OrderAccepted)

    def acknowledge(self, number: int) -> None:
        order = self.orders[number]
        if order.acknowledged_at is None and not order.is_final:
            acknowledged = e.OrderAcknowledged(order_id=order.id, at=NOW, broker_order_id=f"b-{number}")
            self._fold(number, acknowledged)

    def replace(self, number: int, quantity: int, price: int) -> None:
        order = self.orders[number]
        command = ReplaceOrder(
            order_id=order.id,
            quantity=Decimal(quantity),
            limit_price=Decimal(price),
            stop_price=None,
            actor="trader",
            asked_at=NOW,
        )
        asked = decide_replace(order, command)
        if not isinstance(asked, Refusal):
            self._fold(number, admit_replace(order, asked, command, self.view))

    def answer_replace(self, number: int, *, yes: bool) -> None:
        order = self.orders[number]
        if order.replacement is None or order.is_final:
            return
        version = order.replacement.version
        self._fold(
            number,
            e.OrderReplaced(order_id=order.id, at=NOW, version=version, broker_order_id="b")
            if yes
            else e.ReplaceRejected(order_id=order.id, at=NOW, version=version, reason="no"),
        )

    def fill(self, number: int, quantity: int) -> None:
        """At the price it was reserved at: what the market does meanwhile no limit can promise."""
        order = self.orders[number]
        traded = min(Decimal(quantity), order.leaves_qty)
        if traded == 0:
            return
        self.filled += 1
        kind = e.OrderFilled if traded == order.leaves_qty else e.OrderPartiallyFilled
        asked = order.terms
        price = worst_price(asked.side, asked.limit_price, asked.stop_price, order.reference_price)
        assert price is not None
        event = kind(order_id=order.id, at=NOW, exec_id=f"x-{self.filled}", quantity=traded, price=price)
        books = accounts.book(self.view.account, self.view.instrument, order, event)
        self.view = spoiled(self.view, account=books)
        self._fold(number, event)

    def cancel(self, number: int) -> None:
        order = self.orders[number]
        if not order.is_final:
            self._fold(number, e.OrderCanceled(order_id=order.id, at=NOW, evidence="b"))

    def _fold(self, number: int, event: e.AnyOrderEvent) -> None:
        before = self.orders.get(number)
        after = first(event) if before is None else evolve(before, event)
        self.view.exposure.moved(before, after)
        self.orders[number] = after

    def check(self) -> None:
        """The worst that can still happen is within every limit."""
        limited = self.view.limits
        assert limited is not None
        position = self.view.account.position(SHARE)
        opened = self.view.exposure.of(SHARE)
        its = limited.instruments[SHARE]
        assert position.quantity + opened.buy_quantity <= its.max_long
        assert opened.sell_quantity - position.quantity <= its.max_short
        assert self.view.exposure.count <= limited.max_open_orders
        assert self.view.exposure.value <= limited.max_open_notional
        needs = needs_of(position, opened, self.view.instrument, limited)
        assert needs.position + needs.orders <= self.view.account.cash


NUMBERS = st.integers(0, 11)
DEEDS = st.one_of(
    st.tuples(
        st.just("place"),
        st.sampled_from(Side),
        st.integers(1, 22),
        st.one_of(st.none(), st.integers(92, 108)),
    ),
    st.tuples(st.just("acknowledge"), NUMBERS),
    st.tuples(st.just("replace"), NUMBERS, st.integers(1, 22), st.integers(92, 108)),
    st.tuples(st.just("answer"), NUMBERS, st.booleans()),
    st.tuples(st.just("fill"), NUMBERS, st.integers(1, 12)),
    st.tuples(st.just("cancel"), NUMBERS),
)


@given(st.lists(DEEDS, max_size=60))
def test_no_interleaving_of_orders_replacements_fills_and_cancels_exceeds_a_limit(
    deeds: list[tuple[Any, ...]],
) -> None:
    desk = Desk()
    for name, *given_ in deeds:
        if name == "place":
            desk.place(*given_)
        elif given_[0] not in desk.orders:
            continue
        elif name == "answer":
            desk.answer_replace(given_[0], yes=given_[1])
        else:
            getattr(desk, name)(*given_)
        desk.check()


@given(st.lists(st.integers(1, 12), min_size=1, max_size=5))
def test_in_whatever_order_they_come_what_is_accepted_of_a_set_stays_within_the_limit(
    quantities: list[int],
) -> None:
    for arrival in permutations(quantities):
        desk = Desk()
        accepted = sum(quantity for quantity in arrival if desk.place(Side.BUY, quantity, 100))
        assert accepted <= 30
        desk.check()
        if sum(quantities) <= 30:
            assert accepted == sum(quantities)


def test_sixty_four_orders_at_once_are_accepted_up_to_the_limit_and_no_further() -> None:
    wide = limits({"max_open_notional": "1000000", "duplicate_window_s": "0"}, share={"max_long": "100"})
    desk = Desk(wide, cash=1_000_000)
    answers = [desk.place(Side.BUY, 3, 100) for _ in range(64)]
    assert answers == [True] * 33 + [False] * 31


# Every way to tighten one limit: a name, and what it makes of the plain data.
Tightening = Callable[[dict[str, Any], Decimal], None]


def _less(*path: str) -> Tightening:
    def tighten(plain: dict[str, Any], share: Decimal) -> None:
        for name in path[:-1]:
            plain = plain[name]
        before = plain[path[-1]]
        less = (Decimal(before) * share).quantize(Decimal("0.000001"))
        plain[path[-1]] = int(less) if isinstance(before, int) else format(less, "f")

    return tighten


def _put(value: object, *path: str) -> Tightening:
    def tighten(plain: dict[str, Any], share: Decimal) -> None:
        for name in path[:-1]:
            plain = plain[name]
        plain[path[-1]] = value

    return tighten


def _fewer_messages(plain: dict[str, Any], share: Decimal) -> None:
    plain["message_windows"] = [[max(1, int(count * share)), s] for count, s in plain["message_windows"]]


def _no_instrument(plain: dict[str, Any], share: Decimal) -> None:
    del plain["instruments"][SHARE]


LISTED = {"as_of": NOW.isoformat(), "source": "desk", "max_age_hours": 0, "symbols": {}}
ITS = ("instruments", SHARE)

# By the field that each makes tighter, and how where there are several ways.
TIGHTENINGS: dict[str, Tightening] = {
    "enabled": _put(False, "enabled"),
    "enabled_until": _put("2000-01-01T00:00:00+00:00", "enabled_until"),
    "order_types": _put([], "order_types"),
    "sides": _put(["sell"], "sides"),
    "times_in_force": _put(["gtc"], "times_in_force"),
    "venues": _put([], "venues"),
    "restricted": _put({**LISTED, "symbols": {SHARE: "restricted"}}, "restricted"),
    "restricted: hard to borrow": _put({**LISTED, "symbols": {SHARE: "hard-to-borrow"}}, "restricted"),
    "restricted: old": _put(LISTED, "restricted"),
    "identity_required": _put(True, "identity_required"),
    "shadow": _put([], "shadow"),
    "instruments": _no_instrument,
    "message_windows": _fewer_messages,
    "duplicate_window_s": _put("60", "duplicate_window_s"),
    "duplicate_soft_window_s": _put("60", "duplicate_soft_window_s"),
    "far_passive_refused": _put(True, "far_passive_refused"),
    "collar_ticks": _put(3, *ITS, "collar_ticks"),
    "buying_power_haircut_percent": _put("60", "buying_power_haircut_percent"),
    "initial_margin": _put("20000", "instruments", FUTURE, "initial_margin"),
    "maintenance_margin": _put("12000", "instruments", FUTURE, "maintenance_margin"),
    "reduce_when_stale": _put(False, "reduce_when_stale"),
    "drift_window_s": _put("3600", "drift_window_s"),
    "hours": _put("session", "hours"),
    "self_match_refused": _put(True, "self_match_refused"),
    "self_match_cancels_oldest": _put(False, "self_match_cancels_oldest"),
    "losses_cancel_all": _put(True, "losses_cancel_all"),
    "volume_max_age_days": _put(0, "volume_max_age_days"),
    "canary: longer": _put(30, "canary", "days"),
    "canary: smaller": _less("canary", "percent"),
    "trading_day": _put("14:30", "trading_day", "flatten_by"),
    "shared_exposure": _put({"firm": {"max_gross": "1"}}, "shared_exposure"),
    **{f"losses: {name}": _less("losses", name) for name in (
        "max_daily_loss", "max_drawdown", "max_weekly_loss", "max_trades",
    )},
    **{
        name: _less(name)
        for name in (
            "max_open_orders",
            "max_open_notional",
            "reference_price_max_age_s",
            "buying_power_max_age_s",
            "stream_stale_max_s",
            "market_quote_max_age_s",
            "max_gross_exposure",
            "max_net_exposure",
        )
    },
    **{
        name: _less(*ITS, name)
        for name in (
            "max_order_quantity",
            "max_order_notional",
            "collar_percent",
            "max_long",
            "max_short",
            "drift_percent",
            "market_spread_percent",
            "max_concentration_percent",
            "max_volume_percent",
            "average_daily_volume",
        )
    },
    "max_open_orders: of an instrument": _less(*ITS, "max_open_orders"),
    "max_open_notional: of an instrument": _less(*ITS, "max_open_notional"),
}  # fmt: skip

# What no tightening is of: names, what refuses nobody, what is compiled, what only the other fields mean
# something with, what makes another order of one, currencies, and what is kept.
NOT_TIGHTENED = {
    "version", "cancel_windows", "soft", "mark_max_age_s", "extended_hours_allowed",
    "average_daily_volume_at", "hard", "market_to_limit_percent", "currency", "fx_rates", "fx_max_age_s",
    "outside_session", "error_windows", "execution_windows",
}  # fmt: skip


@st.composite
def situations(draw: st.DrawFn) -> RiskView:
    """An account somewhere in the middle of a day, close to its limits."""
    open_orders = [
        working(
            terms(draw(st.sampled_from(Side)), draw(st.integers(1, 10)), draw(st.integers(95, 105))), number
        )
        for number in range(1, draw(st.integers(0, 6)) + 1)
    ]
    if draw(st.booleans()):
        open_orders.append(working(terms(Side.BUY, 1, 4800, symbol=FUTURE), 99))
    held = draw(st.integers(-30, 30))
    seen = view(
        limits(
            {
                "max_open_orders": 6,
                "max_open_notional": "243000",
                "message_windows": [[4, 10]],
                "stream_stale_max_s": "4",
                "reduce_when_stale": draw(st.booleans()),
                "drift_window_s": "1",
                "max_gross_exposure": "244000",
                "max_net_exposure": "243000",
                "losses": {
                    "max_daily_loss": "300",
                    "max_drawdown": "400",
                    "max_weekly_loss": "500",
                    "max_trades": 8,
                },
                "trading_day": {"zone": "UTC", "ends_at": "00:00"},
                "canary": {"days": 5, "percent": "80"},
                "shadow": draw(st.sampled_from([[], ["R06", "R11", "R18"]])),
            },
            share={
                "max_order_quantity": "15",
                "max_order_notional": "1500",
                "max_long": "40",
                "max_short": "40",
                "drift_percent": "8",
                "market_spread_percent": "2",
                "max_concentration_percent": "60",
                "max_volume_percent": "10",
                "max_open_orders": 5,
                "max_open_notional": "4000",
                "average_daily_volume": "250",
                "average_daily_volume_at": (NOW - timedelta(hours=1)).isoformat(),
            },
        ),
        holding=account(draw(st.integers(0, 20_000)), {SHARE: (held, 100)}),
        orders=open_orders,
        power=draw(st.one_of(st.none(), st.integers(0, 20_000))),
        now=later(draw(st.integers(0, 6))),
    )
    if draw(st.booleans()):
        seen = msgspec.structs.replace(seen, freshness=Freshness(NOW, "the stream is down"))
    for _ in range(draw(st.integers(0, 5))):
        seen.buckets.order_sent(seen.now)
    seen.recent.remember(terms(quantity=5, limit=100), NOW)
    return _lately(seen, draw)


def _lately(seen: RiskView, draw: st.DrawFn) -> RiskView:
    """What the account made, and what the market did, before now."""
    assert seen.profit is not None
    assert seen.prices_seen is not None
    seen.profit.book(NOW, Decimal(draw(st.integers(-600, 600))), began=draw(st.booleans()))
    seen.prices_seen.remember(SHARE, Decimal(draw(st.integers(93, 107))), NOW, timedelta(seconds=3600))
    half = Decimal(draw(st.integers(0, 3))) / 2
    hours = draw(st.sampled_from([None, MarketHours(is_open=True), MarketHours(is_open=False)]))
    return spoiled(seen, top=Top(100 - half, 100 + half, NOW), hours=hours)


ORDERS = st.builds(
    terms, st.sampled_from(Side), st.integers(1, 20), st.one_of(st.none(), st.integers(90, 110), st.just(100))
)


@given(
    situations(),
    ORDERS,
    st.sampled_from(sorted(TIGHTENINGS)),
    st.decimals(min_value=0, max_value=1, places=2),
    st.booleans(),
)
def test_tightening_a_limit_never_accepts_what_was_refused(
    seen: RiskView, asked: Terms, name: str, share: Decimal, replacing: bool
) -> None:
    assert seen.limits is not None
    plain: dict[str, Any] = mapping_of(seen.limits)
    TIGHTENINGS[name](plain, share)
    tighter = limits_of(plain)
    buckets = MessageBuckets(tighter)
    spent = 4 - seen.buckets.orders.tokens(seen.now)
    for _ in range(spent):
        buckets.order_sent(seen.now)
    tightened = msgspec.structs.replace(seen, limits=tighter, buckets=buckets)
    if not replacing:
        assert set(failures(asked, seen)) <= set(failures(asked, tightened))
        return
    order = working(terms(asked.side, 10, 100), 1)
    for each in (seen, tightened):
        each.exposure.moved(None, order)
    changed = replacement(asked.quantity, 100 if asked.limit_price is None else asked.limit_price)
    assert set(replace_failures(order, changed, seen)) <= set(replace_failures(order, changed, tightened))


def test_every_limit_is_among_the_tightened() -> None:
    """A new field is tightened here, or says why not; and each control has something to be tightened by."""
    fields = (*msgspec.structs.fields(Limits), *msgspec.structs.fields(InstrumentLimits))
    assert {name.split(":")[0] for name in TIGHTENINGS} == {spelling(one) for one in fields} - NOT_TIGHTENED
    lenient = spoiled(hopeless(), limits=limits({"duplicate_window_s": "0", "far_passive_refused": False}))
    bitten = set(failures(HOPELESS, hopeless())) - set(failures(HOPELESS, lenient))
    always = {"R01", "R05", "R08", "R13", "R25"}  # the lenient limits refuse by these as well
    assert bitten | always | {"R15"} == {control.id for control in PRECEDENCE}
