"""What is said of an alarm, wherever it is shown: what it means, what to do about it, how it ends.

One table for the API, the command line and the page of the runbooks.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from ordergate.core.accounts.alarms import LASTING, AlarmNature
from ordergate.core.accounts.events import AlarmRaised


class About(StrEnum):
    """What the subject of an alarm is the id of."""

    ORDER = "order"
    BROKER_ORDER = "broker_order"
    EXECUTION = "execution"
    GROUP = "group"
    LIMIT = "limit"
    ACCOUNT = "account"
    UNSAID = "unsaid"


class Words(msgspec.Struct, frozen=True, kw_only=True):
    about: About
    means: str
    do: str
    ends: str


class AlarmView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An alarm that stands. `evidence` is what there is to decide by; amounts in it are decimal strings."""

    id: str
    account_id: str
    nature: str
    lasting: bool
    raised_at: datetime
    about: About
    subject: str
    order_id: str | None
    broker_order_ids: tuple[str, ...]
    detail: str
    evidence: dict[str, str]
    means: str
    do: str
    ends: str


_A_RECORD: Final = "never: it is a happening, and stands as a record"

WORDS: Final[Mapping[str, Words]] = {
    AlarmNature.UNKNOWN_ORDER: Words(
        about=About.ORDER,
        means="what became of an order, or of very many of the account, is not known; all stays reserved",
        do="wait: it is asked about. Where it stays, see whether the broker can be reached and knows it",
        ends="when the answer is known, or the order has ended",
    ),
    AlarmNature.QUARANTINED_ORDER: Words(
        about=About.ORDER,
        means="no question to the broker can prove what became of an order",
        do="ask the broker about the candidates, then say what became of it: `ordergate orders resolve`",
        ends="when a person has decided, or the broker's word was heard",
    ),
    AlarmNature.EXECUTION_REPEATED: Words(
        about=About.EXECUTION,
        means="the broker told one execution under two ids; it is booked once",
        do="compare the order's filled quantity with the broker's; if theirs is more, a break opens and its"
        " runbook applies",
        ends=_A_RECORD,
    ),
    AlarmNature.ORDER_OVERFILLED: Words(
        about=About.ORDER,
        means="the broker filled more than was asked for; the position is what the broker says",
        do="tell the trader; ask the broker for a bust if it is theirs to take back",
        ends=_A_RECORD,
    ),
    AlarmNature.UNLISTED_SYMBOL: Words(
        about=About.BROKER_ORDER,
        means="somebody trades something in this account that is not in the settings; it is not booked",
        do="list it and restart, or stop them",
        ends=_A_RECORD,
    ),
    AlarmNature.ORDER_NOT_SHOWN: Words(
        about=About.BROKER_ORDER,
        means="the broker told of an order and does not show it",
        do="ask the broker; the position break says whether something is missing",
        ends=_A_RECORD,
    ),
    AlarmNature.ORDER_INEXPRESSIBLE: Words(
        about=About.BROKER_ORDER,
        means="somebody placed an order elsewhere of a kind that is not offered here; its fills are booked",
        do="find out who trades the account. If orders are refused as `unpriced`, or it may not stay, cancel"
        " it: in several symbols at the broker, any other here too",
        ends=_A_RECORD,
    ),
    AlarmNature.ORDER_DOUBLED: Words(
        about=About.BROKER_ORDER,
        means="the broker took one order twice; the second is in the books as an order from elsewhere",
        do="look with `ordergate orders list --open`, and cancel it",
        ends=_A_RECORD,
    ),
    AlarmNature.GROUP_OVERRUN: Words(
        about=About.GROUP,
        means="the broker filled more of a group's exits than there was to exit; one more order undoes it",
        do="see with `ordergate groups show` that what is held is what should be",
        ends=_A_RECORD,
    ),
    AlarmNature.GROUP_GAVE_UP: Words(
        about=About.GROUP,
        means="a group ended with something left to exit, because its orders were refused, or the broker"
        " canceled one or let it expire: nothing guards what is held any more",
        do="guard it with another group, or close it: `ordergate positions`, `ordergate flatten`",
        ends=_A_RECORD,
    ),
    AlarmNature.GROUP_PUT_OFF: Words(
        about=About.GROUP,
        means="a group's orders are put off, by the gateway's own limits, as a full window of messages does,"
        " or because the broker is out of reach; it goes on trying, and what is held may not be guarded"
        " meanwhile",
        do="see in the alarm what keeps them back, and make room; or close what is held",
        ends=_A_RECORD,
    ),
    AlarmNature.LOSS_LIMIT: Words(
        about=About.LIMIT,
        means="the account has lost as much as it may; until the time that it says only what makes a position"
        " smaller passes",
        do="look at positions and executions; the evidence says what lifts it",
        ends=_A_RECORD,
    ),
    AlarmNature.EGRESS_WITHHELD: Words(
        about=About.ORDER,
        means="what was about to leave was not what was approved; it was not sent",
        do="stop trading and find out who changed it: the break of the nature `egress` has both sides",
        ends=_A_RECORD,
    ),
}

_UNSAID: Final = Words(about=About.UNSAID, means="", do="", ends="")


def words_of(nature: str) -> Words:
    """Nothing, where another release knew of a nature that this one does not."""
    return WORDS.get(nature, _UNSAID)


def alarm_view(alarm: AlarmRaised) -> AlarmView:
    words = words_of(alarm.nature)
    about = About.ACCOUNT if alarm.subject == alarm.account else words.about
    return AlarmView(
        id=alarm.alarm_id,
        account_id=alarm.account,
        nature=alarm.nature,
        lasting=alarm.nature in LASTING,
        raised_at=alarm.at,
        about=about,
        subject=alarm.subject,
        order_id=_order(alarm, about),
        broker_order_ids=_theirs(alarm, about),
        detail=alarm.detail,
        evidence=alarm.facts,
        means=words.means,
        do=words.do,
        ends=words.ends,
    )


def _order(alarm: AlarmRaised, about: About) -> str | None:
    if about is About.ORDER:
        return alarm.subject
    return alarm.facts.get("order") or alarm.facts.get("order_id")


def _theirs(alarm: AlarmRaised, about: About) -> tuple[str, ...]:
    """The broker's ids of the orders that it is about, and of those that it may be about."""
    if about is About.BROKER_ORDER:
        return (alarm.subject,)
    told = alarm.facts.get("broker_order") or alarm.facts.get("candidates") or ""
    return tuple(one for one in told.split(", ") if one)
