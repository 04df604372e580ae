"""One row for each control: below, at and above its limit, without an input, replaced, racing with a fill.

Where a control has nothing of the kind the row says why, in words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

import msgspec

from ordergate.core.orders.events import FailedControl
from ordergate.core.orders.order import Order, Replacement
from ordergate.core.orders.terms import Side, Terms
from ordergate.core.risk.judge import PRECEDENCE, evaluate
from ordergate.core.risk.limits import Limits
from ordergate.core.risk.rates import MessageBuckets
from ordergate.core.risk.trading_state import Grade, Stop
from ordergate.core.risk.view import Freshness, Proposal, RiskView, Top
from tests.core.examples import (
    NOW,
    SHARE,
    account,
    later,
    terms,
    working,
)
from tests.core.risk_examples import limits, replacement, spoiled, view

CHECKS: Final = {control.id: control for control in PRECEDENCE}
EPSILON: Final = Decimal("0.000001")


class Asked(NamedTuple):
    """Somebody asks for this, in this view."""

    seen: RiskView
    terms: Terms
    standing: Order | None = None
    replacement: Replacement | None = None

    def answer(self, control: str) -> FailedControl | None:
        asked = Proposal(terms=self.terms, standing=self.standing, asked=self.replacement)
        return evaluate(CHECKS[control], asked, self.seen)


class Row(NamedTuple):
    """`edge` is asked for -1, 0 and 1: below, at and above; `at_passes` is what the limit itself does.

    `replaced` is the same of a replacement. `missing` and `stale` come with the reason. `raced` has limits,
    and for how much more there is room before and after a part of an order filled that is being replaced.
    """

    edge: Callable[[int], Asked]
    missing: tuple[Callable[[], Asked], str] | str
    stale: tuple[Callable[[], Asked], str] | str
    replaced: Callable[[int], Asked] | str
    raced: tuple[Limits, int, int] | str
    at_passes: bool = True


def new(limited: Limits | None = None, asked: Terms | None = None, **more: Any) -> Asked:
    return Asked(view(limited, **more), terms() if asked is None else asked)


def spoilt(asked: Asked, **changes: object) -> Asked:
    return asked._replace(seen=spoiled(asked.seen, **changes))


def changed(limited: Limits, quantity: int = 10, limit: int | str = 100, **more: Any) -> Asked:
    """A replacement of ten at 100 that work."""
    order = working(number=1)
    asked = replacement(quantity, limit)
    will = msgspec.structs.replace(order.terms, quantity=asked.quantity, limit_price=asked.limit_price)
    return Asked(view(limited, orders=[order], **more), will, order, asked)


def priced(level: int, at: int | str) -> str:
    """A tick below, at, or above."""
    return str(Decimal(at) + level * Decimal("0.01"))


def about(level: int, seconds: int) -> str:
    """A microsecond less, so many, or a microsecond more."""
    return str(seconds + level * EPSILON)


def without_limits() -> Asked:
    return spoilt(new(), limits=None)


def without_price() -> Asked:
    return spoilt(new(), reference=None)


def old_price(limited: Limits | None = None) -> Callable[[], Asked]:
    return lambda: spoilt(new(limited), now=later(about(1, 5)))


NO_LIMITS = (without_limits, "no-limits")
NO_PRICE = (without_price, "no-reference-price")
NOTHING_AGES = "nothing that it reads gets old"
COUNTS_NOTHING = "it counts nothing that fills"
OF_THE_ORDER = "it is of the account or the order, whatever replaces it"

IN_SHARE: Final[Mapping[str, Mapping[str, object]]] = {
    "quantity": {"max_order_quantity": "15"},
    "value": {"max_order_notional": "1500"},
    "position": {"max_long": "25"},
    "drift": {"drift_percent": "2"},
    "spread": {"market_spread_percent": "1"},
    "worth": {"max_concentration_percent": "50"},
    "volume": {
        "max_volume_percent": "10",
        "average_daily_volume": "250",
        "average_daily_volume_at": NOW.isoformat(),
    },
}
QUANTITY, VALUE, POSITION, SPREAD, WORTH, VOLUME = (
    limits(share=IN_SHARE[name]) for name in ("quantity", "value", "position", "spread", "worth", "volume")
)
DRIFT = limits({"drift_window_s": "60"}, share=IN_SHARE["drift"])
EXPOSED = limits({"max_gross_exposure": "2500"})
OPEN = limits({"max_open_notional": "2500"})
LISTED = {"as_of": NOW.isoformat(), "source": "desk", "max_age_hours": 1, "symbols": {}}
RESTRICTED = limits({"restricted": LISTED})
APART = limits({"self_match_refused": True})
CANARY = limits({"canary": {"days": 5, "percent": "2.5"}})
NAMED = limits({"identity_required": True})
FLAT_BY = limits({"trading_day": {"zone": "UTC", "ends_at": "00:00", "flatten_by": "14:31"}})
IN_SESSION = limits({"hours": "session"})
SPENT = limits({"message_windows": [[3, 60]]})
NO_HAIRCUT = limits({"buying_power_haircut_percent": "0"})
LOSSES = limits(
    {"losses": {"max_daily_loss": "500", "max_trades": 2}, "trading_day": {"zone": "UTC", "ends_at": "00:00"}}
)
FUNDED: Final[Mapping[str, Any]] = {"power": None, "holding": account(2500)}


def killed(level: int, asked: Asked) -> Asked:
    """No stop; one that lets out of a position; the same where it opens one."""
    stop = None if level < 0 else Stop(Grade.REDUCE_ONLY)
    return spoilt(asked, kill=stop)


def out_of(level: int, quantity: int = 10) -> Asked:
    held = quantity if level <= 0 else quantity - 1
    return killed(level, new(asked=terms(Side.SELL, quantity), holding=account(10**6, {SHARE: (held, 100)})))


def permitted(level: int) -> Limits:
    return limits({"order_types": {-1: ["market", "limit"], 0: ["limit"], 1: ["market"]}[level]})


def quoted(level: int) -> Asked:
    """A market order into a spread of about one percent of 100."""
    half = Decimal("0.5") + level * EPSILON
    return spoilt(new(SPREAD, terms(limit=None)), top=Top(100 - half, 100 + half, NOW))


def run_away(asked: Asked) -> Asked:
    """The market was at 98 a moment ago."""
    assert asked.seen.prices_seen is not None
    asked.seen.prices_seen.remember(SHARE, Decimal(98), NOW, timedelta(seconds=60))
    return asked


def sent(level: int, asked: Asked) -> Asked:
    for _ in range(2 + level):
        asked.seen.buckets.order_sent(NOW)
    return asked


def lost(level: int, asked: Asked) -> Asked:
    assert asked.seen.profit is not None
    asked.seen.profit.book(NOW, -(500 + level * EPSILON), began=False)
    return asked


def accepted_ago(level: int) -> Asked:
    asked = new(limits({"reference_price_max_age_s": "60"}))
    asked.seen.recent.remember(terms(), NOW)
    return spoilt(asked, now=later(about(-level, 10)))


def stale_for(level: int, asked: Asked) -> Asked:
    return spoilt(asked, freshness=Freshness(NOW - timedelta(seconds=10, microseconds=level), "down"))


def by_strategy(asked: Asked, days_ago: int, level: int) -> Asked:
    """One that was first met so many days ago, and a microsecond more below the limit."""
    named = msgspec.structs.replace(asked.terms, strategy="mean", strategy_version="1")
    assert asked.seen.strategies is not None
    asked.seen.strategies.saw(named, NOW - timedelta(days=days_ago, microseconds=-level))
    return asked._replace(terms=named)


def identified(level: int) -> Asked:
    who = {"strategy": "mean", "strategy_version": "1", "user": "anna"}
    if level < 0:
        who["client_order_id"] = "mine"
    if level > 0:
        who["user"] = ""
    return new(NAMED, msgspec.structs.replace(terms(), **who))


def late(level: int, asked: Asked) -> Asked:
    return spoilt(asked, now=later(60) + timedelta(microseconds=level))


ROWS: Final[Mapping[str, Row]] = {
    "R01": Row(
        out_of,
        missing="a stop that is not known is a stop already: tests/engine/test_kill_doubt.py",
        stale="what was not heard for 3 seconds is a stop: tests/engine/test_kill_doubt.py",
        replaced=lambda level: killed(
            level, changed(limits(), 10, holding=account(10**6, {SHARE: (-10 if level <= 0 else -9, 100)}))
        ),
        raced=COUNTS_NOTHING,
    ),
    "R02": Row(
        lambda level: new(limits({"enabled": level <= 0}, share={"max_long": "1" if level < 0 else "0"})),
        missing=NO_LIMITS,
        stale=NOTHING_AGES,
        replaced=lambda level: changed(limits({"enabled": level <= 0})),
        raced=COUNTS_NOTHING,
    ),
    "R03": Row(
        lambda level: new(permitted(level)),
        missing=NO_LIMITS,
        stale=NOTHING_AGES,
        replaced=lambda level: changed(permitted(level)),
        raced=COUNTS_NOTHING,
    ),
    "R04": Row(
        lambda level: spoilt(new(RESTRICTED), now=later(about(level, 3600))),
        missing=NO_LIMITS,
        stale=(lambda: spoilt(new(RESTRICTED), now=later(about(1, 3600))), "restricted-list-stale"),
        replaced=lambda level: spoilt(changed(RESTRICTED, 20), now=later(about(level, 3600))),
        raced=COUNTS_NOTHING,
    ),
    "R05": Row(
        lambda level: new(asked=terms(limit=priced(level, 100) if level < 1 else "100.001")),
        missing="the order and the instrument are all that it reads",
        stale=NOTHING_AGES,
        replaced=lambda level: changed(limits(), 10, priced(level, 100) if level < 1 else "100.001"),
        raced=COUNTS_NOTHING,
    ),
    "R06": Row(
        lambda level: new(QUANTITY, terms(quantity=15 + level)),
        missing=NO_LIMITS,
        stale=NOTHING_AGES,
        replaced=lambda level: changed(QUANTITY, 15 + level),
        raced=COUNTS_NOTHING,
    ),
    "R07": Row(
        lambda level: new(VALUE, terms(quantity=15, limit=priced(level, 100))),
        missing=NO_PRICE,
        stale=(old_price(), "stale-reference-price"),
        replaced=lambda level: changed(VALUE, 15 + level),
        raced=COUNTS_NOTHING,
    ),
    "R08": Row(
        lambda level: new(asked=terms(limit=priced(level, 105))),
        missing=NO_PRICE,
        stale=(old_price(), "stale-reference-price"),
        replaced=lambda level: changed(limits(), 10, priced(level, 105)),
        raced=COUNTS_NOTHING,
    ),
    "R09": Row(
        lambda level: run_away(new(DRIFT, terms(limit=priced(level, "99.96")))),
        missing=(lambda: spoilt(new(DRIFT), prices_seen=None), "control-error"),
        stale=(old_price(DRIFT), "stale-reference-price"),
        replaced=lambda level: run_away(changed(DRIFT, 10, priced(level, "99.96"))),
        raced=COUNTS_NOTHING,
    ),
    "R10": Row(
        quoted,
        missing=(lambda: spoilt(quoted(0), top=None), "no-quote"),
        stale=(lambda: spoilt(quoted(0), now=later(about(1, 5))), "stale-quote"),
        replaced="an order at the market has no price to replace, and its type stays",
        raced=COUNTS_NOTHING,
    ),
    "R11": Row(
        lambda level: new(POSITION, terms(quantity=25 + level)),
        missing=NO_LIMITS,
        stale=NOTHING_AGES,
        replaced=lambda level: changed(POSITION, 25 + level),
        raced=(POSITION, 5, 5),
    ),
    "R12": Row(
        lambda level: new(EXPOSED, terms(quantity=25 + level)),
        missing=(lambda: spoilt(new(EXPOSED), valuation=None), "valuation-stale"),
        stale=(old_price(EXPOSED), "valuation-stale"),
        replaced=lambda level: changed(EXPOSED, 25 + level),
        raced=(EXPOSED, 5, 5),
    ),
    "R13": Row(
        lambda level: new(NO_HAIRCUT, terms(quantity=25 + level), **FUNDED),
        missing=NO_PRICE,
        stale=(old_price(), "stale-reference-price"),
        replaced=lambda level: changed(NO_HAIRCUT, 25 + level, **FUNDED),
        raced=(NO_HAIRCUT, 5, 5),
    ),
    "R14": Row(
        lambda level: new(OPEN, terms(quantity=25 + level)),
        missing=(
            lambda: new(OPEN, orders=[working(terms(Side.SELL, 1, None), reference=None)]),
            "unpriced-exposure",
        ),
        stale=(old_price(), "stale-reference-price"),
        replaced=lambda level: changed(OPEN, 25 + level),
        raced=(OPEN, 5, 9),  # what has filled is open no more
    ),
    "R15": Row(
        lambda level: sent(level, new(SPENT)),
        missing=NO_LIMITS,
        stale=(lambda: spoilt(new(SPENT), buckets=MessageBuckets(limits())), "rate-state-stale"),
        replaced=lambda level: sent(level, changed(SPENT)),
        raced=COUNTS_NOTHING,
    ),
    "R16": Row(
        accepted_ago,
        missing=NO_LIMITS,
        stale=NOTHING_AGES,
        replaced="a replacement makes no second order",
        raced=COUNTS_NOTHING,
    ),
    "R18": Row(
        lambda level: lost(level, new(LOSSES)),
        at_passes=False,
        missing=(lambda: spoilt(new(LOSSES), profit=None), "valuation-stale"),
        stale=(old_price(LOSSES), "valuation-stale"),
        replaced=lambda level: lost(level, changed(LOSSES)),
        raced=(LOSSES, 40, 40),  # an order that may still trade counts as the trade that it becomes
    ),
    "R19": Row(
        lambda level: new(VOLUME, terms(quantity=25 + level)),
        missing=(lambda: new(limits(share={"max_volume_percent": "10"})), "volume-unknown"),
        stale=(
            lambda: spoilt(new(VOLUME), now=NOW + timedelta(days=7, microseconds=1)),
            "volume-unknown",
        ),
        replaced=lambda level: changed(VOLUME, 25 + level),
        raced=(WORTH, 5, 5),
    ),
    "R21": Row(
        lambda level: new(
            APART,
            terms(limit=priced(level, "101.99")),
            orders=[working(terms(Side.SELL, 1, 102), 9)],
        ),
        missing=(lambda: spoilt(new(APART), rivals=()), "control-error"),
        stale=NOTHING_AGES,
        replaced="two orders of its own: tests/core/test_risk_conduct.py, may not come to meet one either",
        raced=COUNTS_NOTHING,
    ),
    "R22": Row(
        lambda level: late(level, new(FLAT_BY)),
        at_passes=False,
        missing=(lambda: new(IN_SESSION), "hours-unknown"),
        stale="the hours of two years are read at the start, and beyond them they are not known",
        replaced=lambda level: late(level, changed(FLAT_BY)),
        raced=COUNTS_NOTHING,
    ),
    "R25": Row(
        lambda level: stale_for(level, new()),
        missing=(lambda: spoilt(new(), freshness=None), "freshness-unknown"),
        stale=(lambda: stale_for(1, new()), "stale-account"),
        replaced=lambda level: stale_for(level, changed(limits())),
        raced=COUNTS_NOTHING,
    ),
    "R27": Row(
        lambda level: new(CANARY, terms(quantity=25 + level)),
        missing=(lambda: spoilt(new(CANARY), strategies=None), "control-error"),
        stale=(lambda: by_strategy(new(CANARY, terms(quantity=26)), 5, 1), "canary"),
        replaced=lambda level: changed(CANARY, 25 + level),
        raced=(CANARY, 5, 5),
    ),
    "R28": Row(
        identified,
        missing=NO_LIMITS,
        stale=NOTHING_AGES,
        replaced=lambda level: changed(NAMED)._replace(terms=identified(level).terms),
        raced=COUNTS_NOTHING,
    ),
}  # fmt: skip
