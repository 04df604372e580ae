"""From a request's credential to a principal, or a 401 that says nothing more than it must."""

from __future__ import annotations

from typing import Any, Final

from starlette.types import Scope as AsgiScope

from ordergate.api.deps import Bounds
from ordergate.api.exchange import CERTIFICATE_KEY, HEADERS_KEY, ORIGIN_KEY, Headers
from ordergate.api.quotas import Buckets, too_soon
from ordergate.core import two_persons
from ordergate.core.access import LOGIN_S_MAX, Principal, Scope
from ordergate.core.ids import AccountId, Env
from ordergate.core.key_bounds import refuse_address
from ordergate.core.networks import network_of
from ordergate.core.refusals import Code, Refusal
from ordergate.ports.clock import Clock
from ordergate.ports.identity import Identity, Shown

TOKEN_LENGTH_MAX: Final = 8_192

PROOF_ALGORITHMS: Final = "ES256 EdDSA PS256"
_OF_PROOFS: Final = {Code.PROOF_INVALID: "invalid_dpop_proof", Code.PROOF_NONCE: "use_dpop_nonce"}
_OF_SIGNATURES: Final = frozenset({Code.SIGNATURE_REQUIRED, Code.SIGNATURE_INVALID})
SIGNED_PARTS: Final = (
    b'sig=("@method" "@target-uri" "content-digest" "authorization" "idempotency-key");created;keyid;nonce'
)

MISSING: Final = Refusal(Code.UNAUTHENTICATED, "send an access token as a Bearer credential")
OLD_LOGIN: Final = Refusal(Code.STEP_UP_REQUIRED, two_persons.OLD_LOGIN)
INVALID: Final = Refusal(Code.UNAUTHENTICATED, "the access token is not valid")
TOO_MANY: Final = "too many invalid access tokens from this address"
TOO_MANY_PROOFS: Final = "too many refused proofs for this token"


def token_in(authorization: bytes | None) -> str | Refusal:
    """The token of a `Bearer` credential."""
    if authorization is None:
        return MISSING
    scheme, _, token = authorization.partition(b" ")
    token = token.strip()
    if scheme.lower() != b"bearer" or not token:
        return MISSING
    return token.decode("ascii") if is_token(token) else INVALID


def is_token(text: bytes) -> bool:
    """Whether it may be one at all: of bounded length, and one word, as every token is (RFC 6750)."""
    return 0 < len(text) <= TOKEN_LENGTH_MAX and text.isascii() and b" " not in text


class Bearer:
    """Who is asking. An address that keeps coming with invalid tokens is slowed down.

    That holds for tokens which were not seen before: one that is known is looked at, whatever others of its
    address do. A refused proof comes with a token that somebody was given, so it costs that token alone.
    """

    def __init__(self, env: Env, identity: Identity, clock: Clock, bounds: Bounds) -> None:
        self._env = env
        self._identity = identity
        self._clock = clock
        self._failures = Buckets(bounds.failed_logins_of_peer)
        self._refused_proofs = Buckets(bounds.refused_proofs_of_token)

    async def principal(self, scope: AsgiScope, peer: str) -> Principal | Refusal:
        """Who sent the request."""
        headers: dict[bytes, bytes] = scope[HEADERS_KEY]
        authorization = headers.get(b"authorization")
        if authorization is not None and authorization[:5].lower() == b"dpop ":
            token = authorization[5:].strip()
            if not is_token(token):
                return INVALID
            return await self.of_token(token.decode("ascii"), peer, shown_in(scope, dpop=True))
        bearer = token_in(authorization)
        if isinstance(bearer, Refusal):
            return bearer
        return self.known_from(bearer, peer) or await self.of_token(bearer, peer, shown_in(scope, dpop=False))

    def known_from(self, token: str, peer: str) -> Principal | None:
        """Whose it is, when it was verified before, still stands, and may be used from there."""
        found = self.known(token)
        return found if found is not None and refuse_address(found.bounds, peer) is None else None

    async def of_token(self, token: str, peer: str, shown: Shown) -> Principal | Refusal:
        """The whole check, that of the address included."""
        found = await self.authenticate(token, peer, shown)
        if isinstance(found, Refusal) or found.bounds is None:
            return found
        return refuse_address(found.bounds, peer) or found

    def known(self, token: str) -> Principal | None:
        """Whose it is, when it was verified before, still stands and serves whoever has it."""
        return self._identity.known(token)

    async def authenticate(self, token: str, peer: str, shown: Shown) -> Principal | Refusal:
        """The whole check. The identity's own timeout bounds it."""
        found = self._identity.known_bound(token, shown) or await self._looked_at(token, peer, shown)
        if isinstance(found, Refusal):
            return found
        # The token's issuer is of this environment too; this is the second of two barriers.
        return found if found.env is self._env else INVALID

    async def _looked_at(self, token: str, peer: str, shown: Shown) -> Principal | Refusal:
        """What a token that was not known is worth, unless too many before it were worth nothing."""
        now, peer = self._clock.monotonic(), network_of(peer)
        proven = (peer, hash(token))
        if self._failures.is_empty(peer, now):
            return too_soon(self._failures.wait_s(peer, now), TOO_MANY)
        if self._refused_proofs.is_empty(proven, now):
            return too_soon(self._refused_proofs.wait_s(proven, now), TOO_MANY_PROOFS)
        found = await self._identity.authenticate(token, shown)
        if isinstance(found, Refusal):
            if found.code is Code.UNAUTHENTICATED:
                self._failures.take(peer, now)
            elif found.code is Code.PROOF_INVALID:
                self._refused_proofs.take(proven, now)
        return found

    def stepped_up(self, principal: Principal) -> Refusal | None:
        """None where the login is young and strong enough for what is privileged."""
        return None if self._identity.stepped_up(principal) else OLD_LOGIN

    def challenge(self, refusal: Refusal, scope: Scope | None = None) -> Headers:
        """The headers of a 401 or a 403 (RFC 6750, 3; RFC 9449, 7.1 and 9)."""
        headers = challenge(refusal, scope)
        if refusal.code is Code.PROOF_NONCE:
            headers.append((b"dpop-nonce", self._identity.nonce().encode()))
        return headers

    def nonce(self) -> str:
        """What the next proof must contain."""
        return self._identity.nonce()


def shown_in(scope: AsgiScope, *, dpop: bool) -> Shown:
    """What came with the token. A stream is opened by a GET."""
    headers: dict[bytes, bytes] = scope[HEADERS_KEY]
    proof = headers.get(b"dpop")
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    extensions: dict[str, Any] = scope.get("extensions") or {}
    return Shown(
        dpop=dpop,
        method=scope.get("method", "GET"),
        path=path.decode("latin-1"),
        proof=None if proof is None else proof.decode("latin-1"),
        origin=scope.get(ORIGIN_KEY),
        certificate=extensions.get(CERTIFICATE_KEY),
    )


def challenge(refusal: Refusal, scope: Scope | None = None) -> Headers:
    """The WWW-Authenticate header for a 401 or a 403."""
    if refusal.code in _OF_PROOFS:
        value = f'DPoP error="{_OF_PROOFS[refusal.code]}", algs="{PROOF_ALGORITHMS}"'
    elif refusal.code is Code.STEP_UP_REQUIRED:
        value = f'Bearer realm="ordergate", error="insufficient_user_authentication", max_age={LOGIN_S_MAX}'
    elif refusal.code is Code.FORBIDDEN and scope is not None:
        value = f'Bearer realm="ordergate", error="insufficient_scope", scope="{scope}"'
    elif refusal.code in _OF_SIGNATURES:
        return [(b"www-authenticate", b'Bearer realm="ordergate"'), (b"accept-signature", SIGNED_PARTS)]
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
