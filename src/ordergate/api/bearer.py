"""From an Authorization header to a principal, or a 401 that says nothing more than it must."""

from __future__ import annotations

from typing import Final

from ordergate.api.exchange import Headers
from ordergate.api.quotas import Buckets
from ordergate.core.access import Principal, Scope
from ordergate.core.ids import AccountId, Env
from ordergate.core.key_bounds import refuse_address
from ordergate.core.refusals import Code, Refusal
from ordergate.core.two_persons import LOGIN_S_MAX
from ordergate.ports.clock import Clock
from ordergate.ports.identity import Identity

TOKEN_LENGTH_MAX: Final = 8_192

MISSING: Final = Refusal(Code.UNAUTHENTICATED, "send an access token as a Bearer credential")
INVALID: Final = Refusal(Code.UNAUTHENTICATED, "the access token is not valid")
TOO_MANY: Final = Refusal(Code.RATE_LIMITED, "too many invalid access tokens from this address")


def token_in(authorization: bytes | None) -> str | Refusal:
    """The token of a `Bearer` credential."""
    if authorization is None:
        return MISSING
    scheme, _, token = authorization.partition(b" ")
    token = token.strip()
    if scheme.lower() != b"bearer" or not token:
        return MISSING
    if len(token) > TOKEN_LENGTH_MAX or not token.isascii():
        return INVALID
    return token.decode("ascii")


class Bearer:
    """Who is asking. An address that keeps coming with invalid tokens is slowed down."""

    def __init__(self, env: Env, identity: Identity, clock: Clock, failures: Buckets) -> None:
        self._env = env
        self._identity = identity
        self._clock = clock
        self._failures = failures

    async def principal(self, authorization: bytes | None, peer: str) -> Principal | Refusal:
        token = token_in(authorization)
        if isinstance(token, Refusal):
            return token
        return self.known_from(token, peer) or await self.of_token(token, peer)

    def known_from(self, token: str, peer: str) -> Principal | None:
        """Whose it is, when it was verified before, still stands, and may be used from there."""
        found = self.known(token)
        return found if found is not None and refuse_address(found.bounds, peer) is None else None

    async def of_token(self, token: str, peer: str) -> Principal | Refusal:
        """The whole check, that of the address included."""
        found = await self.authenticate(token, peer)
        if isinstance(found, Refusal) or found.bounds is None:
            return found
        return refuse_address(found.bounds, peer) or found

    def known(self, token: str) -> Principal | None:
        """Whose it is, when it was verified before and still stands."""
        return self._identity.known(token)

    async def authenticate(self, token: str, peer: str) -> Principal | Refusal:
        """The whole check. The identity's own timeout bounds it."""
        now = self._clock.monotonic()
        if self._failures.is_empty(peer, now):
            return TOO_MANY
        found = await self._identity.authenticate(token)
        if isinstance(found, Refusal):
            self._failures.take(peer, now)
            return found
        # The token's issuer is of this environment too; this is the second of two barriers.
        return found if found.env is self._env else INVALID


def challenge(refusal: Refusal, scope: Scope | None = None) -> Headers:
    """The WWW-Authenticate header of RFC 6750 for a 401 or a 403."""
    if refusal.code is Code.STEP_UP_REQUIRED:
        value = f'Bearer realm="ordergate", error="insufficient_user_authentication", max_age={LOGIN_S_MAX}'
    elif refusal.code is Code.FORBIDDEN and scope is not None:
        value = f'Bearer realm="ordergate", error="insufficient_scope", scope="{scope}"'
    elif refusal.code is not Code.UNAUTHENTICATED:
        return []
    elif refusal is MISSING:
        value = 'Bearer realm="ordergate"'
    else:
        value = 'Bearer realm="ordergate", error="invalid_token"'
    return [(b"www-authenticate", value.encode())]


def allowed(principal: Principal, scope: Scope, account: AccountId | None = None) -> Refusal | None:
    """None, or why not: a missing scope is told, an account that is not theirs does not exist."""
    if not principal.may(scope):
        return Refusal(Code.FORBIDDEN, f"the token lacks the scope {scope}")
    if account is not None and not principal.may_on(scope, account):
        return Refusal(Code.NOT_FOUND, "there is no such account")
    return None
