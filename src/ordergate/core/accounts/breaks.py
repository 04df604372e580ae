"""Breaks: differences between our books and the broker's, as typed things with evidence.

A difference is a fact; a break is a difference that outlived the news that was still under
way. Comparison is pure: both sides are given, nothing is fetched. A break is folded from its
events and never guessed away: it is healed by the proof of a rule, or resolved by a person.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, assert_never

import msgspec

from ordergate.core.accounts import events as a
from ordergate.core.faults import InvariantBroken
from ordergate.core.ids import AccountId, Symbol
from ordergate.core.money import ZERO, text


class Nature(StrEnum):
    """What differs. A new one needs a severity, its actions, and a rule or a person."""

    POSITION = "position"
    CASH = "cash"
    ORDER_STATUS = "order_status"
    EXECUTION_MISSING = "execution_missing"
    UNLISTED_SYMBOL = "unlisted_symbol"
    ENVIRONMENT = "environment"
    STREAM = "stream"
    EGRESS = "egress"


class Severity(StrEnum):
    """How bad. An open severe break stops every order that could open a position."""

    INFO = "info"
    WARNING = "warning"
    SEVERE = "severe"


class State(StrEnum):
    OPEN = "open"
    ASSIGNED = "assigned"
    HEALED = "healed"
    RESOLVED = "resolved"


class Action(StrEnum):
    """What a person may do about a break. The text beside each is what it does."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Action:
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    ADOPT = "adopt", "Take the broker's figure into our books, as an adjustment with a reason."
    CLOSE_ORDER = "close_order", "Declare that the broker does not have the order; it ends canceled."
    CANCEL_ORDER = "cancel_order", "Ask the broker to cancel the order; the break ends when it is gone there."
    CONFIRM = "confirm", "Confirm that the session is the right account's again; both sides must agree."
    DISMISS = "dismiss", "Leave the difference as it is; it opens again when it becomes another one."


SEVERITY: Final[Mapping[Nature, Severity]] = {
    Nature.POSITION: Severity.SEVERE,
    Nature.CASH: Severity.WARNING,
    Nature.ORDER_STATUS: Severity.SEVERE,
    Nature.EXECUTION_MISSING: Severity.SEVERE,
    Nature.UNLISTED_SYMBOL: Severity.INFO,
    Nature.ENVIRONMENT: Severity.SEVERE,
    Nature.STREAM: Severity.WARNING,
    Nature.EGRESS: Severity.SEVERE,
}

_ACTIONS: Final[Mapping[Nature, tuple[Action, ...]]] = {
    Nature.POSITION: (Action.ADOPT, Action.DISMISS),
    Nature.CASH: (Action.ADOPT, Action.DISMISS),
    Nature.ORDER_STATUS: (Action.CANCEL_ORDER, Action.DISMISS),
    Nature.EXECUTION_MISSING: (Action.DISMISS,),
    Nature.UNLISTED_SYMBOL: (Action.DISMISS,),
    Nature.ENVIRONMENT: (Action.CONFIRM,),
    Nature.STREAM: (Action.DISMISS,),
    Nature.EGRESS: (Action.DISMISS,),
}

NOT_FOUND: Final = "not_found"
"""Their side of an order that we hold open and the broker denies."""

RECONCILER: Final = "reconciler"
"""Who opens, notes and heals."""

BROKER: Final = "broker"
"""Who answers to a cancel that a person asked for."""


class Difference(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """`subject` is what differs: a symbol, an order id, a currency, an account."""

    nature: Nature
    subject: str
    ours: str
    theirs: str
    detail: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.nature, self.subject

    @property
    def gap(self) -> str:
        """What makes two differences the same one, although both sides have moved."""
        return gap_of(self.nature, self.ours, self.theirs)


class Step(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One line of a break's history."""

    at: datetime
    what: str
    actor: str
    note: str


class Break(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A break as folded from its events. `rule` healed it, or `action` resolved it.

    `cancel_asked` is what the broker was to be asked and has not answered, as far as the journal knows.
    """

    id: str
    account: AccountId
    nature: Nature
    severity: Severity
    state: State
    subject: str
    ours: str
    theirs: str
    detail: str
    owner: str | None = None
    rule: str | None = None
    action: Action | None = None
    reason: str | None = None
    opened_at: datetime
    updated_at: datetime
    settled_at: datetime | None = None
    cancel_asked: a.BreakCancelAsked | None = None
    history: tuple[Step, ...]

    @property
    def key(self) -> tuple[str, str]:
        return self.nature, self.subject

    @property
    def gap(self) -> str:
        return gap_of(self.nature, self.ours, self.theirs)

    @property
    def is_open(self) -> bool:
        return self.state in (State.OPEN, State.ASSIGNED)

    @property
    def is_dismissed(self) -> bool:
        """Settled by a person although the sides still differ: it is watched, and blocks nothing."""
        return self.action is Action.DISMISS

    @property
    def blocks_opening(self) -> bool:
        return self.severity is Severity.SEVERE and self.is_open

    @property
    def allowed_actions(self) -> tuple[Action, ...]:
        if not self.is_open:
            return ()
        if self.nature is Nature.ORDER_STATUS and self.theirs == NOT_FOUND:
            return (Action.CLOSE_ORDER, Action.DISMISS)
        return _ACTIONS[self.nature]


HISTORY_MAX: Final = 200
"""So many lines are kept of one break: the first, and the latest. The journal has them all."""


def break_id(account: AccountId, nature: str, subject: str, at: datetime) -> str:
    """Sorts by the time of opening; the same break of the same moment always has the same id."""
    whole = f"{account}\0{nature}\0{subject}"
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"brk-{int(at.timestamp() * 1000):012x}-{digest}"


def gap_of(nature: str, ours: str, theirs: str) -> str:
    """Of amounts, by how much they differ; of everything else, both sides."""
    if nature in (Nature.POSITION, Nature.CASH, Nature.UNLISTED_SYMBOL):
        return text(Decimal(theirs) - Decimal(ours))
    return f"{ours}\0{theirs}"


def opened(event: a.BreakOpened) -> Break:
    return Break(
        id=event.break_id,
        account=event.account,
        nature=Nature(event.nature),
        severity=Severity(event.severity),
        state=State.OPEN,
        subject=event.subject,
        ours=event.ours,
        theirs=event.theirs,
        detail=event.detail,
        opened_at=event.at,
        updated_at=event.at,
        history=(_step(event, "opened", RECONCILER, _sides(event)),),
    )


def evolve(item: Break, event: a.AnyBreakEvent) -> Break:
    """The break after `event`. Raises InvariantBroken where its state has no such step."""
    if isinstance(event, a.BreakOpened) or not _may(item, event):
        raise InvariantBroken(f"{item.id} is {item.state} and cannot take {type(event).__name__}")
    changed = msgspec.structs.replace(item, updated_at=event.at)
    match event:
        case a.BreakNoted():
            return _told(changed, event, "noted", RECONCILER, _sides(event), **_evidence(event))
        case a.BreakReopened():
            fresh = {"state": State.OPEN, "action": None, "reason": None, "settled_at": None}
            return _told(changed, event, "reopened", RECONCILER, _sides(event), **_evidence(event), **fresh)
        case a.BreakAssigned():
            note = f"to {event.owner}" + (f": {event.note}" if event.note else "")
            assigned = {"state": State.ASSIGNED, "owner": event.owner}
            return _told(changed, event, "assigned", event.actor, note, **assigned)
        case a.BreakCancelAsked():
            note = f"{event.broker_order_id}: {event.reason}"
            return _told(changed, event, "cancel_asked", event.actor, note, cancel_asked=event)
        case a.BreakCancelAnswered():
            return _told(changed, event, "cancel_answered", BROKER, event.answer, cancel_asked=None)
        case a.BreakHealed():
            note = f"{event.rule}: {event.evidence}"
            settled = {"state": State.HEALED, "rule": event.rule, "action": None, "settled_at": event.at}
            return _told(changed, event, "healed", RECONCILER, note, cancel_asked=None, **settled)
        case a.BreakResolved():
            note = f"{event.action}: {event.reason}"
            settled = {"state": State.RESOLVED, "action": _action(event.action), "settled_at": event.at}
            settled |= {"reason": event.reason, "cancel_asked": None}
            return _told(changed, event, "resolved", event.actor, note, **settled)
        case _:
            assert_never(event)


def _may(item: Break, event: a.AnyBreakEvent) -> bool:
    """A dismissed difference can only change or go away; all else needs an open break."""
    if isinstance(event, a.BreakReopened):
        return item.is_dismissed
    if isinstance(event, a.BreakHealed):
        return item.is_open or item.is_dismissed
    return item.is_open


def _told(item: Break, event: a.AnyBreakEvent, what: str, actor: str, note: str, **changes: object) -> Break:
    history = (*item.history, _step(event, what, actor, note))
    if len(history) > HISTORY_MAX:
        history = (history[0], *history[2:])
    return msgspec.structs.replace(item, history=history, **changes)


def _step(event: a.AnyBreakEvent, what: str, actor: str, note: str) -> Step:
    return Step(at=event.at, what=what, actor=actor, note=note)


def _evidence(event: a.BreakNoted | a.BreakReopened) -> dict[str, object]:
    return {"ours": event.ours, "theirs": event.theirs, "detail": event.detail}


def _sides(event: a.BreakOpened | a.BreakNoted | a.BreakReopened) -> str:
    sides = f"ours {event.ours}, theirs {event.theirs}"
    return f"{sides}; {event.detail}" if event.detail else sides


def _action(name: str) -> Action | None:
    """None for how breaks were settled before people could."""
    return _ACTION_NAMED.get(name)


_ACTION_NAMED: Final[Mapping[str, Action]] = {action.value: action for action in Action}


def position_differences(
    ours: Mapping[Symbol, Decimal],
    theirs: Mapping[Symbol, Decimal],
    listed: frozenset[Symbol] | None = None,
) -> list[Difference]:
    """Every symbol whose signed quantity is not the same on both sides, in order of symbol.

    What is held at the broker in a symbol that is not `listed` here is a nature of its own.
    """
    return [
        Difference(
            nature=_nature_of(symbol, listed),
            subject=symbol,
            ours=text(ours.get(symbol, ZERO)),
            theirs=text(theirs.get(symbol, ZERO)),
        )
        for symbol in sorted({*ours, *theirs})
        if ours.get(symbol, ZERO) != theirs.get(symbol, ZERO)
    ]


def _nature_of(symbol: Symbol, listed: frozenset[Symbol] | None) -> Nature:
    return Nature.POSITION if listed is None or symbol in listed else Nature.UNLISTED_SYMBOL


def cash_differences(ours: Mapping[str, Decimal], theirs: Mapping[str, Decimal]) -> list[Difference]:
    """Every currency of which the two sides have not as much. What a side does not name it has none of."""
    return [
        Difference(
            nature=Nature.CASH,
            subject=currency,
            ours=text(ours.get(currency, ZERO)),
            theirs=text(theirs.get(currency, ZERO)),
        )
        for currency in sorted({*ours, *theirs})
        if ours.get(currency, ZERO) != theirs.get(currency, ZERO)
    ]
