"""What is said of an alarm: what it means, what to do, how it ends, and what it is about."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ordergate.core.accounts.alarm_words import About, alarm_view, words_of
from ordergate.core.accounts.alarms import LASTING, AlarmNature, alarm_id
from ordergate.core.accounts.events import AlarmRaised
from ordergate.core.ids import AccountId

AT = datetime(2024, 3, 4, 15, 30, tzinfo=UTC)
ACCOUNT = AccountId("P-DEMO")
ORDER = "P-01HZX3K9QW5V7M2N4B"


def raised(nature: str, subject: str, **facts: str) -> AlarmRaised:
    return AlarmRaised(
        account=ACCOUNT,
        at=AT,
        alarm_id=f"{nature}:{subject}",
        nature=nature,
        subject=subject,
        detail="what was seen",
        facts=facts,
    )


@pytest.mark.parametrize("nature", AlarmNature)
def test_every_nature_says_what_it_means_what_to_do_and_how_it_ends(nature: AlarmNature) -> None:
    words = words_of(nature)
    assert all((words.means, words.do, words.ends))


@pytest.mark.parametrize("nature", AlarmNature)
def test_what_lasts_ends_by_itself_and_a_happening_does_not(nature: AlarmNature) -> None:
    assert alarm_view(raised(nature, ORDER)).lasting is (nature in LASTING)
    assert (words_of(nature).ends == "never: it is a happening, and stands as a record") is (
        nature not in LASTING
    )


@pytest.mark.parametrize(
    ("alarm", "about", "order", "theirs"),
    [
        (raised(AlarmNature.UNKNOWN_ORDER, ORDER), About.ORDER, ORDER, ()),
        (raised(AlarmNature.UNKNOWN_ORDER, ACCOUNT, orders="101"), About.ACCOUNT, None, ()),
        (raised(AlarmNature.QUARANTINED_ORDER, ORDER, candidates="b1, b2"), About.ORDER, ORDER, ("b1", "b2")),
        (raised(AlarmNature.QUARANTINED_ORDER, ORDER, candidates=""), About.ORDER, ORDER, ()),
        (
            raised(AlarmNature.EXECUTION_REPEATED, "x9", order=ORDER, broker_order="b1"),
            About.EXECUTION,
            ORDER,
            ("b1",),
        ),
        (raised(AlarmNature.ORDER_DOUBLED, "b2", order=ORDER), About.BROKER_ORDER, ORDER, ("b2",)),
        (raised(AlarmNature.ORDER_NOT_SHOWN, "b3"), About.BROKER_ORDER, None, ("b3",)),
        (raised(AlarmNature.GROUP_OVERRUN, "PG-1", order_id=ORDER), About.GROUP, ORDER, ()),
        (raised(AlarmNature.LOSS_LIMIT, "daily-loss until 2024-03-05"), About.LIMIT, None, ()),
    ],
    ids=lambda value: value.alarm_id if isinstance(value, AlarmRaised) else "",
)
def test_it_names_our_order_and_the_brokers(
    alarm: AlarmRaised, about: About, order: str | None, theirs: tuple[str, ...]
) -> None:
    view = alarm_view(alarm)
    assert (view.about, view.order_id, view.broker_order_ids) == (about, order, theirs)


def test_it_is_shown_as_it_was_raised() -> None:
    alarm = raised(AlarmNature.ORDER_OVERFILLED, ORDER, quantity="3", cum_qty="4")
    view = alarm_view(alarm)
    assert view.id == alarm_id(AlarmNature.ORDER_OVERFILLED, ORDER)
    assert (view.account_id, view.raised_at, view.subject) == (ACCOUNT, AT, ORDER)
    assert (view.detail, view.evidence) == ("what was seen", {"quantity": "3", "cum_qty": "4"})


def test_a_nature_of_another_release_is_shown_without_words() -> None:
    view = alarm_view(raised("of_tomorrow", "x"))
    assert (view.nature, view.about, view.lasting) == ("of_tomorrow", About.UNSAID, False)
    assert view.means == ""
