"""Opens the key service that the settings name, and what seals with it; loads the libraries of no other."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from ordergate.core.ids import Env
from ordergate.ports.keys import Keys
from ordergate.security.keys import local
from ordergate.security.sealing.envelope import Envelope
from ordergate.wiring.secret_sources import Rereading
from ordergate.wiring.settings import AwsKeys, CannotStart, FileKeys, HsmKeys, Settings


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Keys]:
    """The keys of the settings' environment for as long as the block lasts. Raises CannotStart and Fault."""
    async with AsyncExitStack() as stack:
        yield await _open(settings, stack)


def envelope(settings: Settings, keys: Keys) -> Envelope:
    """What seals and opens secrets with these keys, by the cipher of the settings."""
    return Envelope(keys, time.monotonic, settings.keys.cipher)


async def _open(settings: Settings, stack: AsyncExitStack) -> Keys:
    env = settings.environment
    match settings.keys:
        case FileKeys():
            return local.open_keys(settings.data_dir / "keys", env, _epoch)
        case AwsKeys() as asked:
            return await stack.enter_async_context(_aws(env, asked))
        case HsmKeys() as asked:
            return await stack.enter_async_context(_hsm(env, asked))


@asynccontextmanager
async def _aws(env: Env, asked: AwsKeys) -> AsyncIterator[Keys]:
    try:
        from ordergate.security.keys import aws
    except ImportError as error:
        raise CannotStart("keys in AWS KMS need the package aiobotocore: install ordergate[aws]") from error
    described = aws.AwsSettings(region=asked.region, prefix=asked.prefix, endpoint_url=asked.endpoint_url)
    async with aws.connected(env, described, time.monotonic) as keys:
        yield keys


@asynccontextmanager
async def _hsm(env: Env, asked: HsmKeys) -> AsyncIterator[Keys]:
    try:
        from ordergate.security.keys import hsm
    except ImportError as error:
        raise CannotStart("keys in an HSM need the package python-pkcs11: install ordergate[hsm]") from error
    described = hsm.HsmSettings(module=asked.module, token=asked.token)
    keys = hsm.HsmKeys(env, described, Rereading(asked.pin), _epoch)
    try:
        yield keys
    finally:
        await keys.close()


def _epoch() -> int:
    return int(time.time())
