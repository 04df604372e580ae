"""AWS's services as moto serves them, over real HTTP, for tests.

moto does not know the key spec ECC_NIST_EDWARDS25519 yet; it is taught here what AWS documents of it.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from moto.kms import models, utils
from moto.server import ThreadedMotoServer

REGION: Final = "eu-central-1"
ALGORITHM: Final = "ED25519_SHA_512"
SPEC: Final = "ECC_NIST_EDWARDS25519"
ENVIRONMENT: Final = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class _Ed25519(utils.AbstractPrivateKey):
    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()

    def sign(self, message: bytes, signing_algorithm: str) -> bytes:
        assert signing_algorithm == ALGORITHM
        return self.key.sign(message)

    def verify(self, message: bytes, signature: bytes, signing_algorithm: str) -> bool:
        raise NotImplementedError

    def public_key(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@contextmanager
def _taught() -> Iterator[None]:
    """For as long as the block lasts, moto knows one more kind of key."""
    specs = [*utils.KeySpec.key_specs(), SPEC]
    algorithms = [*utils.SigningAlgorithm.signing_algorithms(), ALGORITHM]
    generate: Any = utils.generate_private_key
    known: Any = models.Key.signing_algorithms
    with ExitStack() as stack:
        for owner, name, new in (
            (utils.KeySpec, "key_specs", lambda: specs),
            (utils.SigningAlgorithm, "signing_algorithms", lambda: algorithms),
            (models, "generate_private_key", lambda spec: _Ed25519() if spec == SPEC else generate(spec)),
            (
                models.Key,
                "signing_algorithms",
                property(lambda key: [ALGORITHM] if key.key_spec == SPEC else known.fget(key)),
            ),
        ):
            stack.enter_context(patch.object(owner, name, new))
        yield


@contextmanager
def moto_server() -> Iterator[str]:
    """The address of a fresh moto server for as long as the block lasts."""
    with _taught():
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        try:
            yield f"http://{host}:{port}"
        finally:
            server.stop()
