"""Whether a token is what it says: form, algorithm, signature, issuer, audience, times.

Pure: the keys and the time come in as arguments. The order is fixed: form and size, header, key,
signature, and only then the claims, so that nothing an outsider wrote decides anything. A token
never says where its key is to be found, and a key is only used with the algorithm it was
published for. What fails is told as a sentence that reveals nothing the sender does not know.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode

from ordergate.security.profile import SKEW_S

SIZE_MAX: Final = 8_192
HEADER_SIZE_MAX: Final = 1_024
RSA_BITS_MIN: Final = 2_048
ALGORITHMS: Final = frozenset({"ES256", "EdDSA", "Ed25519", "PS256"})

_FORM: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
# Header parameters that bring or locate a key, or change what the signature covers.
_POISON: Final = frozenset({"jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc"})


class Flaw(Exception):
    """The token is refused. The text is for its sender."""


class VerifyKey(msgspec.Struct, frozen=True, kw_only=True):
    """A public key and the only algorithms it may be used with."""

    kid: str
    key: Key
    algorithms: frozenset[str]
    retires_at: int | None = None


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """What a token of one issuer must look like."""

    issuer: str
    audience: str
    types: frozenset[str] = frozenset({"at+jwt"})
    algorithms: frozenset[str] = ALGORITHMS
    lifetime_s_max: int


class Unverified(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a token. Nothing in it is to be believed yet."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    algorithm: str
    kid: str
    signed: bytes
    signature: bytes


class Confirmation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose token it is: the thumbprint of a key (RFC 9449) or of a certificate (RFC 8705).

    A way of confirming that is not listed here cannot be checked, so such a token is refused.
    """

    jkt: str | None = None
    x5t: str | None = msgspec.field(default=None, name="x5t#S256")

    def bound_to(self) -> str | None:
        """What `Principal.bound_to` says; None where it is not exactly one of the two."""
        if (self.jkt is None) == (self.x5t is None):
            return None
        return f"jkt:{self.jkt}" if self.jkt is not None else f"x5t:{self.x5t}"


class Standard(msgspec.Struct, frozen=True, kw_only=True):
    """The claims that every access token must have, whoever issued it."""

    iss: str
    aud: str | list[str]
    sub: str
    exp: int
    iat: int
    jti: str
    nbf: int | None = None
    env: str | None = None
    auth_time: int | None = None
    acr: str | None = None
    cnf: Confirmation | None = None

    def bound_to(self) -> str | None:
        """Whose token it is, or None for whoever has it. A Flaw where that is said in an unclear way."""
        bound_to = None if self.cnf is None else self.cnf.bound_to()
        if self.cnf is not None and bound_to is None:
            raise Flaw("the token's confirmation is not understood")
        return bound_to


def take_apart(token: str, *, brings_its_key: bool = False) -> Unverified:
    """The parts of a compact JWT, or a Flaw.

    Only a proof of possession `brings_its_key`, in the header's `jwk`; anything else names one of ours.
    """
    if len(token) > SIZE_MAX:
        raise Flaw("the token is too long")
    form = _FORM.fullmatch(token)
    if form is None:
        raise Flaw("the token is not a signed JWT")
    if len(form[1]) > HEADER_SIZE_MAX:
        raise Flaw("the token's header is too long")
    header, claims = _json_object(form[1]), _json_object(form[2])
    if not (_POISON - {"jwk"} if brings_its_key else _POISON).isdisjoint(header):
        raise Flaw("the token's header has a parameter that is not accepted")
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise Flaw("the token's algorithm is not accepted")
    if brings_its_key:
        kid = ""
    if not isinstance(kid, str) or not (brings_its_key or 0 < len(kid) <= 256):
        raise Flaw("the token does not name its key")
    return Unverified(
        header=header,
        claims=claims,
        algorithm=algorithm,
        kid=kid,
        signed=f"{form[1]}.{form[2]}".encode(),
        signature=decoded(form[3]),
    )


def check(token: Unverified, key: VerifyKey | None, trust: Trust, now: float) -> Standard:
    """The standard claims of a token that may be believed, or a Flaw."""
    if token.algorithm not in trust.algorithms:
        raise Flaw("the token's algorithm is not accepted")
    if type_of(token) not in trust.types:
        raise Flaw("the token is not an access token")
    if key is None or (key.retires_at is not None and key.retires_at <= now):
        raise Flaw("the token's key is not known")
    if token.algorithm not in key.algorithms or not signed_by(token, key.key):
        raise Flaw("the token's signature does not hold")
    return _standard(token.claims, trust, now)


def verify_key(jwk: Mapping[str, Any], retires_at: int | None = None) -> VerifyKey | None:
    """A published JWK as a key to verify with, or None when it cannot be one."""
    kid, use = jwk.get("kid"), jwk.get("use", "sig")
    if not isinstance(kid, str) or not kid or use != "sig" or jwk.get("kty") not in {"EC", "OKP", "RSA"}:
        return None
    try:
        key = JWKRegistry.import_key(dict(jwk))
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    fitting = fitting_algorithms(key)
    declared = jwk.get("alg")
    algorithms = fitting if declared is None else fitting & _names(declared)
    if key.is_private or not algorithms:
        return None
    return VerifyKey(kid=kid, key=key, algorithms=algorithms, retires_at=retires_at)


def texts(value: object, separator: str | None = None) -> frozenset[str]:
    """A claim that is a list of texts, or (with a separator) one text holding several."""
    if isinstance(value, str) and separator is not None:
        return frozenset(value.split(separator)) - {""}
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return frozenset(value)
    raise Flaw("a claim of the token has the wrong form")


def _standard(claims: Mapping[str, Any], trust: Trust, now: float) -> Standard:
    try:
        standard = msgspec.convert(claims, Standard, strict=True)
    except msgspec.ValidationError:
        raise Flaw("the token lacks a claim, or one has the wrong form") from None
    if standard.iss != trust.issuer:
        raise Flaw("the token is of another issuer")
    audiences = [standard.aud] if isinstance(standard.aud, str) else standard.aud
    if trust.audience not in audiences:
        raise Flaw("the token is for another audience")
    if not standard.sub or not 0 < len(standard.jti) <= 256:
        raise Flaw("the token lacks a claim, or one has the wrong form")
    if now >= standard.exp + SKEW_S:
        raise Flaw("the token has expired")
    if max(standard.iat, standard.nbf or 0) > now + SKEW_S:
        raise Flaw("the token is not valid yet")
    if not 0 < standard.exp - standard.iat <= trust.lifetime_s_max:
        raise Flaw("the token lives too long")
    return standard


def signed_by(token: Unverified, key: Key) -> bool:
    return holds(token.algorithm, token.signed, token.signature, key)


def holds(name: str, signed: bytes, signature: bytes, key: Key) -> bool:
    # The algorithm's own check, and not joserfc's convenience around it: that one reads the header
    # again, and we have decided already.
    algorithm = JWSRegistry.algorithms[name]
    try:
        algorithm.check_key(key)
        return algorithm.verify(signed, signature, key)
    except (JoseError, ValueError):
        return False


def parts_of(token: str) -> tuple[str, str, str] | None:
    """Head, claims and signature of a compact JWT as they are written; None for anything else."""
    form = _FORM.fullmatch(token) if len(token) <= SIZE_MAX else None
    return None if form is None else (form[1], form[2], form[3])


def fitting_algorithms(key: Key) -> frozenset[str]:
    if isinstance(key, ECKey) and key.curve_name == "P-256":
        return frozenset({"ES256"})
    if isinstance(key, OKPKey) and key.curve_name == "Ed25519":
        return frozenset({"EdDSA", "Ed25519"})
    if isinstance(key, RSAKey) and key.raw_value.key_size >= RSA_BITS_MIN:
        return frozenset({"PS256"})
    return frozenset()


def _names(declared: object) -> frozenset[str]:
    """EdDSA on Ed25519 has two names (RFC 9864)."""
    if declared in {"EdDSA", "Ed25519"}:
        return frozenset({"EdDSA", "Ed25519"})
    return frozenset({declared}) if isinstance(declared, str) else frozenset()


def type_of(token: Unverified) -> str:
    value = token.header.get("typ")
    return value.lower().removeprefix("application/") if isinstance(value, str) else ""


def decoded(part: str) -> bytes:
    """Raises Flaw."""
    try:
        return urlsafe_b64decode(part.encode())
    except (binascii.Error, ValueError):
        raise Flaw("the token is not a signed JWT") from None


def _json_object(part: str) -> dict[str, Any]:
    try:
        value = json.loads(decoded(part), object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Flaw("the token is not a signed JWT") from None
    if not isinstance(value, dict):
        raise Flaw("the token is not a signed JWT")
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name comes twice")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
