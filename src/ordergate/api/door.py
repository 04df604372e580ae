"""Who may pass: the token, the scope, the account and the quota of one request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from ordergate.api.bearer import Bearer, allowed, challenge, token_in
from ordergate.api.deps import Deps
from ordergate.api.edge import peer_of
from ordergate.api.exchange import ORIGIN_KEY, Call, Reply, besides, rate_limited, refused
from ordergate.api.meter import Meter
from ordergate.api.quotas import Kind
from ordergate.core.access import Principal, Scope
from ordergate.core.ids import AccountId
from ordergate.core.key_bounds import UNSIGNED, must_sign
from ordergate.core.refusals import Refusal
from ordergate.ports.identity import Whole


class Door:
    """Cancels have buckets of their own: a client that spent its quota can still take its orders back."""

    def __init__(self, deps: Deps) -> None:
        self._clock = deps.clock
        self._authenticate = deps.metrics.authenticate
        self.meter = Meter(deps.bounds.of_client, deps.bounds.of_tenant)
        self._signatures = deps.signatures
        self._bounds = deps.bounds
        self.bearer = Bearer(deps.env, deps.identity, deps.clock, deps.bounds)

    def known(self, authorization: bytes | None, peer: str, now: float) -> Principal | None:
        """The principal of a token that was verified before, within its quota; counts nothing."""
        token = token_in(authorization)
        found = None if isinstance(token, Refusal) else self.bearer.known_from(token, peer)
        if found is None or must_sign(found) or self.meter.is_spent(found, Kind.ORDERS, now):
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
        if no is None and scope is Scope.ORDERS_WRITE and must_sign(found) and call.scope["method"] != "GET":
            signed = await self._signed(call, found)
            found, no = (found, signed) if isinstance(signed, Refusal) else (signed, None)
        if no is not None:
            return refused(no, call.correlation, challenge(no, scope))
        return found.within(scope) if scope is not None and narrowed else found

    async def _signed(self, call: Call, principal: Principal) -> Principal | Refusal:
        """The same, of a request whose signature holds."""
        body = await call.whole_body(self._bounds)
        if isinstance(body, Refusal) or self._signatures is None:
            return body if isinstance(body, Refusal) else UNSIGNED
        scope = call.scope
        path: bytes = scope.get("raw_path") or scope["path"].encode()
        query: bytes = scope["query_string"]
        whole = Whole(
            method=scope["method"],
            target=(path + (b"?" + query if query else b"")).decode("latin-1"),
            headers=tuple(scope["headers"]),
            body=body,
            correlation=call.correlation,
            origin=scope.get(ORIGIN_KEY),
        )
        no = await self._signatures.refuse(principal, whole)
        return msgspec.structs.replace(principal, signed=True) if no is None else no


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
