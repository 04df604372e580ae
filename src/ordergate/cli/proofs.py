"""What proves a request: that its sender has the key (RFC 9449), and that a program is itself (RFC 7523).

Signs, and remembers the nonce that each server wants next. Decides nothing about answers.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey

ALGORITHM: Final = "ES256"
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_S: Final = 60
_HTTP: Final = {"ws": "http", "wss": "https"}


class Proofs:
    """Of one key."""

    def __init__(self, key: ECKey) -> None:
        self._key = key
        self._jwk = key.as_dict(private=False)
        self._nonces: dict[str, str] = {}

    def proof(self, method: str, url: str, token: str | None = None) -> str:
        """A fresh one: each is good once."""
        target = _target(url)
        claims: dict[str, Any] = {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": target,
            "iat": int(time.time()),
        }
        if token is not None:
            claims["ath"] = _hash(token)
        nonce = self._nonces.get(_origin(target))
        if nonce is not None:
            claims["nonce"] = nonce
        head = {"typ": "dpop+jwt", "alg": ALGORITHM, "jwk": self._jwk}
        return jwt.encode(head, claims, self._key, algorithms=[ALGORITHM])

    def headers(self, method: str, url: str, token: str) -> dict[str, str]:
        """A token, and the proof that it is ours."""
        return {"authorization": f"DPoP {token}", "dpop": self.proof(method, url, token)}

    def heard(self, url: str, headers: Mapping[str, str]) -> bool:
        """Remember the nonce of an answer; True where it is one that was not known."""
        nonce = headers.get("dpop-nonce")
        return nonce is not None and self.hear(url, nonce)

    def hear(self, url: str, nonce: str) -> bool:
        place = _origin(_target(url))
        known, self._nonces[place] = self._nonces.get(place), nonce
        return known != nonce


def assertion(key: ECKey, client_id: str, issuer: str) -> dict[str, str]:
    """The parameters by which a program with a key proves itself."""
    now = int(time.time())
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": issuer,
        "jti": secrets.token_urlsafe(16),
        "iat": now,
        "exp": now + ASSERTION_S,
    }
    head = {"alg": ALGORITHM, "kid": key.kid or key.thumbprint()}
    return {
        "client_id": client_id,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": jwt.encode(head, claims, key, algorithms=[ALGORITHM]),
    }


def _hash(token: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()


def _target(url: str) -> str:
    """The claim `htu`: a stream is opened by an HTTP request like any other."""
    parts = urlsplit(url)
    return parts._replace(scheme=_HTTP.get(parts.scheme, parts.scheme), query="", fragment="").geturl()


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
