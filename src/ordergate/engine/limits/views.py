"""Rules, changes and what became of an edit as clients are shown them. Decides nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from ordergate.core.approvals import Change
from ordergate.core.risk.rules import Rule


class RuleView(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as it stands. `made_by` changed it last; `approved_by` is null where one person was enough."""

    id: str
    scope: str
    of: str
    limits: dict[str, Any]
    mode: str
    severity: str
    effective_from: datetime | None
    effective_to: datetime | None
    owner: str
    version: int
    made_by: str
    approved_by: str | None
    changed_at: datetime | None
    reason: str


class ChangeView(msgspec.Struct, frozen=True, kw_only=True):
    """Something that one person wants and another decides. `summary` says what it would allow."""

    id: str
    subject: str
    state: str
    summary: tuple[str, ...]
    content: dict[str, Any]
    proposed_by: str
    proposed_at: datetime
    reason: str
    expires_at: datetime
    settled_by: str | None
    settled_at: datetime | None
    settled_why: str | None


class EditView(msgspec.Struct, frozen=True, kw_only=True):
    """`rules` are in force and `removed` are gone; `change` waits for another person, or is null."""

    rules: tuple[RuleView, ...]
    removed: tuple[str, ...]
    change: ChangeView | None


class PlanView(msgspec.Struct, frozen=True, kw_only=True):
    """What an edit would come to: the rules made at once, those that would wait, and what these loosen."""

    at_once: tuple[str, ...]
    waiting: tuple[str, ...]
    loosens: tuple[str, ...]


def rule_view(rule: Rule) -> RuleView:
    return RuleView(
        id=rule.id,
        scope=rule.scope,
        of=rule.of,
        limits=rule.limits,
        mode=rule.mode,
        severity=rule.severity,
        effective_from=rule.effective_from,
        effective_to=rule.effective_to,
        owner=rule.owner,
        version=rule.version,
        made_by=rule.made_by,
        approved_by=rule.approved_by,
        changed_at=rule.changed_at,
        reason=rule.reason,
    )


def change_view(change: Change) -> ChangeView:
    proposed = change.proposed
    return ChangeView(
        id=change.id,
        subject=proposed.subject,
        state=change.state,
        summary=proposed.summary,
        content=proposed.content,
        proposed_by=proposed.by.subject,
        proposed_at=proposed.at,
        reason=proposed.reason,
        expires_at=proposed.expires_at,
        settled_by=None if change.settled_by is None else change.settled_by.subject,
        settled_at=change.settled_at,
        settled_why=change.settled_why or None,
    )
