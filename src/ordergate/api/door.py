"""Who may pass: the token, the scope, the account and the quota of one request."""

from __future__ import annotations

from ordergate.api.bearer import Bearer, allowed, challenge, token_in
from ordergate.api.deps import Deps
from ordergate.api.edge import peer_of
from ordergate.api.exchange import Call, Reply, besides, rate_limited, refused
from ordergate.api.quotas import Buckets
from ordergate.core.access import Principal, Scope
from ordergate.core.ids import AccountId
from ordergate.core.refusals import Refusal


class Door:
    """Cancels have buckets of their own: a client that spent its quota can still take its orders back."""

    def __init__(self, deps: Deps) -> None:
        self._clock = deps.clock
        self._authenticate = deps.metrics.authenticate
        self._requests = Buckets(deps.bounds.requests_of_principal)
        self._cancels = Buckets(deps.bounds.cancels_of_principal)
        failures = Buckets(deps.bounds.failed_logins_of_peer)
        self.bearer = Bearer(deps.env, deps.identity, deps.clock, failures)

    def known(self, authorization: bytes | None, now: float) -> Principal | None:
        """The principal of a token that was verified before, within its quota; counts nothing."""
        token = token_in(authorization)
        found = None if isinstance(token, Refusal) else self.bearer.known(token)
        if found is None or self._requests.is_empty((found.tenant, found.client_id), now):
            return None
        return found

    def passed(self, principal: Principal, now: float) -> None:
        """Count a request that came in by `known`."""
        self._requests.take((principal.tenant, principal.client_id), now)

    async def enter(
        self,
        call: Call,
        scope: Scope | None = None,
        account: AccountId | None = None,
        *,
        cancels: bool = False,
        privileged: bool = False,
    ) -> Principal | Reply:
        """The principal, or the answer to give instead. `privileged` takes a login of a moment ago."""
        peer = peer_of(call.scope)
        began = self._clock.monotonic()
        found = await self.bearer.principal(call.scope, peer)
        self._authenticate.observe(self._clock.monotonic() - began)
        if isinstance(found, Refusal):
            return refused(found, call.correlation, self.bearer.challenge(found))
        if found.bound_to is not None and b"dpop" in call.headers:
            # The next proof can have the nonce that is in force then, without being refused first.
            besides(call.scope, b"dpop-nonce", self.bearer.nonce().encode())
        buckets = self._cancels if cancels else self._requests
        wait_s = buckets.take((found.tenant, found.client_id), self._clock.monotonic())
        if wait_s:
            return rate_limited(wait_s, call.correlation)
        no = None if scope is None else allowed(found, scope, account)
        if no is None and privileged:
            no = self.bearer.stepped_up(found)
        return found if no is None else refused(no, call.correlation, challenge(no, scope))
