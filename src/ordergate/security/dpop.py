"""Proofs of possession: whether a request was made by who holds the token's key (RFC 9449).

Every proof carries a nonce of this very process. So the ids of used proofs are kept in memory and still
no proof is good twice: one that was used before a restart, or at another process, has a nonce that is
unknown here. The order of the checks is that of RFC 9449, 4.3; what costs a signature comes last but one.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key
from joserfc.util import urlsafe_b64encode

from ordergate.security.profile import SKEW_S
from ordergate.security.verify import (
    Flaw,
    decoded,
    fitting_algorithms,
    holds,
    parts_of,
    take_apart,
    type_of,
)

TYPE: Final = "dpop+jwt"
WINDOW_S: Final = 60
NONCE_S: Final = 150.0
"""A nonce is given out for so long, and accepted for so long again."""

SPENT_MAX: Final = 1_000_000
SPENT_WITHOUT_TOKEN_MAX: Final = 200_000
KEYS_MAX: Final = 5_000
JTI_LENGTH_MAX: Final = 256

_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9._~-]")
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


class ProofRefused(Exception):
    """The proof does not hold. The text is for its sender."""


class NonceWanted(ProofRefused):
    """The proof must be made again, with the nonce that is in force now."""


class Nonces:
    """The nonces of this process: the one in force, and the one before it."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._current = secrets.token_urlsafe(24)
        self._previous = ""
        self._since = monotonic()

    def current(self) -> str:
        now = self._monotonic()
        if now - self._since >= NONCE_S:
            lapsed = now - self._since >= 2 * NONCE_S
            self._previous = "" if lapsed else self._current
            self._current = secrets.token_urlsafe(24)
            self._since = now
        return self._current

    def accepts(self, nonce: object) -> bool:
        return nonce == self.current() or (nonce != "" and nonce == self._previous)


class Spent:
    """Which proofs have been used, for as long as they would be accepted. Bounded: full means no.

    An owner may have at most half of what nobody has. So whoever fills his part leaves twice as much to the
    others, and one that comes late finds room, though many came before him.
    """

    def __init__(self, spent_max: int = SPENT_MAX) -> None:
        self._spent_max = spent_max
        self._total = 0
        self._by_minute: dict[int, dict[str, set[bytes]]] = {}

    def spend(self, owner: str, proof: str, issued_at: int, now: float) -> bool:
        """True the first time; False for one that was used, or when nothing more can be remembered."""
        minute = issued_at // WINDOW_S
        if minute not in self._by_minute:
            self._forget_before(int(now - WINDOW_S) // WINDOW_S)
            self._by_minute[minute] = {}
        own = sum(len(by_owner[owner]) for by_owner in self._by_minute.values() if owner in by_owner)
        if 2 * own >= self._spent_max - self._total:
            return False
        seen = self._by_minute[minute].setdefault(owner, set())
        name = hashlib.blake2b(proof.encode(), digest_size=16).digest()
        if name in seen:
            return False
        seen.add(name)
        self._total += 1
        return True

    def _forget_before(self, oldest: int) -> None:
        for past in [each for each in self._by_minute if each < oldest]:
            self._total -= sum(map(len, self._by_minute.pop(past).values()))

    def __len__(self) -> int:
        return self._total


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """The token that a proof comes with: the key it is bound to, and who answers for what is used with it."""

    token: str
    jkt: str | None = None
    owner: str | None = None


class _Claims(msgspec.Struct, frozen=True):
    jti: str
    htm: str
    htu: str
    iat: int
    nonce: str | None = None
    ath: str | None = None


_claims: Final = msgspec.json.Decoder(_Claims)


class _ProofKey(msgspec.Struct, frozen=True):
    jkt: str
    algorithm: str
    key: Key


class Proofs:
    """Checks proofs made for `origin`, the public address without a path. `now` is seconds of the epoch."""

    def __init__(self, base_url: str, now: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._base_url = base_url
        self._now = now
        self._nonces = Nonces(monotonic)
        self.spent = Spent()
        self.spent_without_token = Spent(SPENT_WITHOUT_TOKEN_MAX)
        self._keys: OrderedDict[str, _ProofKey] = OrderedDict()

    def nonce(self) -> str:
        return self._nonces.current()

    def check(
        self, proof: str, *, method: str, path: str, used: Used | None = None, origin: str | None = None
    ) -> str:
        """The thumbprint of the key that made the proof. Raises ProofRefused.

        `used` is the token it came with. `origin` is of the listener that was asked, where that is another.
        """
        parts = parts_of(proof)
        if parts is None:
            raise ProofRefused("the proof is not a JWT")
        head, body, signature = parts
        made_by = self._key(head, proof)
        try:
            claims = _claims.decode(decoded(body))
            signed = decoded(signature)
        except (Flaw, msgspec.DecodeError, RecursionError):
            raise ProofRefused("the proof lacks a claim, or one has the wrong form") from None
        if claims.htm != method:
            raise ProofRefused("the proof is for another method")
        expected = (origin or self._base_url) + path
        if claims.htu != expected and normalised(claims.htu) != normalised(expected):
            raise ProofRefused("the proof is for another URL")
        now = self._now()
        if not now - WINDOW_S <= claims.iat <= now + SKEW_S:
            raise ProofRefused("the proof was not made just now")
        if used is not None and claims.ath != hash_of(used.token):
            raise ProofRefused("the proof is for another token")
        if not 0 < len(claims.jti) <= JTI_LENGTH_MAX:
            raise ProofRefused("the proof has no id, or an endless one")
        if not holds(made_by.algorithm, f"{head}.{body}".encode(), signed, made_by.key):
            raise ProofRefused("the proof's signature does not hold")
        if used is not None and used.jkt not in (None, made_by.jkt):
            raise ProofRefused("the proof was made with another key than the token's")
        if not self._nonces.accepts(claims.nonce):
            raise NonceWanted("make the proof with the nonce that is in force")
        if not self._spend(made_by.jkt, claims, used, now):
            raise ProofRefused("the proof has been used, or too many were lately")
        return made_by.jkt

    def _spend(self, jkt: str, claims: _Claims, used: Used | None, now: float) -> bool:
        """Without a token anybody can make keys and proofs, so these have a room of their own."""
        proof = f"{jkt} {claims.jti}"
        if used is None:
            return self.spent_without_token.spend(jkt, proof, claims.iat, now)
        return self.spent.spend(used.owner or jkt, proof, claims.iat, now)

    def _key(self, head: str, proof: str) -> _ProofKey:
        """The key in the header. A client's headers are all alike, so it is read once."""
        known = self._keys.get(head)
        if known is not None:
            return known
        made = _read_head(proof)
        self._keys[head] = made
        if len(self._keys) > KEYS_MAX:
            self._keys.popitem(last=False)
        return made


def hash_of(token: str) -> str:
    """The claim `ath`."""
    return urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).decode()


def normalised(url: str) -> str:
    """As RFC 3986, 6.2.2 and 6.2.3 compare, without query and fragment; empty for what is no URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    host = (parts.hostname or "").rstrip(".")
    if not host or parts.username is not None or parts.password is not None:
        return ""
    where = host if port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f"{host}:{port}"
    return f"{parts.scheme}://{where}{_ESCAPE.sub(_unescaped, parts.path) or '/'}"


def _unescaped(escape: re.Match[str]) -> str:
    """Only what needs no escape loses it; an escaped slash is not a slash."""
    character = chr(int(escape[1], 16))
    return character if _UNRESERVED.fullmatch(character) else escape[0].upper()


def _read_head(proof: str) -> _ProofKey:
    """The checks that a header has to pass once, and the key in it. Raises ProofRefused."""
    try:
        unverified = take_apart(proof, brings_its_key=True)
    except Flaw as flaw:
        raise ProofRefused(str(flaw).replace("token", "proof")) from None
    if type_of(unverified) != TYPE:
        raise ProofRefused("the proof has another type than dpop+jwt")
    jwk = unverified.header.get("jwk")
    if not isinstance(jwk, Mapping) or not all(isinstance(value, str) for value in jwk.values()):
        raise ProofRefused("the proof brings no key")
    described: dict[str, Any] = dict(jwk)
    if described.get("kty") not in {"EC", "OKP", "RSA"}:
        raise ProofRefused("the proof's key is not a public key")
    try:
        key = JWKRegistry.import_key(described)
        if key.is_private or "d" in described:
            raise ProofRefused("the proof brings a private key")
        if unverified.algorithm not in fitting_algorithms(key):
            raise ProofRefused("the proof's key does not fit its algorithm")
        return _ProofKey(key.thumbprint(), unverified.algorithm, key)
    except (JoseError, ValueError, TypeError, KeyError):
        raise ProofRefused("the proof's key cannot be read") from None
