"""Signatures of single requests (RFC 9421): whether a client of signed requests has made this very one.

A signature covers the method, where the request goes, its body (by `content-digest`), its token and its
idempotency key, was made just now by a key that the client has published, and is good once, also after a
restart. What held is handed over to be recorded before the request is carried out, with the key: whoever
has the record can verify it again, so that no client can deny an order. Tokens are in what is signed, so
only those count that are of no use without their sender.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from http_message_signatures import HTTPMessageVerifier, InvalidSignature, VerifyResult
from http_message_signatures.algorithms import ECDSA_P256_SHA256, ED25519
from http_message_signatures.resolvers import MappingKeyResolver
from joserfc.jwk import ECKey, OKPKey

from ordergate.core.access import Principal
from ordergate.core.faults import Fault
from ordergate.core.key_bounds import UNSIGNED
from ordergate.core.refusals import Code, Refusal
from ordergate.ports.clock import Clock
from ordergate.ports.identity import Whole
from ordergate.security.bearer import client_of
from ordergate.security.directory import Directory
from ordergate.security.profile import SKEW_S, Profile
from ordergate.security.verify import verify_key

WINDOW_S: Final = 60
NONCE_LENGTH_MAX: Final = 256

_ALWAYS: Final = frozenset({'"@method"', '"content-digest"', '"authorization"'})
_WHERE: Final = (frozenset({'"@target-uri"'}), frozenset({'"@authority"', '"@path"', '"@query"'}))
_KEY: Final = "idempotency-key"
_ALGORITHMS: Final[dict[tuple[str, str], Any]] = {
    ("OKP", "Ed25519"): ED25519,
    ("EC", "P-256"): ECDSA_P256_SHA256,
}

UNBOUND: Final = Refusal(Code.SIGNATURE_INVALID, "a signed request needs a token that is bound to its sender")
NOT_KNOWN: Final = Refusal(Code.UNAVAILABLE, "the signature cannot be recorded now; sign and send it anew")


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """All that it takes to verify a signature again. `key` is a JWK; `signature` and `body` are base64."""

    client_id: str
    subject: str
    key: str
    base: str
    signature: str
    body: str


Note = Callable[[Held, str], Awaitable[None]]
"""Records one, under the correlation id of its request. Durable when it returns; raises Fault."""


class SignedRequests:
    """Implements `ports.identity.Signatures`. Without a `note` nothing is recorded, which is for tests."""

    def __init__(self, profile: Profile, directory: Directory, clock: Clock, note: Note | None) -> None:
        self._base_url = profile.issuer
        self._directory = directory
        self._clock = clock
        self._note = note

    async def refuse(self, principal: Principal, whole: Whole) -> Refusal | None:
        if not any(name == b"signature" for name, _ in whole.headers):
            return UNSIGNED
        if principal.bound_to is None:
            return UNBOUND
        message = _Message(whole, self._base_url)
        try:
            client = self._directory.client(client_of(principal))
            jwk, found = verified(None if client is None else client.keys, message, whole.body)
            _check_covered(found, message)
            created, nonce = self._fresh(found)
        except InvalidSignature as wrong:
            why = str(wrong)[:200] or "it was made of another request, or by another key"
            return Refusal(Code.SIGNATURE_INVALID, f"the signature does not hold: {why}")
        named = hashlib.sha256(f"{client_of(principal)} {nonce}".encode()).hexdigest()
        try:
            if not await self._directory.spend(f"signature {named}", created + WINDOW_S + 2 * SKEW_S):
                return Refusal(Code.SIGNATURE_INVALID, "the signature's nonce was used before")
            if self._note is not None:
                await self._note(_held(principal, jwk, found, message, whole.body), whole.correlation)
        except Fault:
            return NOT_KNOWN
        return None

    def _fresh(self, found: VerifyResult) -> tuple[int, str]:
        """When it was made, and its nonce. Raises InvalidSignature."""
        now = self._clock.now().timestamp()
        created, nonce = found.parameters.get("created"), found.nonce
        if not isinstance(created, int) or not now - WINDOW_S <= created <= now + SKEW_S:
            raise InvalidSignature(f"`created` is needed, and no more than {WINDOW_S} s ago")
        expires = found.parameters.get("expires", created + WINDOW_S)
        if not isinstance(expires, int) or expires <= now - SKEW_S:
            raise InvalidSignature("it has expired")
        if nonce is None or not 0 < len(nonce) <= NONCE_LENGTH_MAX:
            raise InvalidSignature(f"`nonce` is needed, of {NONCE_LENGTH_MAX} characters at most")
        return created, nonce


def verified(keys: str | None, message: object, body: bytes | None) -> tuple[dict[str, Any], VerifyResult]:
    """Which of the keys (a JWK set) has signed the message, and what of it. Raises InvalidSignature."""
    listed = [] if keys is None else json.loads(keys)["keys"]
    last = InvalidSignature("the client has published no key that signs requests")
    for jwk in listed:
        algorithm = _ALGORITHMS.get((jwk.get("kty"), jwk.get("crv")))
        if algorithm is None or verify_key(jwk) is None:
            continue
        made: Any = (OKPKey if jwk["kty"] == "OKP" else ECKey).import_key(jwk)
        known = MappingKeyResolver(public_keys={jwk["kid"]: made.public_key}, private_keys={})
        verifier = _Verifier(signature_algorithm=algorithm, key_resolver=known)
        try:
            (found,) = verifier.verify(message, max_age=None, body=body)
        except InvalidSignature as wrong:
            last = wrong
        else:
            return jwk, found
    raise last


class _Verifier(HTTPMessageVerifier):
    """Times are judged by our own clock, in `_fresh`."""

    def validate_created_and_expires(self, sig_input: Any, max_age: Any = None) -> None:
        """Nothing to do here."""


class _Message:
    """A request as the verifier reads it. What its headers say comes in order, repeated ones too."""

    def __init__(self, whole: Whole, base_url: str) -> None:
        self.method = whole.method
        self.url = (whole.origin or base_url) + whole.target
        self._headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in whole.headers]

    @property
    def headers(self) -> _Message:
        return self

    def items(self) -> list[tuple[str, str]]:
        return self._headers

    def first(self, name: str) -> str | None:
        return next((value for each, value in self._headers if each == name), None)


def _check_covered(found: VerifyResult, message: _Message) -> None:
    """Raises InvalidSignature unless it covers all that makes the request what it is."""
    covered = found.covered_components.keys()
    needed = _ALWAYS if message.first(_KEY) is None else _ALWAYS | {f'"{_KEY}"'}
    lacks = sorted(needed - covered)
    if not any(where <= covered for where in _WHERE):
        lacks.append('"@target-uri"')
    if lacks:
        raise InvalidSignature(f"it does not cover {', '.join(lacks)}")


def _held(
    principal: Principal, jwk: dict[str, Any], found: VerifyResult, message: _Message, body: bytes
) -> Held:
    base = "\n".join(f"{name}: {value}" for name, value in found.covered_components.items())
    said = (message.first("signature") or "").partition("=")[2].strip().partition(";")[0].strip(":")
    return Held(
        client_id=principal.client_id,
        subject=principal.subject,
        key=json.dumps(jwk, sort_keys=True),
        base=base,
        signature=said,
        body=base64.b64encode(body).decode(),
    )
