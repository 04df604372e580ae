"""Authorities that vouch for a broker's name, each with an intermediate, and what is made of them."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID


@dataclass
class Party:
    """Whoever has a certificate, and its key."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def pin(self) -> str:
        spki = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(hashlib.sha256(spki).digest()).decode()


def signed(name: str, by: Party | None, *, authority: bool, dns: str | None = None) -> Party:
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if by is None else by.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if dns is not None:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(dns)]), critical=False)
    return Party(key, made.sign(key if by is None else by.key, hashes.SHA256()))


class Authority:
    """A root and an intermediate, who vouch for `localhost`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.root = signed(f"{name} root", None, authority=True)
        self.between = signed(f"{name} intermediate", self.root, authority=True)
        self.host = signed("broker", self.between, authority=False, dns="localhost")
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self.root.pem)
        self._folder = folder

    def serving(self, *more: Party) -> ssl.SSLContext:
        """What a server shows: its own certificate, the intermediate's, and `more`."""
        key = self.host.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        chain = self._folder / "chain.pem"
        chain.write_bytes(key + b"".join(one.pem for one in (self.host, self.between, *more)))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context
