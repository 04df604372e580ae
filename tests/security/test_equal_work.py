"""TM17: a login that fails costs the same work and says the same, whether or not there is somebody so called.

Counted, not timed: every hash that is computed, with its parameters. A clock would need thousands of tries,
and still be wrong on a busy machine.
"""

from __future__ import annotations

import json
from random import Random

import msgspec
import pytest
from argon2 import PasswordHasher
from argon2.low_level import Type

from ordergate.security import hashing
from ordergate.security.clients import Client
from ordergate.security.code_grants import secret_hash
from ordergate.security.hashing import SECRET_LENGTH_MAX, hash_secret
from ordergate.security.oauth_requests import Answer
from ordergate.security.resets import RESET_S, Reset
from ordergate.telemetry.secret import Secret
from tests.dose import dose
from tests.security.visitor import visitor
from tests.security.world import world

LETTERS = "aZ09-._~é漢💥 \"'\\%&=+"


class Counting:
    """A hasher of the product's kind that is quick, and says what it did."""

    def __init__(self) -> None:
        self.its = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1, type=Type.ID)
        self.work: list[str] = []

    def hash(self, text: str) -> str:
        return self.its.hash(text)

    def verify(self, hashed: str, text: str) -> bool:
        self.work.append(hashed.rpartition("$")[0].rpartition("$")[0])  # everything but salt and hash
        return self.its.verify(hashed, text)

    def taken(self) -> list[str]:
        work, self.work = self.work, []
        return work


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    made = Counting()
    monkeypatch.setattr(hashing, "_argon2", made)
    monkeypatch.setattr(hashing, "_NOBODY", made.hash("nobody knows this"))
    return made


def guesses(chance: Random) -> list[str]:
    """Every length about the bounds, and any signs."""
    lengths = [1, 11, 12, 43, SECRET_LENGTH_MAX - 1, SECRET_LENGTH_MAX, SECRET_LENGTH_MAX + 1, 5_000]
    lengths += [chance.randrange(1, 64) for _ in range(dose(12, 500, short=2))]
    return ["".join(chance.choice(LETTERS) for _ in range(length)) for length in lengths]


def said(answer: Answer) -> tuple[int, bytes, list[str]]:
    return answer.status, answer.body, sorted(answer.headers)


async def test_no_guess_at_a_clients_secret_tells_whether_there_is_the_client(counting: Counting) -> None:
    here = await world()
    true = Client(
        client_id="gone", tenant="acme", secret_hash=hash_secret(Secret("its own secret")),
        scopes=here.scopes, accounts=here.accounts, enabled=False,
    )  # fmt: skip
    changed = msgspec.structs.replace(true, client_id="changed", enabled=True)
    for client in (true, changed):
        await here.security.directory.put_client(client)
    for number, guess in enumerate(guesses(Random(17))):
        found = []
        for name in ("desk", "gone", "changed", "nobody", "nobody-at-all-of-a-long-name"):
            counting.taken()
            form = {"grant_type": "client_credentials"}
            peer = f"192.0.{number % 250}.{len(name)}"
            answer = await here.ask("/oauth/token", form, basic=(name, guess), peer=peer)
            found.append((said(answer), counting.taken()))
            here.clock.advance(60)
        assert all(one == found[0] for one in found), number
        assert found[0][0][0] == 401
        if len(guess) <= SECRET_LENGTH_MAX:  # a longer one is refused before anybody is looked for
            assert len(found[0][1]) == 2, number


async def test_no_guess_at_a_password_tells_whether_there_is_the_person(counting: Counting) -> None:
    here = await world()
    alice = await visitor(here, two_factors=True)
    person = here.security.directory.person("alice")
    assert person is not None
    own = msgspec.structs.replace(person, password_hash=hash_secret(Secret("her own password")))
    for one in (
        own,
        msgspec.structs.replace(own, user_id="gone", enabled=False),
        msgspec.structs.replace(own, user_id="plain", totp=None),
    ):
        await here.security.people.put_person(one)
    await here.security.directory.refresh()
    for number, guess in enumerate(guesses(Random(18))):
        found = []
        for name in ("alice", "gone", "plain", "nobody", "nobody of a longer name"):
            pushed = json.loads((await alice.push()).body)
            await alice.open(pushed["request_uri"])
            counting.taken()
            answer = await alice.log_in(name, guess, "000000")
            page = answer.body.replace(alice.visit.encode(), b"")
            found.append(((answer.status, page, sorted(answer.headers)), counting.taken()))
            here.clock.advance(60)
        assert all(one == found[0] for one in found), number
        assert len(found[0][1]) == 1, number


async def test_no_guess_at_a_new_password_tells_whether_there_is_the_person_or_a_reset(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = await world()
    alice = await visitor(here, two_factors=True)
    person = here.security.directory.person("alice")
    assert person is not None
    people = here.security.people
    own = msgspec.structs.replace(person, password_hash=hash_secret(Secret("her own password")))
    for one in (own, msgspec.structs.replace(own, user_id="waiting"),
                msgspec.structs.replace(own, user_id="gone", enabled=False)):  # fmt: skip
        await people.put_person(one)
    reset = Reset(user_id="waiting", code_hash=secret_hash("a code"), expires_at=here.clock.epoch + RESET_S)
    assert await people.put_reset(reset)
    await here.security.directory.refresh()
    looked_up: list[str] = []
    reset_of = people.reset_of

    async def counted(user_id: str) -> Reset | None:
        looked_up.append(user_id)
        return await reset_of(user_id)

    monkeypatch.setattr(people, "reset_of", counted)
    for number, guess in enumerate([*guesses(Random(19)), "her own password", "a code"]):
        found = []
        for name in ("alice", "waiting", "gone", "nobody", "nobody of a longer name"):
            await alice.open(json.loads((await alice.push()).body)["request_uri"])
            counting.taken()
            looked_up.clear()
            answer = await alice.change_password("short", user=name, password=guess, code="000000")
            page = answer.body.replace(alice.visit.encode(), b"")
            found.append(((answer.status, page, sorted(answer.headers)), counting.taken(), len(looked_up)))
            here.clock.advance(60)
        assert all(one == found[0] for one in found), number
        assert found[0][0][0] == 401
        assert (len(found[0][1]), found[0][2]) == (1, 1), number
