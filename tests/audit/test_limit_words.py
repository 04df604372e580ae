"""Rules, orders and people in words that can be read and signed."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest

from ordergate.audit.limit_words import changes, content, of_control, of_order, of_people, of_rule
from ordergate.core.approvals import Person
from ordergate.core.ids import AccountId, Symbol
from ordergate.core.orders.events import FailedControl, Severity
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.risk.rules import Mode, Reach, Rule

RULE = Rule(id="own", scope=Reach.ACCOUNT, of="P-TEST", limits={"max_open_orders": 9}, owner="risk")
TERMS = Terms(
    account=AccountId("P-TEST"),
    symbol=Symbol("ESH4"),
    side=Side.SELL,
    type=OrderType.STOP_LIMIT,
    quantity=Decimal("2.50"),
    limit_price=Decimal(4690),
    stop_price=Decimal(4700),
    time_in_force=TimeInForce.DAY,
)


def told(**limits: object) -> list[str]:
    """What is said of these limits in place of a number of open orders."""
    return [one for one in changes(RULE, msgspec.structs.replace(RULE, limits=limits)) if "open" not in one]


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"enabled": True}, "enabled: not set → yes"),
        ({"sides": ["buy", "sell"]}, "sides: not set → buy, sell"),
        ({"venues": []}, "venues: not set → nothing"),
        ({"message_windows": [[10, 1], [100, 60]]}, "message windows: not set → 10 in 1 s, 100 in 60 s"),
        ({"duplicate_window_s": "0.5"}, "duplicate window: not set → 0.5 s"),
        ({"losses": {"max_daily_loss": "500"}}, "losses max daily loss: not set → 500"),
        ({"instruments": {"ESH4": {"max_long": "2"}}}, "max long of ESH4: not set → 2"),
    ],
)
def test_each_limit_is_told_under_a_name_that_can_be_read(limits: dict[str, object], words: str) -> None:
    assert told(**limits) == [words]


def test_what_stayed_is_not_told_and_what_is_gone_is() -> None:
    both = msgspec.structs.replace(RULE, limits={"max_open_orders": 9, "max_trades": 3})
    assert changes(both, RULE) == ("max trades: 3 → not set",)
    assert changes(RULE, RULE) == ()


def test_another_mode_severity_or_time_is_a_change_too() -> None:
    after = msgspec.structs.replace(
        RULE, mode=Mode.SHADOW, severity=Severity.SOFT, effective_to=datetime(2026, 2, 1, tzinfo=UTC)
    )
    assert changes(RULE, after) == (
        "mode: enforce → shadow",
        "severity: hard → soft",
        "effective to: not set → 2026-02-01T00:00:00Z",
    )


def test_a_rule_by_itself_is_told_without_what_its_name_says() -> None:
    assert content(RULE) == ("mode enforce", "severity hard", "owner risk", "max open orders 9")


def test_a_rule_of_the_firm_says_so() -> None:
    assert of_rule(RULE) == "own (of account P-TEST)"
    firm = msgspec.structs.replace(RULE, scope=Reach.FIRM, of="")
    assert of_rule(firm) == "own (of the whole firm)"


def test_an_order_is_told_with_every_term() -> None:
    assert of_order(TERMS) == "sell 2.5 ESH4 stop limit at 4690 from 4700 day for P-TEST"
    whole = msgspec.structs.replace(TERMS, strategy="trend", client_order_id="mine", extended_hours=True)
    assert of_order(whole).endswith("for P-TEST strategy trend client order id mine in extended hours")


def test_a_control_says_by_how_much_it_was_passed() -> None:
    failed = FailedControl(control="R06", reason="order-quantity", detail="", limit="100", value="101")
    assert of_control(failed) == "R06 order-quantity (101 over 100)"
    assert of_control(msgspec.structs.replace(failed, limit=None)) == "R06 order-quantity"


def test_a_person_is_a_name_with_the_program_that_was_used() -> None:
    anna, ben = Person("anna", "app"), Person("ben", "ben")
    assert of_people(anna) == "anna, by app"
    assert of_people(anna, ben) == "anna, by app; approved by ben"
