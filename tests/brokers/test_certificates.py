"""Whose certificate the client towards brokers believes: of the name that was asked for, from one we know."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ordergate.brokers._shared.http import Answer
from ordergate.ports.broker import Unsent
from tests.brokers.test_http import ask, client_of
from tests.brokers.world import HandClock

PEM = serialization.Encoding.PEM
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"id":"1"}'


class Signed:
    """A certificate that signs itself, for this name, until so many hours from now."""

    def __init__(self, folder: Path, name: str, hours: int) -> None:
        key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=48))
            .not_valid_after(now + dt.timedelta(hours=hours))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(key, hashes.SHA256())
        )
        self.file = folder / "certificate.pem"
        self.file.write_bytes(
            made.public_bytes(PEM)
            + key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )


@asynccontextmanager
async def broker(signed: Signed, heard: list[bytes]) -> AsyncIterator[int]:
    """Answers whoever gets through its handshake, and keeps what was said."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(ANSWER)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(signed.file)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


CASES: dict[str, tuple[str, int, bool, bool]] = {
    "a good one": ("localhost", 1, True, True),
    "of nobody we know": ("localhost", 1, False, False),
    "of another name": ("elsewhere.example", 1, True, False),
    "one that has run out": ("localhost", -1, True, False),
}


@pytest.mark.parametrize("case", CASES)
async def test_a_broker_that_does_not_prove_its_name_is_told_nothing(
    case: str, tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, hours, known, believed = CASES[case]
    signed, heard = Signed(tmp_path, name, hours), list[bytes]()
    if known:
        monkeypatch.setenv("SSL_CERT_FILE", str(signed.file))
    async with broker(signed, heard) as port:
        http = client_of(f"https://localhost:{port}", clock)
        said = await ask(http)
        await http.close()
    assert isinstance(said, Answer if believed else Unsent)
    assert bool(heard) is believed
