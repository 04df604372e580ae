"""Decides whose certificate a broker may show where the settings pin it, at the end of every handshake.

A pin is the SHA-256 of a certificate's public key (its SubjectPublicKeyInfo), and any certificate of the
chain that was verified may carry it: the host's own, an intermediate's or the root's. What the server merely
sends along does not count. Nothing of a request is written before the handshake has ended, so whoever has no
pinned key is told nothing. Looked at once a connection: requests on one that stands cost no more.
"""

from __future__ import annotations

import _ssl
import base64
import hashlib
import ssl
from pathlib import Path
from typing import Any, Final, cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_der_x509_certificate

from ordergate.telemetry.log import logger

log = logger("brokers.trust")

PIN_BYTES: Final = 32


class KeyNotPinned(ssl.SSLCertVerificationError):
    """A certificate of the right name from somebody who is trusted, and no key of the chain is pinned."""

    def __init__(self, host: str, shown: tuple[str, ...]) -> None:
        super().__init__(ssl.SSL_ERROR_SSL, f"no key of {host} is pinned")
        self.shown = shown


def pin_of(text: str) -> bytes:
    """A pin as the settings write it. Raises ValueError."""
    try:
        pin = base64.b64decode(text, validate=True)
    except ValueError:
        pin = b""
    if len(pin) != PIN_BYTES:
        raise ValueError(f"{text!r} is no pin: a pin is base64 of the {PIN_BYTES} bytes of a SHA-256")
    return pin


def context(*, authorities: Path | None, pins: frozenset[bytes]) -> ssl.SSLContext:
    """For connections to a broker: only `authorities` vouch, where given, and only for `pins`, where any are.

    Raises OSError when the file cannot be read or has no certificate.
    """
    made = ssl.create_default_context(cafile=authorities)
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an authority that is given needs nobody above it
    made.options |= ssl.OP_NO_RENEGOTIATION
    if pins:
        made.sslobject_class = _checking(pins)
        made.sslsocket_class = _Blocking
    return made


def _checking(pins: frozenset[bytes]) -> type[ssl.SSLObject]:
    """What event loops make of a context for each connection."""

    class Checking(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            shown = [_pin(certificate) for certificate in _verified(self)]
            if pins.isdisjoint(shown):
                host = self.server_hostname or ""
                words = tuple(base64.b64encode(pin).decode() for pin in shown if pin)
                log.error("broker.key_not_pinned", host=host, shown=words)
                raise KeyNotPinned(host, words)

    return Checking


class _Blocking(ssl.SSLSocket):
    """Blocking sockets are not looked at, so there are none."""

    def do_handshake(self, block: bool = False) -> None:
        raise KeyNotPinned(self.server_hostname or "", ())


def _verified(connection: ssl.SSLObject) -> list[bytes]:
    """The chain as it was verified, as DER, from the host's own certificate to whoever is trusted."""
    public = getattr(connection, "get_verified_chain", None)
    if public is not None:
        return cast(list[bytes], public())
    beneath = cast(Any, connection)._sslobj  # noqa: SLF001  # before Python 3.13 nothing else tells it
    return [one.public_bytes(_ssl.ENCODING_DER) for one in beneath.get_verified_chain()]


def _pin(certificate: bytes) -> bytes:
    """Empty for a key of a kind that nobody here knows: it is none that is pinned."""
    try:
        key = load_der_x509_certificate(certificate).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return b""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
