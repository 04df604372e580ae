"""Splits a change of the rules into what may be in force at once and what another person must approve.

What only tightens, for every account and at every later moment, is made at once. All that loosens becomes
one proposed change. Nothing is written here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from ordergate.core.approvals import Change, ChangeProposed, Person
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk import policy as policies
from ordergate.core.risk.compiling import comparisons, loosenings, weakened
from ordergate.core.risk.policy import Edit, Policy
from ordergate.core.risk.rules import Rule
from ordergate.core.two_persons import LIMITS
from ordergate.engine.limits.book import LimitsBook
from ordergate.engine.limits.in_force import LimitsInForce
from ordergate.ports.journal import AnyEvent

SUMMARY_MAX: Final = 50
OF_ONE_ACCOUNT_MAX: Final = 50
COMPARISONS_MAX: Final = 5_000


class Plan(msgspec.Struct, frozen=True):
    """`at_once` tighten, `waiting` loosens; `events` are what is journalled for both."""

    at_once: tuple[Edit, ...]
    waiting: tuple[Edit, ...]
    loosens: tuple[str, ...]
    events: tuple[AnyEvent, ...]
    change_id: str | None = None


class Planner:
    def __init__(self, book: LimitsBook, in_force: LimitsInForce, new_id: Callable[[], str]) -> None:
        self._book = book
        self._in_force = in_force
        self._new_id = new_id

    async def plan(self, edits: Sequence[Edit], *, by: Person, reason: str, at: datetime) -> Plan:
        """The edits fit the rules as they stand."""
        policy = self._book.policy
        standing = policy
        at_once: list[Edit] = []
        too_much = self._is_too_much(policy, edits, at)
        waiting: list[Edit] = list(edits) if too_much else []
        for edit in () if too_much else edits:
            after = policies.applied(standing, [edit])
            if await self._loosens(standing, after, at):
                waiting.append(edit)
            else:
                at_once.append(edit)
                standing = msgspec.structs.replace(standing, rules=after)
        events: list[AnyEvent] = [*policies.events_of(policy, at_once, at=at, by=by, reason=reason)]
        if not waiting:
            return Plan(tuple(at_once), (), (), tuple(events))
        loosens = [f"{len(waiting)} rules: too much to compare while orders wait"]
        if not too_much:
            loosens = await self._loosens(standing, policies.applied(standing, waiting), at)
        proposed = ChangeProposed(
            change_id=self._new_id(),
            at=at,
            subject=LIMITS.name,
            summary=tuple(loosens[:SUMMARY_MAX]),
            content={
                "edits": [msgspec.to_builtins(edit) for edit in waiting],
                "accounts": self._accounts(policy, waiting),
            },
            by=by,
            reason=reason,
            expires_at=at + LIMITS.waits,
        )
        events.append(proposed)
        return Plan(tuple(at_once), tuple(waiting), tuple(loosens), tuple(events), proposed.change_id)

    def _is_too_much(self, policy: Policy, edits: Sequence[Edit], at: datetime) -> bool:
        """What takes long to compare is not compared, since orders would wait for it: a person looks."""
        after = policies.applied(policy, edits)
        accounts = len(self._in_force.subjects)
        of_one = comparisons(policy.rules, after, at)
        return of_one > OF_ONE_ACCOUNT_MAX or of_one * accounts * len(edits) > COMPARISONS_MAX

    def _accounts(self, policy: Policy, edits: Sequence[Edit]) -> list[str]:
        """Everybody whose limits it is about."""
        rules = [rule for edit in edits for rule in (policy.rules.get(edit.rule_id), edit.rule) if rule]
        return sorted({account for rule in rules for account in self._in_force.accounts_of(rule)})

    async def _loosens(self, before: Policy, after: dict[str, Rule], at: datetime) -> list[str]:
        """What would be allowed, and what a rule would say less strictly although nothing shows it yet."""
        shown: list[str] = []
        for subject in self._in_force.subjects.values():
            shown += loosenings(
                before.rules.values(), after.values(), [subject], self._in_force.instruments, at
            )
            await asyncio.sleep(0)  # orders come in between
        hidden = [
            word
            for rule in before.rules.values()
            if after.get(rule.id) is not rule
            for word in weakened(rule, after.get(rule.id), after.values(), at)
        ]
        return shown or hidden


def edits_in(change: Change) -> list[Edit] | Refusal:
    """The edits that a proposed change is about."""
    try:
        return msgspec.convert(change.proposed.content.get("edits"), list[Edit], strict=False)
    except msgspec.ValidationError as wrong:
        return Refusal(Code.INVALID, f"{change.id} cannot be read: {wrong}")
