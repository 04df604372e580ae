"""The certificate that the other end of a connection has proven to have, by its thumbprint.

TLS ends in this process where certificates are to be proven, so nobody in between can claim one for
somebody else: no header of a proxy is read.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ssl
from typing import Final

from ordergate.api.exchange import CERTIFICATE_KEY

# Of TLS 1.2, what RFC 9325, 4.2 recommends and FAPI 2.0 permits; every suite of 1.3 is authenticated
# encryption with forward secrecy already.
_SUITES: Final = "ECDHE+AESGCM"
_SAFE: Final = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


def proven(transport: asyncio.BaseTransport) -> dict[str, str]:
    """The thumbprint of RFC 8705, as a request's extension; empty without TLS or a certificate."""
    connection = transport.get_extra_info("ssl_object")
    der: bytes | None = None if connection is None else connection.getpeercert(binary_form=True)
    return {} if der is None else {CERTIFICATE_KEY: thumbprint(der)}


def thumbprint(der: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def server_context(certificate: str, key: str, clients: str | None) -> ssl.SSLContext:
    """TLS 1.2 or later. With `clients`, the authorities whose certificates clients may prove."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version, context.maximum_version = _SAFE
    context.set_ciphers(_SUITES)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["http/1.1"])
    if clients is not None:
        context.load_verify_locations(clients)
        # A client with a token for whoever has it, or one that is bound to a key, needs no certificate.
        context.verify_mode = ssl.CERT_OPTIONAL
    return context
