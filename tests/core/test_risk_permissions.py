"""Who may send what: by list or not at all, with the age of every list that grows old."""

from datetime import timedelta

import msgspec
import pytest

from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from tests.core.examples import NOW, SHARE, account, later, terms, working
from tests.core.risk_examples import failures, limits, replace_failures, replacement, view

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (terms(), "type"),
        (terms(Side.SELL, 10, 100), "type"),
        (terms(limit=None, stop=105), "side"),
        (terms(Side.SELL, 10, None, stop=95, life=TimeInForce.GTC), "time_in_force"),
    ],
)  # fmt: skip
def test_r03_what_is_on_no_list_is_refused(asked: Terms, field: str) -> None:
    narrow = limits({"order_types": ["stop"], "sides": ["sell"], "times_in_force": ["day"]})
    failed = failures(asked, view(narrow))["R03"]
    assert (failed.reason, failed.inputs["field"]) == ("not-permitted", field)
    assert failed.limit in {"stop", "sell", "day"}


def test_r03_what_is_on_every_list_passes() -> None:
    narrow = limits({"order_types": ["limit"], "sides": ["buy"], "times_in_force": ["day"]})
    assert failures(terms(), view(narrow)) == {}


@pytest.mark.parametrize("name", ["order_types", "sides", "times_in_force"])
def test_r03_a_list_that_is_not_written_permits_nothing(name: str) -> None:
    failed = failures(terms(), view(limits({name: []})))
    assert list(failed) == ["R03"]
    assert failed["R03"].limit == "none"


@pytest.mark.parametrize(
    ("name", "permitted"), [("order_types", "market"), ("sides", "sell"), ("times_in_force", "ioc")]
)
def test_r03_an_instruments_own_list_only_takes_away(name: str, permitted: str) -> None:
    assert list(failures(terms(), view(limits(share={name: [permitted]})))) == ["R03"]
    both = limits({name: []}, share={name: ["limit", "market"] if name == "order_types" else [permitted]})
    assert failures(terms(), view(both))["R03"].limit == "none"


def at(venue: str | None) -> Terms:
    return msgspec.structs.replace(terms(), venue=venue)


@pytest.mark.parametrize(
    ("ours", "its", "asked", "passes"),
    [
        (None, None, None, True),
        (None, None, "XNYS", False),
        ([], None, "XNYS", False),
        (["XNAS"], None, "XNYS", False),
        (["XNAS", "XNYS"], None, "XNYS", True),
        (["XNAS", "XNYS"], ["XNAS"], "XNYS", False),
        (["XNAS", "XNYS"], ["XNAS"], "XNAS", True),
        (["XNAS"], ["XNYS"], "XNYS", False),
        (["XNAS"], ["XNAS"], None, True),
    ],
)
def test_r03_a_venue_may_be_named_where_it_is_on_every_list(
    ours: list[str] | None, its: list[str] | None, asked: str | None, passes: bool
) -> None:
    limited = limits({} if ours is None else {"venues": ours}, share={} if its is None else {"venues": its})
    failed = failures(at(asked), view(limited))
    assert list(failed) == ([] if passes else ["R03"])
    if not passes:
        no = failed["R03"]
        assert (no.reason, no.inputs, no.value) == ("not-permitted", {"field": "venue"}, asked)
        assert no.limit in {"none", "XNAS"}


def restricted(kind: str, hours: int = 24) -> dict[str, object]:
    return {
        "restricted": {
            "as_of": NOW.isoformat(),
            "source": "compliance",
            "max_age_hours": hours,
            "symbols": {SHARE: kind},
        }
    }


@pytest.mark.parametrize("kind", ["restricted", "halted"])
@pytest.mark.parametrize("side", list(Side))
def test_r04_nothing_passes_in_what_is_restricted_or_halted(kind: str, side: Side) -> None:
    holding = account(positions={SHARE: (100, 100)})
    failed = failures(terms(side), view(limits(restricted(kind)), holding=holding))
    assert list(failed) == ["R04"]
    assert failed["R04"].inputs == {
        "as_of": NOW.isoformat(), "source": "compliance", "restriction": kind,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("side", "held", "passes"),
    [(Side.BUY, 0, True), (Side.SELL, 0, False), (Side.SELL, 9, False), (Side.SELL, 10, True)],
)
def test_r04_what_is_hard_to_borrow_may_be_sold_but_not_short(side: Side, held: int, passes: bool) -> None:
    holding = account(positions={SHARE: (held, 100)})
    failed = failures(terms(side), view(limits(restricted("hard-to-borrow")), holding=holding))
    assert ("R04" not in failed) is passes


def listed_elsewhere() -> dict[str, object]:
    return {
        "restricted": {"as_of": NOW.isoformat(), "source": "x", "max_age_hours": 24, "symbols": {}},
        "reference_price_max_age_s": "86400",
        "buying_power_max_age_s": "86400",
    }


@pytest.mark.parametrize(
    ("age", "passes"),
    [(DAY, True), (DAY - timedelta(microseconds=1), True), (DAY + timedelta(microseconds=1), False),
     (timedelta(microseconds=-1), False)],
)  # fmt: skip
def test_r04_an_old_list_opens_nothing_and_still_lets_close(age: timedelta, passes: bool) -> None:
    limited = limits(listed_elsewhere())
    opening = failures(terms(), view(limited, now=NOW + age))
    assert ("R04" not in opening) is passes
    if not passes:
        assert opening["R04"].reason == "restricted-list-stale"
        assert opening["R04"].limit == "86400"
    holding = account(positions={SHARE: (10, 100)})
    assert "R04" not in failures(terms(Side.SELL), view(limited, holding=holding, now=NOW + age))


def test_r04_a_replacement_that_still_closes_passes_an_old_list() -> None:
    order = working(terms(Side.SELL, 10, 100))
    holding = account(positions={SHARE: (12, 100)})
    seen = view(limits(listed_elsewhere()), holding=holding, orders=[order], now=NOW + 2 * DAY)
    assert "R04" not in replace_failures(order, replacement(12), seen)
    assert "R04" in replace_failures(order, replacement(13), seen)


IDENTITY = {"strategy": "mean-reversion", "strategy_version": "1.4", "user": "ada"}


def test_r28_an_order_names_its_algorithm_its_version_and_its_person() -> None:
    seen = view(limits({"identity_required": True}))
    whole = msgspec.structs.replace(terms(), **IDENTITY)
    assert failures(whole, seen) == {}
    for name in IDENTITY:
        failed = failures(msgspec.structs.replace(whole, **{name: None}), seen)
        assert list(failed) == ["R28"]
        assert (failed["R28"].reason, failed["R28"].detail) == ("identity-missing", f"the order lacks {name}")
    assert failures(terms(), view(limits())) == {}


def test_r28_a_replacement_keeps_the_identity_of_its_order() -> None:
    order = working(msgspec.structs.replace(terms(), **IDENTITY))
    seen = view(limits({"identity_required": True}), orders=[order], now=later(1))
    assert replace_failures(order, replacement(12), seen) == {}


def test_every_type_of_order_is_permitted_only_by_name() -> None:
    for kind in OrderType:
        limit, stop = (100 if needed else None for needed in (kind.needs_limit_price, kind.needs_stop_price))
        asked = terms(limit=limit, stop=stop)
        assert asked.type is kind
        seen = view(limits({"order_types": [kind.value]}))
        assert "R03" not in failures(asked, seen)
        others = [other.value for other in OrderType if other is not kind]
        assert "R03" in failures(asked, view(limits({"order_types": others})))


def test_a_refusal_of_permission_says_what_would_have_been_permitted() -> None:
    failed = failures(terms(), view(limits({"order_types": ["stop", "market"]})))["R03"]
    assert (failed.detail, failed.limit) == ("the type limit is not permitted", "market, stop")
    assert failed.value == "limit"
    listed = failures(terms(), view(limits(restricted("halted"))))["R04"]
    assert listed.detail == f"{SHARE} is halted"
