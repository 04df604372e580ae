"""An authenticator in software, and the browser around it. It shares no code with what checks it."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

PRESENT: Final = 0x01
VERIFIED: Final = 0x04
MAY_BE_COPIED: Final = 0x08
IS_COPIED: Final = 0x10
ATTESTED: Final = 0x40
USUAL: Final = PRESENT | VERIFIED

ES256, EDDSA, RS256, ES512 = -7, -8, -257, -36
AAGUID: Final = bytes(16)

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


class Authenticator:
    """Holds one passkey at a time. What a test changes is changed before anything is signed."""

    def __init__(self, *, algorithm: int = ES256, counts: bool = True) -> None:
        self.algorithm = algorithm
        self.key: Key = _KEYS[algorithm]()
        self.credential_id = secrets.token_bytes(32)
        self.user_handle = b""
        self.count = 0
        self.counts = counts

    def made(
        self,
        options: dict[str, Any],
        origin: str,
        *,
        flags: int = USUAL,
        statement: dict[str, Any] | None = None,
        fmt: str = "none",
        rp_id: str | None = None,
        key: bytes | None = None,
        attested_id: bytes | None = None,
        **client_data: Any,
    ) -> dict[str, Any]:
        """As `navigator.credentials.create` answers."""
        self.user_handle = raw(options["user"]["id"])
        wanted = options["authenticatorSelection"]
        assert (wanted["userVerification"], wanted["residentKey"]) == ("required", "required")
        assert options["attestation"] == "none"
        assert self.algorithm in {one["alg"] for one in options["pubKeyCredParams"]} | {ES512}
        named = attested_id or self.credential_id
        whole = b"".join(
            (
                self._data(rp_id or options["rp"]["id"], flags | ATTESTED),
                AAGUID,
                len(named).to_bytes(2, "big"),
                named,
                self.public_key() if key is None else key,
            )
        )
        said = _client_data("webauthn.create", options["challenge"], origin, client_data)
        if statement is None and fmt == "packed":
            signature = self._sign(whole + hashlib.sha256(said).digest())
            statement = {"alg": self.algorithm, "sig": signature}
        attestation = cbor({"fmt": fmt, "attStmt": statement or {}, "authData": whole})
        return self._credential(clientDataJSON=b64(said), attestationObject=b64(attestation))

    def shown(
        self,
        options: dict[str, Any],
        origin: str,
        *,
        flags: int = USUAL,
        rp_id: str | None = None,
        signer: Authenticator | None = None,
        handle: bytes | None = None,
        **client_data: Any,
    ) -> dict[str, Any]:
        """As `navigator.credentials.get` answers."""
        assert options["userVerification"] == "required"
        assert options["allowCredentials"] == []
        self.count += self.counts
        data = self._data(rp_id or options["rpId"], flags)
        said = _client_data("webauthn.get", options["challenge"], origin, client_data)
        signature = (signer or self)._sign(data + hashlib.sha256(said).digest())
        return self._credential(
            clientDataJSON=b64(said),
            authenticatorData=b64(data),
            signature=b64(signature),
            userHandle=b64(self.user_handle if handle is None else handle),
        )

    def copied(self) -> Authenticator:
        """The same passkey in somebody else's hands."""
        other = Authenticator(algorithm=self.algorithm)
        other.__dict__.update(self.__dict__)
        return other

    def public_key(self) -> bytes:
        """As a COSE key (RFC 9053)."""
        key = self.key.public_key()
        if isinstance(key, ed25519.Ed25519PublicKey):
            return cbor({1: 1, 3: EDDSA, -1: 6, -2: key.public_bytes_raw()})
        if isinstance(key, rsa.RSAPublicKey):
            numbers = key.public_numbers()
            modulus = numbers.n.to_bytes(key.key_size // 8, "big")
            return cbor({1: 3, 3: RS256, -1: modulus, -2: numbers.e.to_bytes(3, "big")})
        point = key.public_numbers()
        size = key.key_size // 8
        curve = {256: 1, 384: 2}[key.key_size]
        x, y = (part.to_bytes(size, "big") for part in (point.x, point.y))
        return cbor({1: 2, 3: self.algorithm, -1: curve, -2: x, -3: y})

    def _data(self, rp_id: str, flags: int) -> bytes:
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _sign(self, what: bytes) -> bytes:
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            return self.key.sign(what)
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(what, padding.PKCS1v15(), SHA256())
        return self.key.sign(what, ec.ECDSA(SHA256()))

    def _credential(self, **response: str) -> dict[str, Any]:
        name = b64(self.credential_id)
        return {"id": name, "rawId": name, "type": "public-key", "response": response}


_KEYS: Final[dict[int, Any]] = {
    ES256: lambda: ec.generate_private_key(ec.SECP256R1()),
    EDDSA: ed25519.Ed25519PrivateKey.generate,
    RS256: lambda: rsa.generate_private_key(65_537, 2_048),
    ES512: lambda: ec.generate_private_key(ec.SECP384R1()),
}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def cbor(value: Any) -> bytes:
    """As much of RFC 8949 as an authenticator speaks."""
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join(cbor(one) for one in value)
    assert isinstance(value, dict)
    return _head(5, len(value)) + b"".join(cbor(key) + cbor(one) for key, one in value.items())


def _head(kind: int, number: int) -> bytes:
    if number < 24:
        return bytes([kind << 5 | number])
    size = next(size for size in (1, 2, 4) if number < 1 << 8 * size)
    return bytes([kind << 5 | {1: 24, 2: 25, 4: 26}[size]]) + number.to_bytes(size, "big")


def _client_data(kind: str, challenge: str, origin: str, changes: dict[str, Any]) -> bytes:
    said = {"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": False, **changes}
    return json.dumps({name: value for name, value in said.items() if value is not None}).encode()
