"""A client's own signed statement that it is who it is: private_key_jwt (RFC 7523, and FAPI 2.0's limits).

Pure: it says what the statement is worth; that it is used once only is the store's to say.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

import msgspec

from ordergate.security.clients import Client
from ordergate.security.profile import SKEW_S
from ordergate.security.verify import Flaw, VerifyKey, signed_by, take_apart, type_of, verify_key

LIFE_S_MAX: Final = 300
TYPES: Final = frozenset({"", "jwt", "client-authentication+jwt"})


class Assertion(msgspec.Struct, frozen=True, kw_only=True):
    """A statement that holds. `name` is what may be spent once."""

    name: str
    expires_at: int


class _Claims(msgspec.Struct, frozen=True):
    """`aud` is the issuer as one text: a list may have been meant for somebody else too."""

    iss: str
    sub: str
    aud: str
    jti: str
    exp: int
    iat: int | None = None
    nbf: int | None = None


def check(assertion: str, client: Client, issuer: str, now: float) -> Assertion:
    """The statement, when it is this client's, for us, now. Raises Flaw."""
    unverified = take_apart(assertion)
    if type_of(unverified) not in TYPES:
        raise Flaw("the assertion has another type")
    key = _keys(client).get(unverified.kid)
    if key is None or unverified.algorithm not in key.algorithms or not signed_by(unverified, key.key):
        raise Flaw("the assertion's signature does not hold")
    try:
        claims = msgspec.convert(unverified.claims, _Claims, strict=True)
    except msgspec.ValidationError:
        raise Flaw("the assertion lacks a claim, or one has the wrong form") from None
    if claims.iss != client.client_id or claims.sub != client.client_id or claims.aud != issuer:
        raise Flaw("the assertion is of another client, or for another server")
    began = max(claims.iat or 0, claims.nbf or 0)
    if now >= claims.exp + SKEW_S or began > now + SKEW_S or claims.exp > now + LIFE_S_MAX + SKEW_S:
        raise Flaw("the assertion is not valid now")
    if not 0 < len(claims.jti) <= 256:
        raise Flaw("the assertion has no id, or an endless one")
    named = hashlib.sha256(f"{client.client_id} {claims.jti}".encode()).hexdigest()
    return Assertion(name=f"assertion {named}", expires_at=claims.exp + 2 * SKEW_S)


def _keys(client: Client) -> dict[str, VerifyKey]:
    listed = [] if client.keys is None else json.loads(client.keys)["keys"]
    keys = [verify_key(jwk) for jwk in listed]
    return {key.kid: key for key in keys if key is not None}
