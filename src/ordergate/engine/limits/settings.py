"""Takes in what the settings file says about limits: once, and again when the file has changed.

The first limits of an account are taken as they are. A file that has changed since is applied as any
change is: what only tightens at once, what loosens once a person has approved it. A file that has not
changed says nothing new, whatever was done to the limits since.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from ordergate.core.approvals import ChangeRejected, pending
from ordergate.core.ids import AccountId
from ordergate.core.risk.limits import Limits, config_hash, mapping_of
from ordergate.core.risk.policy import SETTINGS, Edit, LimitsTakenIn, Policy, events_of
from ordergate.core.risk.rules import Reach, Rule, read
from ordergate.core.two_persons import LIMITS
from ordergate.engine.limits.book import LimitsBook
from ordergate.engine.limits.changes import Planner
from ordergate.ports.journal import AnyEvent

FIRST = "the first limits of the account, from the settings file"
CHANGED = "the settings file has changed"


def rule_id(account: AccountId) -> str:
    return f"settings:{account}"


def rule_from(account: AccountId, limits: Limits) -> Rule:
    """The rule that a file's limits are."""
    plain = {name: value for name, value in mapping_of(limits).items() if name != "version"}
    rule = Rule(
        id=rule_id(account),
        scope=Reach.ACCOUNT,
        of=account,
        limits=plain,
        owner="settings",
        version=limits.version,
    )
    return read(rule)


async def taking_in(
    book: LimitsBook, said: Mapping[AccountId, Limits | None], planner: Planner, at: datetime
) -> list[AnyEvent]:
    """What there is to journal; nothing when the file says what it said before."""
    events: list[AnyEvent] = []
    for account, limits in sorted(said.items()):
        digest = config_hash(limits)
        before = book.policy.taken.get(account)
        if before == digest or (before is None and limits is None):
            continue
        edit = Edit(
            rule_id(account),
            _version(book.policy, account),
            None if limits is None else rule_from(account, limits),
        )
        if before is None and not _has_rule(book.policy, account):
            events += events_of(book.policy, [edit], at=at, by=SETTINGS, reason=FIRST)
        elif edit.rule is not None or edit.expected:
            events += _superseded(book, account, at)
            events += (await planner.plan([edit], by=SETTINGS, reason=CHANGED, at=at)).events
        events.append(LimitsTakenIn(at=at, by=SETTINGS, account=account, digest=digest))
    return events


def _has_rule(policy: Policy, account: AccountId) -> bool:
    return any(rule.scope is Reach.ACCOUNT and rule.of == account for rule in policy.rules.values())


def _version(policy: Policy, account: AccountId) -> int:
    rule = policy.rules.get(rule_id(account))
    return 0 if rule is None else rule.version


def _superseded(book: LimitsBook, account: AccountId, at: datetime) -> list[AnyEvent]:
    """What an earlier file wanted, and nobody approved, is wanted no more."""
    return [
        ChangeRejected(change_id=change.id, at=at, by=SETTINGS, reason=CHANGED)
        for change in pending(book.changes)
        if change.proposed.subject == LIMITS.name
        and change.proposed.by == SETTINGS
        and any(edit["rule_id"] == rule_id(account) for edit in change.proposed.content["edits"])
    ]
