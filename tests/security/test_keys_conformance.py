"""One suite for every key service: files, AWS KMS over HTTP, and a hardware module by PKCS#11."""

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from ordergate.core.ids import Env
from ordergate.ports.keys import Keys, KeysRefused, Purpose, newest
from ordergate.security.keys import aws, hsm, local
from tests.security import kms, softhsm
from tests.security.world import SetClock, keys_of

KINDS: Final = ("file", "aws-kms", "pkcs11")
CONTEXT: Final = {
    "env": "paper",
    "tenant": "acme",
    "account": "P-ONE",
    "broker": "venue",
    "secret_type": "secret_key",
    "row_id": "1",
    "schema": "1",
}
Open = Callable[[Env], Awaitable[Keys]]


class Hands:
    """Time stands still unless a test moves it."""

    def __init__(self) -> None:
        self.epoch = 1_750_000_000
        self.monotonic = 0.0


@pytest.fixture(scope="module")
def kms_url() -> Iterator[str]:
    with kms.moto_server() as url:
        yield url


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture(params=KINDS)
async def opener(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    hands: Hands,
) -> AsyncIterator[Open]:
    """Opens a connection to the same, so far empty service, of either environment; each call a new one."""
    async with AsyncExitStack() as stack:
        match request.param:
            case "file":

                async def opened(env: Env) -> Keys:
                    folder = tmp_path / env.value
                    if env is Env.PAPER:
                        return local.open_keys(folder, env, lambda: hands.epoch)
                    return keys_of(env, lambda: SetClock().epoch)

            case "aws-kms":
                for name, value in kms.ENVIRONMENT.items():
                    monkeypatch.setenv(name, value)
                url = request.getfixturevalue("kms_url")
                settings = aws.AwsSettings(region=kms.REGION, prefix=tmp_path.name, endpoint_url=url)

                async def opened(env: Env) -> Keys:
                    return await stack.enter_async_context(
                        aws.connected(env, settings, lambda: hands.monotonic)
                    )

            case _:
                module = softhsm.module()
                if module is None:
                    pytest.skip("keys in a hardware module were not tried: there is no softhsm2 here")
                folder = request.getfixturevalue("hsm_folder")
                made = softhsm.tokens(module, folder)

                async def opened(env: Env) -> Keys:
                    keys = hsm.HsmKeys(
                        env,
                        hsm.HsmSettings(module=module, token=made[env]),
                        lambda: softhsm.PIN,
                        lambda: hands.epoch,
                    )
                    stack.push_async_callback(keys.close)
                    return keys

        yield opened


@pytest.fixture
async def keys(opener: Open) -> Keys:
    keys = await opener(Env.PAPER)
    for purpose in Purpose:
        await keys.rotate(purpose)
    return keys


async def test_there_is_nothing_until_a_first_rotation(opener: Open) -> None:
    keys = await opener(Env.PAPER)
    assert await keys.describe(Purpose.TOKENS) == ()
    with pytest.raises(KeysRefused):
        await keys.generate_data_key(CONTEXT)
    with pytest.raises(KeysRefused):
        await keys.sign(Purpose.TOKENS, 1, b"x")

    made = await keys.rotate(Purpose.TOKENS)

    assert (made.version, made.enabled, made.purpose) == (1, True, Purpose.TOKENS)
    assert await keys.describe(Purpose.TOKENS) == (made,)


async def test_a_signature_verifies_with_the_public_half_and_with_no_other(keys: Keys) -> None:
    token, audit = await current(keys, Purpose.TOKENS), await current(keys, Purpose.AUDIT)

    raw = await keys.sign(Purpose.TOKENS, 1, b"a message")
    assert len(raw) == 64
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    assert isinstance(token, ec.EllipticCurvePublicKey)
    token.verify(der, b"a message", ec.ECDSA(SHA256()))

    assert isinstance(audit, Ed25519PublicKey)
    audit.verify(await keys.sign(Purpose.AUDIT, 1, b"a message"), b"a message")
    with pytest.raises(KeysRefused):
        await keys.sign(Purpose.SECRETS, 1, b"a message")


async def test_a_data_key_comes_back_for_the_context_it_was_made_with(keys: Keys) -> None:
    made = await keys.generate_data_key(CONTEXT)

    assert len(made.plain) == 32
    assert made.plain not in made.wrapped.blob
    backwards = dict(reversed(CONTEXT.items()))
    assert await keys.decrypt(made.wrapped, backwards) == made.plain
    assert (await keys.generate_data_key(CONTEXT)).plain != made.plain


@pytest.mark.parametrize("word", sorted(set(CONTEXT) - {"env"}))
async def test_any_other_word_in_the_context_is_refused(keys: Keys, word: str) -> None:
    made = await keys.generate_data_key(CONTEXT)
    with pytest.raises(KeysRefused):
        await keys.decrypt(made.wrapped, {**CONTEXT, word: "another"})
    with pytest.raises(KeysRefused):
        await keys.decrypt(made.wrapped, {name: value for name, value in CONTEXT.items() if name != word})


async def test_a_wrapped_key_that_was_altered_is_refused(keys: Keys) -> None:
    wrapped = (await keys.generate_data_key(CONTEXT)).wrapped
    turned = wrapped.blob[:-1] + bytes([wrapped.blob[-1] ^ 1])
    for altered in (turned, wrapped.blob[:-1], b""):
        with pytest.raises(KeysRefused):
            await keys.decrypt(msgspec.structs.replace(wrapped, blob=altered), CONTEXT)
    for other in ({"version": 7}, {"key": "another"}):
        with pytest.raises(KeysRefused):
            await keys.decrypt(msgspec.structs.replace(wrapped, **other), CONTEXT)
    assert await keys.decrypt(wrapped, CONTEXT)


async def test_the_other_environment_s_keys_open_nothing(keys: Keys, opener: Open) -> None:
    wrapped = (await keys.generate_data_key(CONTEXT)).wrapped
    live = await opener(Env.LIVE)
    await live.rotate(Purpose.SECRETS)
    theirs = await live.generate_data_key({**CONTEXT, "env": "live"})

    for context in (CONTEXT, {**CONTEXT, "env": "live"}):
        with pytest.raises(KeysRefused):
            await live.decrypt(wrapped, context)
        with pytest.raises(KeysRefused):
            await keys.decrypt(theirs.wrapped, context)
    with pytest.raises(KeysRefused):
        await keys.generate_data_key({**CONTEXT, "env": "live"})
    posing = msgspec.structs.replace(theirs.wrapped, key=wrapped.key)
    with pytest.raises(KeysRefused):
        await keys.decrypt(posing, CONTEXT)


async def test_a_rotation_keeps_what_was_there_and_rewraps_it(keys: Keys) -> None:
    old = await keys.generate_data_key(CONTEXT)
    made = await keys.rotate(Purpose.SECRETS)

    assert [one.version for one in await keys.describe(Purpose.SECRETS)] == [2, 1]
    assert made.version == 2
    assert await keys.decrypt(old.wrapped, CONTEXT) == old.plain
    assert (await keys.generate_data_key(CONTEXT)).wrapped.version == 2

    again = await keys.rewrap(old.wrapped, CONTEXT)
    assert again.version == 2
    assert await keys.decrypt(again, CONTEXT) == old.plain
    assert await keys.rewrap(again, CONTEXT) == again
    with pytest.raises(KeysRefused):
        await keys.rewrap(old.wrapped, {**CONTEXT, "tenant": "another"})


async def test_a_disabled_version_does_nothing_any_more(keys: Keys) -> None:
    old = await keys.generate_data_key(CONTEXT)
    for purpose in (Purpose.SECRETS, Purpose.TOKENS):
        await keys.rotate(purpose)
        await keys.disable(purpose, 1)
        await keys.disable(purpose, 1)

    with pytest.raises(KeysRefused):
        await keys.decrypt(old.wrapped, CONTEXT)
    with pytest.raises(KeysRefused):
        await keys.sign(Purpose.TOKENS, 1, b"x")
    versions = await keys.describe(Purpose.TOKENS)
    assert [(one.version, one.enabled) for one in versions] == [(2, True), (1, False)]
    found = newest(versions)
    assert found is not None
    assert found.version == 2


async def test_the_newest_version_is_never_disabled(keys: Keys) -> None:
    with pytest.raises(KeysRefused):
        await keys.disable(Purpose.TOKENS, 1)
    assert len(await keys.sign(Purpose.TOKENS, 1, b"x")) == 64


async def test_another_process_finds_the_same_keys(keys: Keys, opener: Open) -> None:
    made = await keys.generate_data_key(CONTEXT)
    other = await opener(Env.PAPER)

    for purpose in Purpose:
        assert await other.describe(purpose) == await keys.describe(purpose)
    assert await other.decrypt(made.wrapped, CONTEXT) == made.plain


async def test_nothing_shows_a_key(keys: Keys) -> None:
    made = await keys.generate_data_key(CONTEXT)
    for shown in (repr(keys), str(keys), repr(made)):
        assert made.plain.hex() not in shown
        assert repr(made.plain) not in shown
        assert urlsafe_b64encode(made.plain).decode() not in shown


async def current(keys: Keys, purpose: Purpose) -> object:
    found = newest(await keys.describe(purpose))
    assert found is not None
    assert found.public is not None
    return load_der_public_key(found.public)
