"""Who may pass: the token, the scope, the account and the quota of one request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ordergate.api.bearer import Bearer, allowed, challenge, token_in
from ordergate.api.deps import Deps
from ordergate.api.edge import peer_of
from ordergate.api.exchange import Call, Reply, besides, rate_limited, refused
from ordergate.api.meter import Meter
from ordergate.api.quotas import Kind
from ordergate.core.access import Principal, Scope
from ordergate.core.ids import AccountId
from ordergate.core.refusals import Refusal


class Door:
    """Cancels have buckets of their own: a client that spent its quota can still take its orders back."""

    def __init__(self, deps: Deps) -> None:
        self._clock = deps.clock
        self._authenticate = deps.metrics.authenticate
        self.meter = Meter(deps.bounds.of_client, deps.bounds.of_tenant)
        self.bearer = Bearer(deps.env, deps.identity, deps.clock, deps.bounds)

    def known(self, authorization: bytes | None, peer: str, now: float) -> Principal | None:
        """The principal of a token that was verified before, within its quota; counts nothing."""
        token = token_in(authorization)
        found = None if isinstance(token, Refusal) else self.bearer.known_from(token, peer)
        if found is None or self.meter.is_spent(found, Kind.ORDERS, now):
            return None
        return found

    def passed(self, principal: Principal, now: float) -> None:
        """Count an order that came in by `known`."""
        self.meter.take(principal, Kind.ORDERS, now)

    async def enter(
        self,
        call: Call,
        scope: Scope | None = None,
        account: AccountId | None = None,
        *,
        cancels: bool = False,
        privileged: bool = False,
        narrowed: bool = True,
    ) -> Principal | Reply:
        """The principal, or the answer to give instead. `privileged` takes a login of a moment ago.

        It has only the accounts that it may use the scope on, unless it is not to be `narrowed`.
        """
        peer = peer_of(call.scope)
        began = self._clock.monotonic()
        found = await self.bearer.principal(call.scope, peer)
        self._authenticate.observe(self._clock.monotonic() - began)
        if isinstance(found, Refusal):
            return refused(found, call.correlation, self.bearer.challenge(found))
        if found.bound_to is not None and b"dpop" in call.headers:
            # The next proof can have the nonce that is in force then, without being refused first.
            besides(call.scope, b"dpop-nonce", self.bearer.nonce().encode())
        kind = Kind.CANCELS if cancels else _kind_of(call.scope["method"], scope)
        wait_s = self.meter.take(found, kind, self._clock.monotonic())
        if wait_s:
            return rate_limited(wait_s, call.correlation)
        no = None if scope is None else allowed(found, scope, account)
        if no is None and privileged:
            no = self.bearer.stepped_up(found)
        if no is not None:
            return refused(no, call.correlation, challenge(no, scope))
        return found.within(scope) if scope is not None and narrowed else found


def _kind_of(method: str, scope: Scope | None) -> Kind:
    """What only looks is a read, whatever it takes to be allowed to."""
    return Kind.READS if method == "GET" else _KINDS.get(scope, Kind.READS)


_KINDS: Final[Mapping[Scope | None, Kind]] = {
    Scope.ORDERS_WRITE: Kind.ORDERS,
    Scope.ACCOUNTS_WRITE: Kind.CHANGES,
    Scope.RISK_WRITE: Kind.CHANGES,
    Scope.OPERATIONS_WRITE: Kind.CHANGES,
    Scope.ACCESS_WRITE: Kind.CHANGES,
    Scope.CREDENTIALS_WRITE: Kind.CHANGES,
}
