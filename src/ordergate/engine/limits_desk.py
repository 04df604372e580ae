"""Where people change limits: permission, what they saw, and a second person for whatever loosens.

Who may trade every account that a rule holds for may change it, with the scope for it; others do not
see it. What only tightens is in force once it is durable. The same desk approves and rejects, and lets
what nobody approved expire.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from ordergate.core.access import Principal, Scope
from ordergate.core.approvals import (
    Change,
    ChangeProposed,
    decide_approve,
    decide_expire,
    decide_propose,
    decide_reject,
    pending,
    person,
)
from ordergate.core.faults import Fault
from ordergate.core.ids import AccountId, Symbol
from ordergate.core.instruments import AssetClass
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk import policy as policies
from ordergate.core.risk.limits import Limits
from ordergate.core.risk.policy import SETTINGS, Edit
from ordergate.core.risk.rules import Reach, Rule
from ordergate.engine import live_enabling, override_desk
from ordergate.engine.control_stream import UNREAD, ControlStream, Decide
from ordergate.engine.limits_book import LimitsBook
from ordergate.engine.limits_changes import Plan, Planner, edits_in
from ordergate.engine.limits_in_force import LimitsInForce
from ordergate.engine.limits_settings import taking_in
from ordergate.engine.limits_use import LimitsUse
from ordergate.engine.override_desk import Asked
from ordergate.engine.rehearsal import Rehearsal, Rehearsed
from ordergate.ports.clock import Clock
from ordergate.ports.journal import AnyEvent
from ordergate.telemetry.log import logger

log = logger("limits")

TICK_S: Final = 0.5
TAKING_IN: Final = "settings"
NO_RULE: Final = "there is no such rule"


class Edited(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a change: the rules in force by it, and the change that waits, if any does."""

    rules: tuple[Rule, ...] = ()
    removed: tuple[str, ...] = ()
    change: Change | None = None


class LimitsDesk:
    def __init__(
        self,
        stream: ControlStream,
        *,
        book: LimitsBook,
        in_force: LimitsInForce,
        planner: Planner,
        use: LimitsUse,
        rehearsal: Rehearsal,
        clock: Clock,
    ) -> None:
        self.book = book
        self.in_force = in_force
        self.use_of = use.body
        self.uses = use.around
        self._stream = stream
        self._planner = planner
        self._rehearsal = rehearsal
        self._clock = clock

    @property
    def is_known(self) -> bool:
        """False until the rules have been read and what the settings say has been taken in."""
        return self.book.opened

    async def open(self, said: Mapping[AccountId, Limits | None]) -> None:
        """Read the rules, take in the settings, and let them hold. Raises Fault."""
        await self._stream.recover()
        await self._stream.record(
            lambda: taking_in(self.book, said, self._planner, self._clock.now()), TAKING_IN
        )
        self.book.open()
        for change in pending(self.book.changes):
            log.warning("limits.pending", change=change.id, by=change.proposed.by.subject)

    async def keep(self) -> None:
        """What begins, ends or expires does so by itself. Raises Fault."""
        while True:
            await self._clock.sleep(TICK_S)
            self.in_force.tick()
            if decide_expire(self.book.changes, self._clock.now()):
                await self._stream.record(self._expiring, "expiry")

    async def _expiring(self) -> Sequence[AnyEvent]:
        return decide_expire(self.book.changes, self._clock.now())

    # What is there

    def rules(self, principal: Principal) -> list[Rule]:
        """Every rule that holds for one of the principal's accounts."""
        found = [rule for rule in self.book.policy.rules.values() if self._shows(principal, rule)]
        return sorted(found, key=lambda rule: rule.id)

    def rule(self, principal: Principal, rule_id: str) -> Rule | Refusal:
        rule = self.book.policy.rules.get(rule_id)
        if rule is None or not self._shows(principal, rule):
            return Refusal(Code.NOT_FOUND, NO_RULE)
        return rule

    def changes(self, principal: Principal, *, only_pending: bool) -> list[Change]:
        """Newest first."""
        found = pending(self.book.changes) if only_pending else list(self.book.changes.values())
        seen = [change for change in found if self._concerns(principal, change)]
        return sorted(seen, key=lambda change: (change.proposed.at, change.id), reverse=True)

    def change(self, principal: Principal, change_id: str) -> Change | Refusal:
        change = self.book.changes.get(change_id)
        if change is None or not self._concerns(principal, change):
            return Refusal(Code.NOT_FOUND, f"there is no change {change_id}")
        return change

    # Changing it

    async def edit(
        self, principal: Principal, edits: Sequence[Edit], *, reason: str, correlation: str
    ) -> Edited | Refusal:
        """Make the edits: what tightens at once, and what loosens once another person has approved it."""
        made: list[Plan] = []

        async def decide() -> Sequence[AnyEvent] | Refusal:
            plan = await self.planned(principal, edits, reason)
            if isinstance(plan, Refusal):
                return plan
            made.append(plan)
            return plan.events

        done = await self._recorded(decide, correlation)
        if isinstance(done, Refusal):
            return done
        return self._edited(made[-1])

    async def planned(self, principal: Principal, edits: Sequence[Edit], reason: str) -> Plan | Refusal:
        """What the edits would come to now; nothing is written."""
        policy = self.book.policy
        read = policies.read_edits(edits, policy)
        if isinstance(read, Refusal):
            return read
        if (no := self._allowed(principal, read)) is not None:
            return no
        if (no := policies.fitting(policy, read)) is not None:
            return no
        if (no := live_enabling.refused(principal, read, policy, self._clock.now())) is not None:
            return no
        return await self._planner.plan(read, by=person(principal), reason=reason, at=self._clock.now())

    def differing(self, principal: Principal, rules: Sequence[Rule], *, prune: bool) -> list[Edit]:
        """The edits that make the rules so; with `prune` those that are not among them are removed.

        A rule that the settings file made is its own to remove.
        """
        standing = {rule.id: rule for rule in self.rules(principal)}
        found = []
        for rule in rules:
            before = standing.get(rule.id)
            if before is None or before.content != policies.as_read(rule).content:
                found.append(Edit(rule.id, 0 if before is None else before.version, rule))
        if prune:
            kept = {rule.id for rule in rules}
            gone = [
                one for one in standing.values() if one.id not in kept and one.made_by != SETTINGS.subject
            ]
            found += [Edit(rule.id, rule.version) for rule in gone]
        return found

    async def ask_override(
        self, principal: Principal, asked: Asked, *, reason: str, correlation: str
    ) -> Change | Refusal:
        """Ask another person to let one order pass, once."""

        async def decide() -> Sequence[AnyEvent] | Refusal:
            at = self._clock.now()
            event = override_desk.proposed(
                principal, asked, change_id=self._planner.new_id(at), reason=reason, at=at
            )
            if isinstance(event, ChangeProposed):
                event = decide_propose(self.book.changes, event)
            return event if isinstance(event, Refusal) else [event]

        done = await self._recorded(decide, correlation)
        if isinstance(done, Refusal):
            return done
        (proposed,) = done
        assert isinstance(proposed, ChangeProposed)
        return self.book.changes[proposed.change_id]

    async def dry_run(
        self,
        principal: Principal,
        account: AccountId,
        rules: Sequence[Rule],
        *,
        prune: bool,
        orders: int,
        shadows: bool,
    ) -> Rehearsed | Refusal:
        """What the account's last orders would have got under these rules. Nothing is written."""
        if not self.is_known:
            return Refusal(Code.NOT_READY, UNREAD)
        if account not in principal.accounts_for(Scope.RISK_READ) or account not in self.in_force.subjects:
            return Refusal(Code.NOT_FOUND, f"there is no account {account}")
        policy = self.book.policy
        edits = policies.read_edits(self.differing(principal, rules, prune=prune), policy)
        if isinstance(edits, Refusal):
            return edits
        now = self.in_force.by_who_asks(account, policy.rules.values())
        after = policies.applied(policy, edits)
        would = self.in_force.by_who_asks(account, after.values(), shadows=shadows)
        return await self._rehearsal.of(account, now, would, orders=orders)

    async def approve(
        self, principal: Principal, change_id: str, *, reason: str, correlation: str
    ) -> Change | Refusal:
        """The second person's yes; what was proposed is in force when it is answered."""

        async def decide() -> Sequence[AnyEvent] | Refusal:
            at, by = self._clock.now(), person(principal)
            change = self.change(principal, change_id)
            if isinstance(change, Refusal):
                return change
            approved = decide_approve(self.book.changes, change_id, by, at, reason)
            if isinstance(approved, Refusal):
                return approved
            if change.proposed.subject == override_desk.OVERRIDE:
                return override_desk.granted(principal, change, approved)
            edits = edits_in(change)
            if isinstance(edits, Refusal):
                return edits
            no = (
                self._allowed(principal, edits)
                or policies.fitting(self.book.policy, edits)
                or live_enabling.refused(principal, edits, self.book.policy, at)
            )
            if no is not None:
                return no
            made = policies.events_of(
                self.book.policy,
                edits,
                at=at,
                by=change.proposed.by,
                reason=change.proposed.reason,
                change_id=change_id,
                approved_by=by,
            )
            return [approved, *made]

        return await self._settled(decide, principal, change_id, correlation)

    async def reject(
        self, principal: Principal, change_id: str, *, reason: str, correlation: str
    ) -> Change | Refusal:
        """Anybody's no who may make such a change, the proposer's own included."""

        async def decide() -> Sequence[AnyEvent] | Refusal:
            change = self.change(principal, change_id)
            if isinstance(change, Refusal):
                return change
            at, by = self._clock.now(), person(principal)
            rejected = decide_reject(self.book.changes, change_id, by, at, reason)
            return rejected if isinstance(rejected, Refusal) else [rejected]

        return await self._settled(decide, principal, change_id, correlation)

    async def _settled(
        self, decide: Decide, principal: Principal, change_id: str, correlation: str
    ) -> Change | Refusal:
        if not principal.may(Scope.RISK_WRITE):
            return _FORBIDDEN
        done = await self._recorded(decide, correlation)
        if isinstance(done, Refusal):
            return done
        change = self.book.changes[change_id]
        log.warning("limits.settled", change=change_id, state=change.state, by=principal.subject)
        return change

    async def _recorded(self, decide: Decide, correlation: str) -> Sequence[AnyEvent] | Refusal:
        if not self.is_known:
            return Refusal(Code.NOT_READY, UNREAD)
        try:
            return await self._stream.record(decide, correlation)
        except Fault as fault:
            log.error("limits.unrecorded", why=str(fault))
            return Refusal(Code.UNAVAILABLE, "not known to be durable; look before you ask again")

    def _edited(self, plan: Plan) -> Edited:
        rules = self.book.policy.rules
        change = None if plan.change_id is None else self.book.changes.get(plan.change_id)
        return Edited(
            rules=tuple(rules[edit.rule_id] for edit in plan.at_once if edit.rule_id in rules),
            removed=tuple(edit.rule_id for edit in plan.at_once if edit.rule is None),
            change=change,
        )

    # Who may

    def _allowed(self, principal: Principal, edits: Sequence[Edit]) -> Refusal | None:
        """Whoever changes a rule may trade every account that it holds for, before and after."""
        if not principal.may(Scope.RISK_WRITE):
            return _FORBIDDEN
        mine = principal.accounts_for(Scope.RISK_WRITE)
        for edit in edits:
            standing = self.book.policy.rules.get(edit.rule_id)
            if standing is not None and not self._shows(principal, standing):
                return Refusal(Code.NOT_FOUND, NO_RULE)
            if edit.rule is not None and (no := self._knows(principal, edit.rule)) is not None:
                return no
            for rule in (standing, edit.rule):
                if rule is not None and not self.in_force.accounts_of(rule) <= mine:
                    words = "the rule holds for accounts that the token may not trade"
                    return Refusal(Code.FORBIDDEN, words)
        return None

    def _knows(self, principal: Principal, rule: Rule) -> Refusal | None:
        """A rule about nobody would be a limit that limits nothing."""
        if rule.scope is Reach.ACCOUNT and rule.of not in principal.accounts_for(Scope.RISK_WRITE):
            return Refusal(Code.NOT_FOUND, f"there is no account {rule.of}")
        if rule.scope is Reach.INSTRUMENT and Symbol(rule.of) not in self.in_force.instruments:
            return Refusal(Code.UNKNOWN_INSTRUMENT, f"{rule.of} is not listed here")
        if rule.scope is Reach.ASSET_CLASS and rule.of not in set(AssetClass):
            return Refusal(Code.INVALID, f"{rule.of} is no asset class")
        if not self.in_force.accounts_of(rule):
            return Refusal(Code.NOT_FOUND, f"there is no {rule.scope} {rule.of}")
        return None

    def _shows(self, principal: Principal, rule: Rule) -> bool:
        """A rule whose account or desk is served no more is everybody's to see."""
        accounts = self.in_force.accounts_of(rule)
        return not accounts or not accounts.isdisjoint(principal.accounts)

    def _concerns(self, principal: Principal, change: Change) -> bool:
        accounts = change.proposed.content.get("accounts", [])
        return not accounts or not principal.accounts.isdisjoint(accounts)


_FORBIDDEN: Final = Refusal(Code.FORBIDDEN, f"the token lacks the scope {Scope.RISK_WRITE}")
