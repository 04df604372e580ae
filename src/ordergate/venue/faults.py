"""Decides which fault, if any, befalls a request or a stream frame.

A plan of rules drawn by one seeded generator: the same seed, rules and traffic give the same faults.
It only decides. The faces carry a fault out, because only they hold the wire; and no fault ever
changes what the exchange decided, it changes what the client gets to know.
"""

from random import Random
from typing import Annotated, Final, Literal, get_args

from msgspec import UNSET, Meta, Struct, UnsetType

RequestScope = Literal["place", "replace", "cancel", "query"]
StreamScope = Literal["stream", "market"]
Scope = Literal["place", "replace", "cancel", "query", "request", "stream", "market"]
RequestKind = Literal[
    "delay",  # answered, `seconds` late
    "timeout_before",  # never reaches the exchange; held for `seconds`, then the connection is dropped
    "timeout_after",  # carried out; held for `seconds`, then the connection is dropped
    "rate_limited",  # 429, not carried out; Retry-After when `retry_after` is given
    "error_before",  # `status` 5xx, not carried out
    "error_after",  # `status` 5xx, carried out
    "truncated",  # carried out; the connection ends in the middle of the body
    "malformed",  # carried out; a complete answer whose body is not JSON
    "no_id",  # carried out; a complete answer without the id
    "not_found",  # 404, not carried out: an order that is there, but not visible yet
]
StreamKind = Literal[
    "delay",  # the frame and all after it come `seconds` late
    "drop",  # the frame never comes
    "duplicate",  # the frame comes twice
    "reorder",  # the frame comes after its successor
    "silent",  # the connection stays open, answers pings, and says nothing any more
    "disconnect",  # the connection is cut without a close frame, and the frame is lost
]
FaultKind = Literal[
    "delay",
    "timeout_before",
    "timeout_after",
    "rate_limited",
    "error_before",
    "error_after",
    "truncated",
    "malformed",
    "no_id",
    "not_found",
    "drop",
    "duplicate",
    "reorder",
    "silent",
    "disconnect",
]
_REQUEST_SCOPES: Final = frozenset(get_args(RequestScope)) | {"request"}
RULES_MAX: Final = 256


class Fault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One rule. Matches traffic of its scope (and account), lets `skip` of it pass, then strikes.

    `count` strikes in all (None: no end), each with `probability`.
    `request` means any REST route, `stream` the trade updates, `market` the market data.
    """

    kind: FaultKind
    scope: Scope
    probability: Annotated[float, Meta(gt=0, le=1)] = 1.0
    count: Annotated[int, Meta(ge=1)] | None = None
    skip: Annotated[int, Meta(ge=0)] = 0
    account: str | None = None
    seconds: Annotated[float, Meta(ge=0, le=300)] = 1.0
    status: Annotated[int, Meta(ge=500, le=599)] = 500
    retry_after: Annotated[int, Meta(ge=0, le=3600)] | None = None


class FaultState(Struct, frozen=True, kw_only=True):
    """A rule as it stands: how much traffic matched it and how often it struck."""

    id: int
    fault: Fault
    seen: int
    struck: int


class UnfitFault(ValueError):
    """The kind means nothing in that scope, or the plan is full."""


class _Rule:
    __slots__ = ("fault", "seen", "struck")

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.seen = 0
        self.struck = 0

    @property
    def spent(self) -> bool:
        return self.fault.count is not None and self.struck >= self.fault.count


class FaultPlan:
    """The rules in force, in the order they were added; the first that strikes wins."""

    def __init__(self, seed: int = 0) -> None:
        self._random = Random(seed)  # noqa: S311  # chance that must be repeatable
        self._rules: dict[int, _Rule] = {}
        self._last_id = 0

    def add(self, fault: Fault) -> FaultState:
        fits = get_args(RequestKind) if fault.scope in _REQUEST_SCOPES else get_args(StreamKind)
        if fault.kind not in fits:
            raise UnfitFault(f"{fault.kind} means nothing in scope {fault.scope}")
        if len(self._rules) >= RULES_MAX:
            raise UnfitFault(f"no more than {RULES_MAX} faults at once")
        self._last_id += 1
        self._rules[self._last_id] = _Rule(fault)
        return self._state(self._last_id)

    def states(self) -> list[FaultState]:
        return [self._state(rule_id) for rule_id in self._rules]

    def remove(self, rule_id: int) -> bool:
        return self._rules.pop(rule_id, None) is not None

    def clear(self, seed: int | UnsetType = UNSET) -> None:
        """Forget every rule; with a seed, start the generator over as well."""
        self._rules.clear()
        if seed is not UNSET:
            self._random.seed(seed)

    def strike(self, scope: RequestScope | StreamScope, account: str | None) -> Fault | None:
        """The fault for this piece of traffic. Called exactly once for each."""
        if not self._rules:
            return None
        for rule in self._rules.values():
            if self._strikes(rule, scope, account):
                return rule.fault
        return None

    def _strikes(self, rule: _Rule, scope: str, account: str | None) -> bool:
        fault = rule.fault
        if fault.scope != scope and not (fault.scope == "request" and scope in _REQUEST_SCOPES):
            return False
        if fault.account is not None and fault.account != account:
            return False
        rule.seen += 1
        if rule.spent or rule.seen <= fault.skip:
            return False
        if fault.probability < 1 and self._random.random() >= fault.probability:
            return False
        rule.struck += 1
        return True

    def _state(self, rule_id: int) -> FaultState:
        rule = self._rules[rule_id]
        return FaultState(id=rule_id, fault=rule.fault, seen=rule.seen, struck=rule.struck)
