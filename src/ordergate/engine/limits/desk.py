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
from ordergate.core.approvals import Change, ChangeApproved, ChangeProposed, decide_propose, pending, person
from ordergate.core.ids import AccountId, Symbol
from ordergate.core.instruments import AssetClass
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk import policy as policies
from ordergate.core.risk.limits import Limits
from ordergate.core.risk.policy import SETTINGS, Edit
from ordergate.core.risk.rules import Reach, Rule
from ordergate.core.two_persons import LIMITS, OVERRIDE, may_not
from ordergate.engine.desks.changes_desk import Carrier, ChangesDesk
from ordergate.engine.desks.control_stream import UNREAD, ControlStream
from ordergate.engine.limits import live_enabling, override_desk
from ordergate.engine.limits.book import LimitsBook
from ordergate.engine.limits.changes import Plan, Planner, edits_in
from ordergate.engine.limits.in_force import LimitsInForce
from ordergate.engine.limits.override_desk import Asked
from ordergate.engine.limits.rehearsal import Rehearsal, Rehearsed
from ordergate.engine.limits.settings import taking_in
from ordergate.engine.limits.use import LimitsUse
from ordergate.ports.clock import Chance, Clock
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
        chance: Chance,
    ) -> None:
        self.book = book
        self.in_force = in_force
        self.use_of = use.body
        self.uses = use.around
        self._stream = stream
        self._planner = planner
        self._rehearsal = rehearsal
        self._clock = clock
        self._changes = ChangesDesk(
            stream,
            book,
            [
                Carrier(LIMITS, _concerns, self._carried_out),
                Carrier(OVERRIDE, _concerns, override_desk.granted),
            ],
            clock=clock,
            chance=chance,
            unread=lambda: None if self.is_known else UNREAD,
        )
        self.changes = self._changes.changes
        self.change = self._changes.change
        self.approve = self._changes.approve
        self.reject = self._changes.reject

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

    async def catch_up(self) -> None:
        """Read the rules again, where they have been: another gateway may have changed them. Raises Fault."""
        if self.is_known:
            await self._stream.catch_up()

    async def keep(self) -> None:
        """What begins, ends or expires does so by itself. Raises Fault."""
        while True:
            await self._clock.sleep(TICK_S)
            self.in_force.tick()
            await self._changes.expire()

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
            if plan.change_id is not None:
                no = may_not(LIMITS.asks, LIMITS, principal, self._clock.now())
                if no is not None:
                    return no
            for proposed in (event for event in plan.events if isinstance(event, ChangeProposed)):
                heard = decide_propose(self.book.changes, proposed)
                if isinstance(heard, Refusal):
                    return heard
            made.append(plan)
            return plan.events

        done = await self._changes.recorded(decide, correlation)
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
        wish = override_desk.wish(principal, asked, reason)
        if isinstance(wish, Refusal):
            return wish
        return await self._changes.ask(principal, OVERRIDE, wish, correlation=correlation)

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
        asked_at = self._clock.now()
        return await self._rehearsal.of(account, now, would, orders=orders, asked_at=asked_at)

    def _carried_out(
        self, principal: Principal, change: Change, approved: ChangeApproved
    ) -> Sequence[AnyEvent] | Refusal:
        """The rules as they are once another person has said yes."""
        edits = edits_in(change)
        if isinstance(edits, Refusal):
            return edits
        no = (
            self._allowed(principal, edits)
            or policies.fitting(self.book.policy, edits)
            or live_enabling.refused(principal, edits, self.book.policy, approved.at)
        )
        if no is not None:
            return no
        return policies.events_of(
            self.book.policy,
            edits,
            at=approved.at,
            by=change.proposed.by,
            reason=change.proposed.reason,
            change_id=change.id,
            approved_by=approved.by,
        )

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
            if edit.rule is not None and (no := self._knows(principal, edit.rule)) is not None:
                return no
            if edit.rule is not None and not self.in_force.accounts_of(edit.rule) <= mine:
                return _TOO_WIDE
            standing = self.book.policy.rules.get(edit.rule_id)
            if standing is not None and not self._shows(principal, standing):
                return self._as_if_missing(edit)
            if standing is not None and not self.in_force.accounts_of(standing) <= mine:
                return _TOO_WIDE
        return None

    def _as_if_missing(self, edit: Edit) -> Refusal:
        """What is said of a rule that is not there, about one that is not theirs to see."""
        policy = self.book.policy
        rules = {name: rule for name, rule in policy.rules.items() if name != edit.rule_id}
        without = msgspec.structs.replace(policy, rules=rules)
        return policies.fitting(without, [edit]) or Refusal(Code.NOT_FOUND, NO_RULE)

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


def _concerns(principal: Principal, change: Change) -> bool:
    accounts = change.proposed.content.get("accounts", [])
    return not accounts or not principal.accounts.isdisjoint(accounts)


_TOO_WIDE: Final = Refusal(Code.FORBIDDEN, "the rule holds for accounts that the token may not trade")
_FORBIDDEN: Final = Refusal(Code.FORBIDDEN, f"the token lacks the scope {Scope.RISK_WRITE}")
