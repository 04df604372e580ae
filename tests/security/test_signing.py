"""Who signs tokens when another process has rotated, a rotation died, or the key service is away."""

import asyncio

import pytest

from ordergate.core.ids import Env
from ordergate.core.refusals import Refusal
from ordergate.ports.keys import KeysRefused, KeysUnavailable, Purpose
from ordergate.security.keys.aws import AwsSettings, connected
from ordergate.security.memory import MemoryStore
from tests.security import kms
from tests.security.world import SetClock, keys_of, opened, world


async def test_a_rotation_from_the_command_line_is_followed() -> None:
    here = await world()
    elsewhere = await world(clock=here.clock, store=here.store, keys=here.keys)
    await elsewhere.security.signer.rotate()
    await here.security.directory.refresh()
    assert here.security.signer.kid != elsewhere.security.signer.kid

    await here.security.signer.follow()

    assert here.security.signer.kid == elsewhere.security.signer.kid


async def test_a_rotation_that_died_before_it_was_published_is_finished_by_the_next_start() -> None:
    here = await world()
    await here.keys.rotate(Purpose.TOKENS)

    again = await world(clock=here.clock, store=here.store, keys=here.keys)

    published = {key.kid: key.retires_at for key in again.security.directory.published_keys()}
    assert published.pop(again.security.signer.kid) is None
    assert published == {here.own.kid: here.clock.epoch + 900 + 10 + 300}


async def test_an_emergency_shortens_an_overlap_that_had_begun_and_ends_the_private_half() -> None:
    here = await world()
    old = await here.token()
    await here.security.signer.rotate()
    assert not isinstance(await here.bearer.authenticate(old), Refusal)

    await here.security.signer.rotate(emergency=True)

    assert isinstance(await here.bearer.authenticate(old), Refusal)
    for version in (1, 2):
        with pytest.raises(KeysRefused):
            await here.keys.sign(Purpose.TOKENS, version, b"x")


async def test_an_emergency_stands_when_a_running_gateway_publishes_the_new_key_too() -> None:
    here = await world()
    elsewhere = await world(clock=here.clock, store=here.store, keys=here.keys)
    old = await here.token()

    await elsewhere.security.signer.rotate(emergency=True)
    await here.security.signer.publish()  # of what it knows, a rotation that died before it was published

    assert isinstance(await here.bearer.authenticate(old), Refusal)
    assert here.security.signer.kid == elsewhere.security.signer.kid


async def test_after_an_emergency_elsewhere_the_first_token_already_has_the_new_key() -> None:
    here = await world()
    elsewhere = await world(clock=here.clock, store=here.store, keys=here.keys)
    here.secret = elsewhere.secret
    await here.security.directory.refresh()

    await elsewhere.security.signer.rotate(emergency=True)
    token = await here.token()

    jwks = (await here.ask("/.well-known/jwks.json", {})).body
    assert opened(token, jwks).header["kid"] == elsewhere.security.signer.kid


@pytest.mark.parametrize("fault", [KeysUnavailable, KeysRefused])
async def test_a_key_service_that_does_not_sign_is_a_later_and_not_an_error(
    fault: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = await world()

    async def away(*_: object) -> bytes:
        raise fault("away")

    monkeypatch.setattr(here.keys, "sign", away)
    answer = await here.ask(
        "/oauth/token", {"grant_type": "client_credentials"}, basic=("desk", here.secret.reveal())
    )
    assert answer.status == 503
    assert "retry-after" in answer.headers


async def test_keys_and_identity_are_of_one_environment() -> None:
    with pytest.raises(ValueError, match="one environment"):
        await world(Env.PAPER, keys=keys_of(Env.LIVE, lambda: SetClock().epoch), store=MemoryStore(Env.PAPER))


async def test_aws_that_does_not_answer_is_unavailable_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in kms.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    settings = AwsSettings(region=kms.REGION, endpoint_url=f"http://127.0.0.1:{port}")
    async with connected(Env.PAPER, settings, lambda: 0.0) as keys:
        with pytest.raises(KeysUnavailable):
            await keys.describe(Purpose.TOKENS)
