"""The limits that each account is judged by at this moment, compiled from the rules.

Hands them to the accounts' seats whenever the rules change, or the time at which one of them begins or
ends has come. Until the rules have been read no account has limits, and so nothing is accepted. Decides
nothing about who may change what.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from ordergate.core.ids import AccountId, Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.risk.compiling import Compiled, Subject, compiled, moments
from ordergate.core.risk.limits import Limits, config_hash
from ordergate.core.risk.overrides import OverrideGranted
from ordergate.core.risk.policy import Policy
from ordergate.core.risk.rules import OF_ONE_WHO_ASKS, Reach, Rule
from ordergate.engine.accounts.lanes import Lanes, Seat
from ordergate.ports.clock import Clock
from ordergate.telemetry.log import logger

log = logger("limits")

UNREAD: Final = Compiled(None, "the limits have not been read yet")


class ByWhoAsks:
    """One account's limits where rules on users or strategies make a difference. Implements `Narrower`."""

    def __init__(
        self,
        rules: tuple[Rule, ...],
        subject: Subject,
        instruments: Mapping[Symbol, Instrument],
        at: datetime,
        *,
        shadows: bool = False,
    ) -> None:
        self._rules = rules
        self._shadows = shadows
        self._subject = subject
        self._instruments = instruments
        self._at = at
        self._users = {rule.of for rule in rules if rule.scope is Reach.USER}
        self._strategies = {rule.of for rule in rules if rule.scope is Reach.STRATEGY}
        self._found: dict[tuple[str | None, str | None], Compiled] = {}

    @property
    def drift_window(self) -> timedelta:
        """The longest that any rule asks for."""
        windows = (float(rule.limits.get("drift_window_s") or 0) for rule in self._rules)
        return timedelta(seconds=max(windows, default=0.0))

    @property
    def named(self) -> Sequence[tuple[str | None, str | None]]:
        """Each user and each strategy that a rule names, by itself."""
        return (
            *((user, None) for user in sorted(self._users)),
            *((None, strategy) for strategy in sorted(self._strategies)),
        )

    def of(self, user: str | None, strategy: str | None) -> Compiled:
        """Compiled when it is first asked for; there are as many as rules name users and strategies."""
        key = (
            user if user in self._users else None,
            strategy if strategy in self._strategies else None,
        )
        if key not in self._found:
            asking = Subject(
                self._subject.account, self._subject.tenant, self._subject.desk, user=key[0], strategy=key[1]
            )
            self._found[key] = compiled(
                self._rules, asking, self._instruments, self._at, shadows=self._shadows
            )
        return self._found[key]

    def limits(self, user: str | None, strategy: str | None) -> Limits | None:
        return self.of(user, strategy).limits


class LimitsInForce:
    """`on_change` is told of every seat whose limits are others now."""

    def __init__(
        self,
        lanes: Lanes,
        subjects: Mapping[AccountId, Subject],
        instruments: Mapping[Symbol, Instrument],
        clock: Clock,
        on_change: Callable[[Seat], None],
    ) -> None:
        self.subjects = subjects
        self.instruments = instruments
        self._lanes = lanes
        self._clock = clock
        self._on_change = on_change
        self._policy = Policy()
        self._compiled: dict[AccountId, Compiled] = {}
        self._rules_of: dict[AccountId, tuple[Rule, ...]] = {}
        self._next: datetime | None = None
        self._as_of: datetime | None = None

    def of(self, account: AccountId) -> Compiled:
        return self._compiled.get(account, UNREAD)

    def accounts_of(self, rule: Rule) -> set[AccountId]:
        """Every account of this gateway that the rule holds for."""
        subjects = self.subjects.values()
        match rule.scope:
            case Reach.ACCOUNT:
                return {one.account for one in subjects if one.account == rule.of}
            case Reach.DESK:
                return {one.account for one in subjects if one.desk == rule.of}
            case Reach.TENANT:
                return {one.account for one in subjects if one.tenant == rule.of}
            case _:
                return {one.account for one in subjects}

    def by_who_asks(self, account: AccountId, rules: Iterable[Rule], *, shadows: bool = False) -> ByWhoAsks:
        """The account's limits as these rules would have them now; in force or not."""
        now = self._clock.now()
        own, shared = _apart(rules)
        its = (*own.get(account, ()), *shared)
        return ByWhoAsks(its, self.subjects[account], self.instruments, now, shadows=shadows)

    def follow(self, policy: Policy, overrides: Sequence[OverrideGranted]) -> None:
        """These rules hold from now on, but for the orders that have an override."""
        self._policy = policy
        for seat in self._lanes:
            seat.overrides = tuple(one for one in overrides if one.account == seat.lane.account)
        self._compile(self._clock.now())

    def tick(self) -> None:
        """Time passes: what has begun or ended since is in force, or no longer.

        Where the clock was set back, so is what it had begun or ended too early.
        """
        now = self._clock.now()
        has_come = self._next is not None and now >= self._next
        if has_come or (self._as_of is not None and now < self._as_of):
            self._compile(now)

    def _compile(self, now: datetime) -> None:
        """Only whoever has other rules than before: a change to one account costs the others nothing."""
        rules = tuple(self._policy.rules.values())
        later = moments(rules, now)[1:]
        self._next, self._as_of = later[0] if later else None, now
        own, shared = _apart(rule for rule in rules if rule.is_in_effect(now))
        for seat in self._lanes:
            its = (*own.get(seat.lane.account, ()), *shared)
            if its != self._rules_of.get(seat.lane.account):
                self._limit(seat, its, now)
                self._rules_of[seat.lane.account] = its  # last: what could not be put in force is tried again

    def _limit(self, seat: Seat, rules: tuple[Rule, ...], now: datetime) -> None:
        account = seat.lane.account
        subject = self.subjects[account]
        found = compiled(rules, subject, self.instruments, now)
        narrows = any(rule.scope in OF_ONE_WHO_ASKS for rule in rules)
        self._compiled[account] = found
        looked_back = seat.drift_window
        seat.narrower = ByWhoAsks(rules, subject, self.instruments, now) if narrows else None
        seat.limits_known = True
        if found.limits == seat.limits:
            if seat.drift_window != looked_back:
                self._on_change(seat)
            return
        before, after = config_hash(seat.limits), config_hash(found.limits)
        seat.limited_by(found.limits, now)
        log.info("limits.changed", account=account, before=before, after=after, why=found.why)
        self._on_change(seat)


def _apart(rules: Iterable[Rule]) -> tuple[Mapping[str, list[Rule]], list[Rule]]:
    """The rules on one account by the account, and those that may concern any."""
    own: defaultdict[str, list[Rule]] = defaultdict(list)
    shared: list[Rule] = []
    for rule in rules:
        (own[rule.of] if rule.scope is Reach.ACCOUNT else shared).append(rule)
    return own, shared
