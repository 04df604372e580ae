"""A login under way leads nowhere, to no tokens and no passkey, once the way in is taken from it."""

from __future__ import annotations

import json

import msgspec

from ordergate.security.hashing import hash_secret
from ordergate.security.people.passkey_login import MADE
from ordergate.telemetry.secret import Secret
from tests.security.authenticator import Authenticator, b64
from tests.security.test_passkey_login import ORIGIN, Holder, holder
from tests.security.visitor import led_to

ANOTHER = hash_secret(Secret("staple battery horse correct"))


async def given_another_password(ann: Holder) -> None:
    """By another process, of which this one has not heard yet."""
    person = ann.here.security.directory.person("alice")
    assert person is not None
    await ann.people.put_person(msgspec.structs.replace(person, password_hash=ANOTHER))


async def test_nobody_makes_a_passkey_by_a_password_that_was_replaced_a_moment_ago() -> None:
    ann = await holder(makes=False)
    await ann.log_in_by_password()
    assert (await ann.post("/oauth/passkey/new")).status == 200
    said = ann.key.made(ann.options, ORIGIN)
    await given_another_password(ann)

    kept = await ann.post("/oauth/passkey/keep", label="laptop", credential=json.dumps(said))

    assert kept.status == 400
    assert await ann.people.passkeys_of("alice") == ()


async def test_a_login_that_was_under_way_by_a_passkey_that_was_taken_away_leads_to_no_tokens() -> None:
    ann = await holder()
    assert (await ann.show()).status == 200
    assert await ann.people.drop_passkey("alice", "laptop")

    assert (await ann.alice.decide()).status == 400
    assert not ann.people.grants


async def test_nor_does_one_by_a_passkey_that_came_to_be_doubted() -> None:
    ann = await holder()
    assert (await ann.show()).status == 200
    assert not await ann.people.use_passkey(b64(ann.key.credential_id), 1, ann.here.clock.epoch)

    assert (await ann.alice.decide()).status == 400


async def test_nor_does_it_make_another_passkey() -> None:
    ann = await holder()
    assert (await ann.show()).status == 200
    assert (await ann.post("/oauth/passkey/new")).status == 200
    said = Authenticator().made(ann.options, ORIGIN)
    assert await ann.people.drop_passkey("alice", "laptop")

    kept = await ann.post("/oauth/passkey/keep", label="phone", credential=json.dumps(said))

    assert kept.status == 400
    assert await ann.people.passkeys_of("alice") == ()


async def test_a_login_by_another_passkey_goes_on() -> None:
    ann = await holder()
    await ann.log_in_by_password()
    other, ann.key = ann.key, Authenticator()
    assert MADE.encode() in (await ann.make("phone")).body
    assert (await ann.show(other)).status == 200
    assert await ann.people.drop_passkey("alice", "phone")

    assert "code" in led_to(await ann.alice.decide())
