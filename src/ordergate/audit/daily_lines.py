"""What an event says to an officer: one line each, in words, with who, who agreed, and why.

Knows what came before: what a change that was approved is about, which break was settled, what a rule
said until then. So every event has to be told, from the first on; which of them are listed is not decided
here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from ordergate.audit.limit_words import changes, content, of_control, of_order, of_people, of_person, of_rule
from ordergate.core import approvals
from ordergate.core import privileged as p
from ordergate.core.accounts import events as a
from ordergate.core.approvals import (
    Change,
    ChangeApproved,
    ChangeEvent,
    ChangeExpired,
    ChangeProposed,
    ChangeRejected,
)
from ordergate.core.ids import AccountId
from ordergate.core.money import text
from ordergate.core.orders import events as e
from ordergate.core.risk import policy as policies
from ordergate.core.risk import trading_state as t
from ordergate.core.risk.overrides import OverrideGranted
from ordergate.core.risk.policy import LimitRuleRemoved, LimitRuleSet, LimitsTakenIn, Policy
from ordergate.core.risk.rules import Rule
from ordergate.core.risk.trading_state import Level, Place
from ordergate.core.two_persons import LIMITS as LIMITS_KIND
from ordergate.core.two_persons import OVERRIDE as OVERRIDE_KIND

KILL: Final = "Kill switch"
LIMITS: Final = "Limit changes"
OVERRIDES: Final = "Overrides"
REFUSED: Final = "Refused before risk was asked"
BREAKS: Final = "Breaks"
ALARMS: Final = "Alarms"
DECISIONS: Final = "Decided by people"
PRIVILEGED: Final = "Privileged acts"
SECTIONS: Final = (KILL, LIMITS, OVERRIDES, REFUSED, BREAKS, ALARMS, DECISIONS, PRIVILEGED)

UNKNOWN: Final = "of which no event tells"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a person should read."""

    at: datetime
    where: str
    what: str
    who: str = ""
    why: str = ""


class Said(msgspec.Struct, frozen=True):
    """A line without its place: in which section, and what is in it."""

    section: str
    what: str
    who: str = ""
    why: str = ""


class Lines:
    """Tell it the house's streams before the accounts': what an account's say refers to them."""

    def __init__(self) -> None:
        self._policy = Policy()
        self._changes: dict[str, Change] = {}
        self._granted: dict[str, OverrideGranted] = {}
        self._breaks: dict[str, a.BreakOpened] = {}

    def add(self, account: AccountId, at: datetime, event: Any) -> tuple[str, Line] | None:
        """The event's section and line; None where it has none. Remembers what later ones refer to."""
        said = self._said(event)
        self._learn(event)
        if said is None:
            return None
        return said.section, Line(at=at, where=account, what=said.what, who=said.who, why=said.why)

    def _learn(self, event: Any) -> None:
        match event:
            case LimitRuleSet() | LimitRuleRemoved() | LimitsTakenIn():
                self._policy = policies.evolve(self._policy, event)
            case ChangeProposed() | ChangeApproved() | ChangeRejected() | ChangeExpired():
                self._changes = approvals.evolve(self._changes, event)
            case OverrideGranted():
                self._granted[event.override_id] = event
            case a.BreakOpened():
                self._breaks[event.break_id] = event
            case _:
                pass

    def _said(self, event: Any) -> Said | None:
        match event:
            case t.ControlEvent():
                return _of_control_stream(event)
            case OverrideGranted():
                return _of_grant(event)
            case a.OverrideUsed():
                return self._of_use(event)
            case a.UseRefused():
                return _of_refusal(event)
            case policies.LimitEvent():
                return self._of_limits(event)
            case ChangeEvent():
                return self._of_change(event)
            case a.BreakOpened() | a.BreakHealed() | a.BreakReopened():
                return self._of_break(event)
            case a.BreakResolved() | a.BreakAssigned() | a.BreakCancelAsked():
                return self._of_settling(event)
            case a.AlarmRaised():
                what = f"alarm raised: {_plain(event.nature)}, {event.subject}"
                return Said(ALARMS, what, why=_joined(event.detail, *_facts(event.facts)))
            case e.OrderResolved() | a.CashAdjusted():
                return _of_decision(event)
            case p.PrivilegedEvent():
                return _of_privilege(event)
            case _:
                return None

    def _of_limits(self, event: Any) -> Said:
        who = of_people(event.by, event.approved_by)
        match event:
            case LimitRuleSet(rule=rule):
                what = _edit_words(rule.id, self._policy.rules.get(rule.id), rule)
                return Said(LIMITS, f"version {rule.version} of {what}", who, event.reason)
            case LimitRuleRemoved(rule_id=rule_id):
                what = _edit_words(rule_id, self._policy.rules.get(rule_id), None)
                return Said(LIMITS, f"version {event.version} of {what}", who, event.reason)
            case LimitsTakenIn(account=account):
                return Said(LIMITS, f"limits of {account} taken in from the settings", who, event.reason)
            case _:
                return Said(LIMITS, _kind(event), who, event.reason)

    def _of_use(self, event: a.OverrideUsed) -> Said:
        grant = self._granted.get(event.override_id)
        lifted = "; ".join(map(of_control, event.lifted))
        what = f"override {event.override_id} used for order {event.order_id}: lifted {lifted}"
        if grant is None:
            return Said(OVERRIDES, what)
        who, why = of_people(grant.by, grant.approved_by), grant.reason
        return Said(OVERRIDES, f"{what}; the order is {of_order(grant.terms)}", who, why)

    def _of_change(self, event: Any) -> Said:
        if isinstance(event, ChangeProposed):
            section = _SECTION_OF_CHANGE.get(event.subject, PRIVILEGED)
            what = f"{_named(event)} proposed, open until {_time(event.expires_at)}"
            about = _joined(", ".join(event.summary), *self._edits_of(event))
            return Said(section, f"{what}: {about}", of_person(event.by), event.reason)
        standing = self._changes.get(event.change_id)
        how = _kind(event).removeprefix("change ")
        who, why = ("", "") if isinstance(event, ChangeExpired) else (of_person(event.by), event.reason)
        if standing is None:
            return Said(PRIVILEGED, f"change {event.change_id}, {UNKNOWN}, {how}", who, why)
        proposed = standing.proposed
        section = _SECTION_OF_CHANGE.get(proposed.subject, PRIVILEGED)
        about = ", ".join(proposed.summary)
        what = f"{_named(proposed)} {how}, proposed by {of_person(proposed.by)}: {about}"
        return Said(section, what, who, why)

    def _edits_of(self, proposed: ChangeProposed) -> list[str]:
        """What it would make of each rule, where it is about rules and they can be read."""
        try:
            edits = msgspec.convert(proposed.content.get("edits", []), list[policies.Edit], strict=False)
        except msgspec.ValidationError:
            return []
        rules = self._policy.rules
        return [_edit_words(edit.rule_id, rules.get(edit.rule_id), edit.rule) for edit in edits]

    def _of_break(self, event: Any) -> Said:
        match event:
            case a.BreakOpened():
                what = f"break opened: {self._break_of(event)}; {_sides(event)}"
                return Said(BREAKS, what, why=event.detail)
            case a.BreakReopened():
                what = f"break reopened: {self._break_of(event)}; {_sides(event)}"
                return Said(BREAKS, what, why=event.detail)
            case _:
                what = f"break healed: {self._break_of(event)}"
                return Said(BREAKS, what, why=_joined(event.rule, event.evidence))

    def _of_settling(self, event: Any) -> Said:
        if isinstance(event, a.BreakResolved):
            what = f"break settled by {_plain(event.action)}: {self._break_of(event)}"
            return Said(DECISIONS, what, event.actor, event.reason)
        if isinstance(event, a.BreakCancelAsked):
            what = f"broker asked to cancel {event.broker_order_id}: {self._break_of(event)}"
            return Said(DECISIONS, what, event.actor, event.reason)
        what = f"break given to {event.owner}: {self._break_of(event)}"
        return Said(DECISIONS, what, event.actor, event.note)

    def _break_of(self, event: Any) -> str:
        """Which break: an event that is not of its opening has only its id."""
        opened = event if isinstance(event, a.BreakOpened) else self._breaks.get(event.break_id)
        if opened is None:
            return f"{event.break_id}, {UNKNOWN}"
        return f"{_plain(opened.nature)} of {opened.subject}, {opened.severity} ({event.break_id})"


_SECTION_OF_CHANGE: Final = {LIMITS_KIND.name: LIMITS, OVERRIDE_KIND.name: OVERRIDES}


def _of_control_stream(event: Any) -> Said:
    match event:
        case t.KillEngaged():
            lift = "by another person" if event.trip is None else event.trip.lift.rstrip(".")
            about = f", but not by {event.concerns}" if event.concerns else ""
            trip = "" if event.trip is None else f" by the trip {event.trip}"
            what = f"kill engaged{trip}: {event.grade} of {place_words(event.place)}"
            return Said(KILL, what, event.actor, _joined(event.reason, f"lifted: {lift}{about}"))
        case t.KillReleased() | t.KillFlattenAsked() | t.KillFlattenConfirmed():
            return Said(KILL, f"{_kind(event)}: {place_words(event.place)}", event.actor, event.reason)
        case t.KillSwept():
            took = text(Decimal(event.took_ms) / 1000)
            what = f"kill swept: {place_words(event.place)}, nothing that the stop cancels works any more"
            return Said(KILL, f"{what}; {event.cancels} cancels asked for, {took} s")
        case t.DeadManEvent():
            return _of_dead_man(event)
        case _:
            return Said(KILL, _kind(event))


def _of_dead_man(event: t.DeadManEvent) -> Said:
    whose = f"{_kind(event)} of {event.client}, session {event.session}, for the orders of {event.user}"
    match event:
        case t.DeadManArmed():
            return Said(KILL, f"{whose}, {event.timeout_s} s, GTC orders: {event.gtc}", event.client)
        case t.DeadManExpired():
            return Said(KILL, whose, event.client, event.why)
        case _:
            return Said(KILL, whose, event.client)


def _of_grant(event: OverrideGranted) -> Said:
    what = (
        f"override {event.override_id} granted: {of_order(event.terms)}, past {', '.join(event.controls)}, "
        f"once, until {_time(event.expires_at)}"
    )
    return Said(OVERRIDES, what, of_people(event.by, event.approved_by), event.reason)


def _of_refusal(event: a.UseRefused) -> Said:
    of = "".join(f" of {name}" for name in (event.symbol, event.strategy) if name)
    who = of_person(approvals.Person(event.actor, event.client))
    answers = "" if event.owner is None else f"; {event.owner} answers for it"
    return Said(REFUSED, f"refused{of}: {_plain(event.code)}", f"{who}{answers}", event.detail)


def _of_decision(event: e.OrderResolved | a.CashAdjusted) -> Said:
    if isinstance(event, a.CashAdjusted):
        amount = f"{text(event.amount)} {event.currency or ''}".rstrip()
        return Said(DECISIONS, f"cash adjusted by {amount}", why=event.why)
    filled = f", {text(event.cum_qty)} filled" if event.cum_qty is not None else ""
    what = f"order {event.order_id} resolved: {_plain(event.resolution)}{filled}"
    return Said(DECISIONS, what, event.actor, event.reason)


def _of_privilege(event: p.PrivilegedEvent) -> Said:
    match event:
        case p.IdentityChanged():
            what = f"identity changed: {event.what} {event.subject} {event.operation}"
            return Said(PRIVILEGED, what, event.by, "; ".join(_facts(event.facts)))
        case p.TokenIssued():
            until = _time(datetime.fromtimestamp(event.expires_at, UTC))
            what = f"token issued with {', '.join(event.scopes)}, until {until}"
            return Said(PRIVILEGED, what, event.client_id)
        case p.RequestSigned():
            return Said(PRIVILEGED, "request signed", f"{event.subject}, by {event.client_id}")
        case p.GatewayStarted():
            what = f"gateway started: release {event.version}, settings {event.settings_hash}"
            return Said(PRIVILEGED, what)
        case p.GatewayStopped():
            return Said(PRIVILEGED, f"gateway stopped: release {event.version}")
        case _:
            return Said(PRIVILEGED, _kind(event))


def place_words(place: Place) -> str:
    """What a stop is of."""
    level, target = place
    return "everything" if level is Level.GLOBAL else f"the {level} {target}"


def _named(proposed: ChangeProposed) -> str:
    return f"change {proposed.change_id} of {_plain(proposed.subject)}"


def _sides(event: a.BreakOpened | a.BreakReopened) -> str:
    return f"ours {event.ours}, theirs {event.theirs}"


def _edit_words(rule_id: str, before: Rule | None, after: Rule | None) -> str:
    """What becomes of one rule."""
    match before, after:
        case Rule(), Rule():
            return f"rule {of_rule(after)} changed: {'; '.join(changes(before, after)) or 'nothing it says'}"
        case None, Rule():
            return f"rule {of_rule(after)} new: {'; '.join(content(after))}"
        case Rule(), None:
            return f"rule {of_rule(before)} removed, which said: {'; '.join(content(before))}"
        case _:
            return f"rule {rule_id} removed, {UNKNOWN}"


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _facts(facts: dict[str, str]) -> list[str]:
    return [f"{_plain(name)} {value}" for name, value in facts.items()]


def _kind(event: Any) -> str:
    return _plain(str(type(event).__struct_config__.tag))


def _plain(word: str) -> str:
    return word.replace("_", " ")


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
