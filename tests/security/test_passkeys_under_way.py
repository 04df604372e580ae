"""A login under way leads nowhere, to no tokens and no passkey, once the way in is taken from it."""

from __future__ import annotations

import json

import msgspec

from ordergate.security.hashing import hash_secret
from ordergate.telemetry.secret import Secret
from tests.security.test_passkey_login import ORIGIN, Holder, holder

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
