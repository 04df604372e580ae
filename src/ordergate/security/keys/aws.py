"""Keys in AWS KMS: every version is a KMS key of its own, found by its alias.

The alias says the prefix, the environment, the purpose and the number.
What the account's policies allow decides; this module adds that nothing of another environment's is ever
asked for. A data key's context is KMS's encryption context, which KMS logs in clear: it holds no secret.
The library is loaded where this kind of keys is configured, and nowhere else.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Final

import msgspec
from aiobotocore.session import get_session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from ordergate.core.ids import Env
from ordergate.ports.keys import (
    Context,
    DataKey,
    KeysRefused,
    KeysUnavailable,
    KeyVersion,
    Purpose,
    Wrapped,
    newest,
)
from ordergate.security.keys import wrapping

TIMEOUT_S: Final = 5.0
DESCRIBED_S: Final = 60.0
MESSAGE_BYTES_MAX: Final = 4096
ALGORITHM: Final = "SYMMETRIC_DEFAULT"
HALF: Final = 32

_SPEC: Final = {
    Purpose.TOKENS: ("ECC_NIST_P256", "SIGN_VERIFY"),
    Purpose.AUDIT: ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY"),
    Purpose.SECRETS: ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"),
}
_SIGNING: Final = {Purpose.TOKENS: "ECDSA_SHA_256", Purpose.AUDIT: "ED25519_SHA_512"}
# A no that asking again would not change; anything else may pass.
_NO: Final = frozenset(
    {
        "AccessDeniedException",
        "DisabledException",
        "IncorrectKeyException",
        "InvalidCiphertextException",
        "InvalidKeyUsageException",
        "KMSInvalidStateException",
        "NotFoundException",
        "UnsupportedOperationException",
        "ValidationException",
    }
)


class AwsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Credentials come from where AWS's own tools take them: the machine's role, files, environment."""

    region: str
    prefix: str = "ordergate"
    endpoint_url: str | None = None


@asynccontextmanager
async def connected(
    env: Env, settings: AwsSettings, monotonic: Callable[[], float]
) -> AsyncIterator[AwsKeys]:
    """The keys of this environment for as long as the block lasts."""
    config = Config(connect_timeout=2, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2})
    async with AsyncExitStack() as stack:
        with _told():
            client = await stack.enter_async_context(
                get_session().create_client(
                    "kms", region_name=settings.region, endpoint_url=settings.endpoint_url, config=config
                )
            )
        yield AwsKeys(env, settings.prefix, client, monotonic)


class AwsKeys:
    """Keeps the promises of `ports.keys.Keys`."""

    kind = "aws-kms"

    def __init__(self, env: Env, prefix: str, client: Any, monotonic: Callable[[], float]) -> None:
        self.env = env
        self._prefix = f"alias/{prefix}-{env.value}-"
        self._client = client
        self._monotonic = monotonic
        self._described: dict[Purpose, tuple[float, tuple[KeyVersion, ...]]] = {}
        self._public: dict[str, bytes] = {}

    async def describe(self, purpose: Purpose) -> tuple[KeyVersion, ...]:
        at, found = self._described.get(purpose, (float("-inf"), ()))
        if self._monotonic() - at >= DESCRIBED_S:
            async with _asked():
                found = await self._look(purpose)
            self._described[purpose] = (self._monotonic(), found)
        return found

    async def sign(self, purpose: Purpose, version: int, message: bytes) -> bytes:
        algorithm = _SIGNING.get(purpose)
        if algorithm is None:
            raise KeysRefused(f"a key for {purpose} signs nothing")
        if len(message) > MESSAGE_BYTES_MAX:
            raise KeysRefused("the message is too long to be signed")
        key = await self._version(purpose, version)
        async with _asked():
            told = await self._client.sign(
                KeyId=key.key, Message=message, MessageType="RAW", SigningAlgorithm=algorithm
            )
        signature: bytes = told["Signature"]
        if purpose is not Purpose.TOKENS:
            return signature
        r, s = decode_dss_signature(signature)
        return r.to_bytes(HALF) + s.to_bytes(HALF)

    async def generate_data_key(self, context: Context) -> DataKey:
        wrapping.check_context(self.env, context)
        self._described.pop(Purpose.SECRETS, None)  # never under a key that somebody has just rotated away
        key = await self._newest()
        async with _asked():
            told = await self._client.generate_data_key(
                KeyId=key.key, KeySpec="AES_256", EncryptionContext=dict(context)
            )
        return DataKey(told["Plaintext"], _wrapped(key, told["CiphertextBlob"]))

    async def decrypt(self, wrapped: Wrapped, context: Context) -> bytes:
        wrapping.check_context(self.env, context)
        key = await self._version(Purpose.SECRETS, wrapped.version)
        wrapping.check_wrapped(self.env, key.key, wrapped, context)
        async with _asked():
            told = await self._client.decrypt(
                CiphertextBlob=wrapped.blob, KeyId=key.key, EncryptionContext=dict(context)
            )
        plain: bytes = told["Plaintext"]
        return plain

    async def rewrap(self, wrapped: Wrapped, context: Context) -> Wrapped:
        wrapping.check_context(self.env, context)
        before, after = await self._version(Purpose.SECRETS, wrapped.version), await self._newest()
        wrapping.check_wrapped(self.env, before.key, wrapped, context)
        if before == after:
            return wrapped
        async with _asked():
            told = await self._client.re_encrypt(
                CiphertextBlob=wrapped.blob,
                SourceKeyId=before.key,
                SourceEncryptionContext=dict(context),
                DestinationKeyId=after.key,
                DestinationEncryptionContext=dict(context),
            )
        return _wrapped(after, told["CiphertextBlob"])

    async def rotate(self, purpose: Purpose) -> KeyVersion:
        self._described.pop(purpose, None)
        number = wrapping.next_version([one.version for one in await self.describe(purpose)])
        spec, usage = _SPEC[purpose]
        async with _asked():
            made = await self._client.create_key(
                KeySpec=spec,
                KeyUsage=usage,
                Description=f"ordergate {self.env.value} {purpose.value} v{number}",
                Tags=[{"TagKey": "ordergate-env", "TagValue": self.env.value}],
            )
            # Whoever else made this version meanwhile is found out here: an alias exists once.
            await self._client.create_alias(
                AliasName=f"{self._prefix}{purpose.value}-v{number}",
                TargetKeyId=made["KeyMetadata"]["KeyId"],
            )
        self._described.pop(purpose, None)
        found = newest(await self.describe(purpose))
        assert found is not None
        return found

    async def disable(self, purpose: Purpose, version: int) -> None:
        self._described.pop(purpose, None)
        versions = await self.describe(purpose)
        if not versions or version == versions[0].version:
            raise KeysRefused("the newest version of a key is never disabled: rotate it first")
        for one in versions:
            if one.version == version and one.enabled:
                async with _asked():
                    await self._client.disable_key(KeyId=one.key.rpartition("/")[2])
        self._described.pop(purpose, None)

    async def close(self) -> None:
        """The connection is closed by whoever opened it: see `connected`."""

    async def _newest(self) -> KeyVersion:
        found = newest(await self.describe(Purpose.SECRETS))
        if found is None:
            raise KeysRefused("there is no key for secrets yet: rotate it once")
        return found

    async def _version(self, purpose: Purpose, version: int) -> KeyVersion:
        for one in await self.describe(purpose):
            if one.version == version and one.enabled:
                return one
        raise KeysRefused(f"there is no usable version {version} of the key for {purpose}")

    async def _look(self, purpose: Purpose) -> tuple[KeyVersion, ...]:
        pattern = re.compile(re.escape(f"{self._prefix}{purpose.value}-v") + "([1-9][0-9]{0,8})")
        found = []
        async for page in self._client.get_paginator("list_aliases").paginate():
            for alias in page["Aliases"]:
                match = pattern.fullmatch(alias["AliasName"])
                if match is not None:
                    found.append(await self._describe_one(purpose, int(match[1]), alias["TargetKeyId"]))
        return tuple(sorted(found, key=lambda one: -one.version))

    async def _describe_one(self, purpose: Purpose, number: int, key_id: str) -> KeyVersion:
        told = (await self._client.describe_key(KeyId=key_id))["KeyMetadata"]
        arn, enabled = told["Arn"], told["KeyState"] == "Enabled"
        if purpose in _SIGNING and enabled and arn not in self._public:
            self._public[arn] = (await self._client.get_public_key(KeyId=key_id))["PublicKey"]
        return KeyVersion(
            purpose=purpose,
            version=number,
            key=arn,
            created_at=int(told["CreationDate"].timestamp()),
            enabled=enabled,
            public=self._public.get(arn),
        )


def _wrapped(key: KeyVersion, blob: bytes) -> Wrapped:
    return Wrapped(key=key.key, version=key.version, algorithm=ALGORITHM, blob=blob)


@asynccontextmanager
async def _asked() -> AsyncIterator[None]:
    with _told():
        async with asyncio.timeout(TIMEOUT_S):
            yield


@contextmanager
def _told() -> Any:
    """What went wrong, in the port's two words."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in _NO:
            raise KeysRefused(f"the key service refused: {code}") from error
        raise KeysUnavailable(f"the key service cannot do it now: {code}") from error
    except (BotoCoreError, OSError, TimeoutError) as error:
        raise KeysUnavailable(f"the key service did not answer: {type(error).__name__}") from error
