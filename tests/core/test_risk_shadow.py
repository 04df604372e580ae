"""What is in shadow is noted and refuses nothing; what is soft refuses and stands behind the hard."""

import pytest

from ordergate.core.admission import admit, admit_replace, preview
from ordergate.core.contingent.admission import admit_group
from ordergate.core.contingent.events import GroupAccepted
from ordergate.core.orders import events as e
from ordergate.core.orders.order import first
from ordergate.core.risk import judge as judging
from ordergate.core.risk.judge import PRECEDENCE, Control
from ordergate.core.risk.limits import ADJUSTABLE
from ordergate.core.risk.view import Proposal, RiskView
from tests.core.contingent_world import GROUP, oco
from tests.core.examples import place, terms, working
from tests.core.risk_examples import limits, replacement, view
from tests.core.test_admission import REPLACE

SMALL = {"max_order_quantity": "5"}


def test_a_control_in_shadow_refuses_nothing_and_is_noted_for_ever() -> None:
    event = admit(place(terms()), view(limits({"shadow": ["R06"]}, share=SMALL)))
    assert isinstance(event, e.OrderAccepted)
    assert [(no.control, no.limit, no.value) for no in event.noted] == [("R06", "5", "10")]
    assert first(event).noted == event.noted


def test_beside_a_refusal_the_shadow_is_noted_apart() -> None:
    limited = limits({"shadow": ["R06"]}, share={**SMALL, "max_order_notional": "1"})
    event = admit(place(terms()), view(limited))
    assert isinstance(event, e.OrderDenied)
    assert [no.control for no in event.failed] == ["R07"]
    assert [no.control for no in event.noted] == ["R06"]
    assert first(event).noted == event.noted


def test_a_replacement_is_noted_as_well() -> None:
    order = working()
    seen = view(limits({"shadow": ["R06"]}, share=SMALL), orders=[order])
    event = admit_replace(order, replacement(11), REPLACE, seen)
    assert isinstance(event, e.ReplaceRequested)
    assert [no.control for no in event.noted] == ["R06"]
    tight = limits({"shadow": ["R06"]}, share={**SMALL, "max_long": "10"})
    denied = admit_replace(order, replacement(11), REPLACE, view(tight, orders=[order]))
    assert isinstance(denied, e.ReplaceDenied)
    assert ([no.control for no in denied.failed], [no.control for no in denied.noted]) == (["R11"], ["R06"])


def test_a_group_is_not_refused_by_what_is_in_shadow() -> None:
    seen = view(limits({"shadow": ["R06"]}, share=SMALL))
    assert isinstance(admit_group(oco(10), GROUP, "trader", seen), GroupAccepted)


def test_what_is_soft_refuses_behind_what_is_hard() -> None:
    limited = limits({"soft": ["R06", "R28"], "identity_required": True}, share={**SMALL, "max_long": "1"})
    event = admit(place(terms()), view(limited))
    assert isinstance(event, e.OrderDenied)
    assert [(no.control, no.severity.value) for no in event.failed] == [
        ("R11", "hard"), ("R06", "soft"), ("R28", "soft"),
    ]  # fmt: skip


def test_a_preview_says_what_is_in_shadow_and_what_is_soft() -> None:
    limited = limits({"shadow": ["R06"], "soft": ["R06"]}, share=SMALL)
    judged = {verdict.control.id: verdict for verdict in preview(terms(), view(limited))}
    assert [name for name, verdict in judged.items() if verdict.shadow] == ["R06"]
    failed = judged["R06"].failed
    assert failed is not None
    assert failed.severity is e.Severity.SOFT


def test_a_soft_control_that_breaks_is_a_hard_no(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(proposal: Proposal, view: RiskView) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(judging, "PRECEDENCE", (Control("R06", "breaks", breaks),))
    verdict = judging.verdicts(terms(), view(limits({"soft": ["R06"]})))[0]
    assert verdict.failed is not None
    assert (verdict.failed.reason, verdict.failed.severity) == ("control-error", e.Severity.HARD)


@pytest.mark.parametrize("name", ["shadow", "soft"])
@pytest.mark.parametrize("control", ["R01", "R02", "R03", "R04", "R05", "R20", "R99", "price"])
def test_who_may_trade_what_and_form_are_never_in_shadow_and_never_soft(name: str, control: str) -> None:
    with pytest.raises(ValueError, match=f"limits {name} cannot have {control}"):
        limits({name: [control]})


def test_every_other_control_may_be_either() -> None:
    others = {control.id for control in PRECEDENCE} - {"R01", "R02", "R03", "R04", "R05"}
    assert others <= ADJUSTABLE
    assert limits({"shadow": sorted(others), "soft": sorted(others)}).shadow == others
