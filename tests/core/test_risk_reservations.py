"""Sixty-four orders at once, together over a limit: what is accepted never adds up to more than it.

Every control that reserves, by itself and over and over, in one account or in several that have a limit in
common. Deciding and reserving is one step, as in a lane; the orders come in any order, of both sides. That it
is one step in a lane, whatever becomes of its commits, is `tests/engine/test_limits_together.py`'s. The
figures are kept where ORDERGATE_RECORD names a folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from random import Random
from typing import Final, NamedTuple

import pytest

from ordergate.core.admission import admit
from ordergate.core.ids import AccountId
from ordergate.core.orders.events import OrderAccepted
from ordergate.core.orders.order import first
from ordergate.core.orders.terms import Side, Terms
from ordergate.core.risk.holdings import needs_of
from ordergate.core.risk.judge import PRECEDENCE, evaluate
from ordergate.core.risk.valuation import Totals
from ordergate.core.risk.view import Proposal, RiskView
from tests.core.examples import NOW, SHARE, accepted, account, place, terms
from tests.core.risk_examples import limits, view
from tests.dose import dose
from tests.keeping import keep

ORDERS: Final = 64
CHECKS: Final = {control.id: control for control in PRECEDENCE}
VOLUME: Final = {"max_volume_percent": "10", "average_daily_volume": "1000",
                 "average_daily_volume_at": NOW.isoformat()}  # fmt: skip


class Reserving(NamedTuple):
    """A control, limits under which alone it refuses, and what must stay within `most`."""

    control: str
    used: Callable[[RiskView], Decimal | int]
    most: int
    account: Mapping[str, object] = {}
    share: Mapping[str, object] = {}
    desks: int = 1


def _long(seen: RiskView) -> Decimal:
    return seen.exposure.of(SHARE).buy_quantity


def _short(seen: RiskView) -> Decimal:
    return seen.exposure.of(SHARE).sell_quantity


def _largest(seen: RiskView) -> Decimal:
    return max(_long(seen), _short(seen))


def _funds(seen: RiskView) -> Decimal:
    assert seen.limits is not None
    position, opened = seen.account.position(SHARE), seen.exposure.of(SHARE)
    return needs_of(position, opened, seen.instrument, seen.limits).orders


def _shared(seen: RiskView) -> Decimal:
    assert seen.valuation is not None
    return seen.valuation.shared["firm"].gross


def _own(name: str) -> Callable[[RiskView], Decimal]:
    def used(seen: RiskView) -> Decimal:
        assert seen.valuation is not None
        sums = seen.valuation.own
        return sums.gross if name == "gross" else max(sums.up, -sums.down)

    return used


def _shared_net(seen: RiskView) -> Decimal:
    assert seen.valuation is not None
    sums = seen.valuation.shared["firm"]
    return max(sums.up, -sums.down)


FIRM = {"shared_exposure": {"firm": {"max_gross": "10000"}}}
RESERVING: Final = [
    Reserving("R11", _long, 100, share={"max_long": "100", "max_short": "0"}),
    Reserving("R11", _short, 100, share={"max_short": "100", "max_long": "0"}),
    Reserving("R12", _own("gross"), 10_000, {"max_gross_exposure": "10000"}),
    Reserving("R12", _own("net"), 10_000, {"max_net_exposure": "10000"}),
    Reserving("R12", _shared, 10_000, FIRM, desks=3),
    Reserving("R12", _shared_net, 5_000, {"shared_exposure": {"firm": {"max_net": "5000"}}}, desks=3),
    Reserving("R13", _funds, 20_000),
    Reserving("R14", lambda seen: seen.exposure.count, 20, {"max_open_orders": 20}),
    Reserving("R14", lambda seen: seen.exposure.value, 10_000, {"max_open_notional": "10000"}),
    Reserving("R14", lambda seen: seen.exposure.of(SHARE).orders, 20, share={"max_open_orders": 20}),
    Reserving("R14", lambda seen: seen.exposure.value, 10_000, share={"max_open_notional": "10000"}),
    Reserving("R15", lambda seen: len(_untraded(seen)), 20, {"message_windows": [[20, 60]]}),
    Reserving("R18", lambda seen: len(_untraded(seen)), 20, {
        "losses": {"max_trades": 20}, "trading_day": {"zone": "UTC", "ends_at": "00:00"},
    }),
    Reserving("R19", _largest, 100, share=VOLUME),
    Reserving("R19", _own("gross"), 10_000, share={"max_concentration_percent": "50"}),
    Reserving("R27", _largest, 100, {"canary": {"days": 5, "percent": "50"}},
              {"max_long": "200", "max_short": "200"}),
]  # fmt: skip


def _untraded(seen: RiskView) -> set[object]:
    assert seen.profit is not None
    return set(seen.profit.untraded)


@pytest.fixture(scope="module")
def kept() -> Iterator[list[dict[str, object]]]:
    """What each control came to; written down at the end where somebody wants it."""
    found: list[dict[str, object]] = []
    yield found
    keep("reservations", {"orders_per_trial": ORDERS, "controls": found})


@pytest.mark.parametrize("case", RESERVING, ids=lambda case: f"{case.control} up to {case.most}")
def test_what_is_accepted_never_adds_up_to_more_than_the_limit(
    case: Reserving, kept: list[dict[str, object]]
) -> None:
    check, chance, reached = CHECKS[case.control], Random(case.control), 0
    limited = limits(case.account, share=case.share)
    trials, most_used = dose(1_000, 10_000, short=3), Decimal(0)
    for _ in range(trials):
        desks = _desks(case.desks, lambda: view(limited, holding=account(20_000), power=None))
        for number in range(ORDERS):
            desk = chance.choice(desks)
            asked = _asked(chance)
            if evaluate(check, Proposal(terms=asked), desk) is None:
                _reserve(desk, asked, number)
            else:
                reached += 1
            most_used = max(most_used, Decimal(case.used(desk)))
            assert most_used <= case.most
    assert reached
    said = {**case.account, **{f"instrument.{name}": value for name, value in case.share.items()}}
    kept.append({
        "control": case.control,
        "limits": said,
        "accounts": case.desks,
        "trials": trials,
        "orders": trials * ORDERS,
        "refused": reached,
        "most": case.most,
        "most_used": str(most_used),
        "breaches": 0,
    })  # fmt: skip


def test_the_whole_catalogue_decides_and_reserves_in_one_step_as_well() -> None:
    wide = limits({"max_gross_exposure": "10000", "duplicate_window_s": "0"})
    chance = Random(1)
    for _ in range(dose(20, 200, short=2)):
        desk = view(wide)
        for number in range(ORDERS):
            asked = _asked(chance)
            if isinstance(admit(place(asked, number), desk), OrderAccepted):
                _reserve(desk, asked, number)
            assert _own("gross")(desk) <= 10_000


def _desks(count: int, make: Callable[[], RiskView]) -> Sequence[RiskView]:
    firm = Totals()
    desks = [make() for _ in range(count)]
    for number, desk in enumerate(desks):
        assert desk.valuation is not None
        desk.valuation.join(AccountId(f"P-{number}"), "USD", {"firm": firm})
    return desks


def _asked(chance: Random) -> Terms:
    return terms(chance.choice((Side.BUY, Side.SELL)), chance.randint(1, 9), chance.randint(97, 103))


def _reserve(desk: RiskView, asked: Terms, number: int) -> None:
    """As a lane folds what was just decided."""
    order = first(accepted(asked, number))
    desk.buckets.order_sent(desk.now)
    desk.exposure.moved(None, order)
    assert desk.valuation is not None
    assert desk.profit is not None
    desk.profit.watch(order)
    opened = desk.exposure.of(SHARE)
    desk.valuation.moved(SHARE, desk.account.position(SHARE), opened, desk.instrument, "USD")
