"""The limits in force as folded from their events: every rule, and what was taken in from the settings.

Decides what an edit of the rules may be applied to, and what it would come to. Whether it needs a second
person is `core.risk.compiling`'s answer; who may ask is the desk's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, assert_never

import msgspec

from ordergate.core.approvals import Person
from ordergate.core.ids import AccountId
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.rules import RULES_MAX, Rule, read

SETTINGS: Final = Person("settings", "settings")
"""Who changes limits when the settings file does."""


class LimitEvent(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, tag_field="kind"):
    """The base of every event of the limits. `at` is in UTC; `change_id` is of the change it follows from."""

    at: datetime
    by: Person
    change_id: str | None = None
    approved_by: Person | None = None
    reason: str = ""


class LimitRuleSet(LimitEvent, frozen=True, kw_only=True, tag="limit_rule_set"):
    """A rule is new, or is another one from now on; `rule` is all of it."""

    rule: Rule


class LimitRuleRemoved(LimitEvent, frozen=True, kw_only=True, tag="limit_rule_removed"):
    rule_id: str
    version: int


class LimitsTakenIn(LimitEvent, frozen=True, kw_only=True, tag="limits_taken_in"):
    """What the settings file says about an account has been dealt with; `digest` names what it said."""

    account: AccountId
    digest: str


AnyLimitEvent = LimitRuleSet | LimitRuleRemoved | LimitsTakenIn


class Policy(msgspec.Struct, frozen=True):
    """`taken` has the digest of each account's limits as the settings file said them last."""

    rules: Mapping[str, Rule] = {}
    taken: Mapping[AccountId, str] = {}
    removed: Mapping[str, int] = {}


def evolve(policy: Policy, event: AnyLimitEvent) -> Policy:
    match event:
        case LimitRuleSet():
            return msgspec.structs.replace(policy, rules={**policy.rules, event.rule.id: event.rule})
        case LimitRuleRemoved():
            rules = {name: rule for name, rule in policy.rules.items() if name != event.rule_id}
            removed = {**policy.removed, event.rule_id: event.version}
            return msgspec.structs.replace(policy, rules=rules, removed=removed)
        case LimitsTakenIn():
            taken = {**policy.taken, event.account: event.digest}
            return msgspec.structs.replace(policy, taken=taken)
        case _:
            assert_never(event)


class Edit(msgspec.Struct, frozen=True, omit_defaults=True):
    """Set a rule, or remove one. `expected` is the version it is made from; 0 where there is none yet."""

    rule_id: str
    expected: int
    rule: Rule | None = None


def fitting(policy: Policy, edits: Iterable[Edit]) -> Refusal | None:
    """Whether the edits are made from the rules as they stand now."""
    seen: set[str] = set()
    for edit in edits:
        if edit.rule_id in seen:
            return Refusal(Code.INVALID, f"{edit.rule_id} is changed twice")
        seen.add(edit.rule_id)
        standing = policy.rules.get(edit.rule_id)
        version = 0 if standing is None else standing.version
        if version != edit.expected:
            now = f"is at version {version}" if version else "is not there"
            return Refusal(Code.CHANGE_OUTDATED, f"{edit.rule_id} {now}, not at {edit.expected}")
    return None


def applied(policy: Policy, edits: Iterable[Edit]) -> dict[str, Rule]:
    """The rules as the edits leave them."""
    rules = dict(policy.rules)
    for edit in edits:
        if edit.rule is None:
            rules.pop(edit.rule_id, None)
        else:
            rules[edit.rule_id] = edit.rule
    return rules


def numbered(policy: Policy, edit: Edit) -> int:
    """The version that a rule gets: more than it ever had, so that no version comes twice."""
    least = 1 if edit.rule is None else edit.rule.version
    return max(edit.expected + 1, policy.removed.get(edit.rule_id, 0) + 1, least)


def events_of(
    policy: Policy,
    edits: Iterable[Edit],
    *,
    at: datetime,
    by: Person,
    reason: str,
    change_id: str | None = None,
    approved_by: Person | None = None,
) -> list[LimitRuleSet | LimitRuleRemoved]:
    """What is journalled when the edits are made."""
    events: list[LimitRuleSet | LimitRuleRemoved] = []
    for edit in edits:
        if edit.rule is None:
            events.append(
                LimitRuleRemoved(
                    at=at,
                    by=by,
                    change_id=change_id,
                    approved_by=approved_by,
                    reason=reason,
                    rule_id=edit.rule_id,
                    version=edit.expected,
                )
            )
            continue
        rule = msgspec.structs.replace(
            edit.rule,
            version=numbered(policy, edit),
            made_by=by.subject,
            approved_by=None if approved_by is None else approved_by.subject,
            changed_at=at,
            reason=reason,
        )
        events.append(
            LimitRuleSet(at=at, by=by, change_id=change_id, approved_by=approved_by, reason=reason, rule=rule)
        )
    return events


def as_read(rule: Rule) -> Rule:
    """The rule written in the one way; as it is where it cannot be read, to be refused by name later."""
    try:
        return read(rule)
    except ValueError:
        return rule


def read_edits(edits: Iterable[Edit], policy: Policy) -> list[Edit] | Refusal:
    """The edits with their rules written in the one way, or what is wrong with them."""
    found: list[Edit] = []
    for edit in edits:
        if edit.rule is None:
            found.append(edit)
            continue
        try:
            found.append(msgspec.structs.replace(edit, rule=read(edit.rule)))
        except ValueError as wrong:
            return Refusal(Code.INVALID, f"rule {edit.rule_id}: {wrong}")
    if len(applied(policy, found)) > RULES_MAX:
        return Refusal(Code.TOO_LARGE, f"there may be {RULES_MAX} rules")
    return found
