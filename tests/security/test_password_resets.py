"""A reset stands for a password that was lost: once, for half an hour, and beside the second factor."""

from __future__ import annotations

from typing import Final

import msgspec

from ordergate.security.code_grants import secret_hash
from ordergate.security.people.totp import STEP_S
from ordergate.security.resets import RESET_S, Reset
from tests.security.test_password_change import NEW, arrive, arrived, has
from tests.security.visitor import PASSWORD
from tests.security.world import World, world

RESET: Final = "the code of a reset"


async def start_reset(here: World, code: str = RESET) -> None:
    expires_at = here.clock.epoch + RESET_S
    reset = Reset(user_id="alice", code_hash=secret_hash(code), expires_at=expires_at)
    assert await here.security.people.put_reset(reset)


async def test_the_code_of_a_reset_lets_its_owner_choose_a_password_once() -> None:
    here = await world()
    alice = await arrived(here)
    await start_reset(here)

    assert (await alice.change_password(NEW, password=RESET)).status == 200
    here.clock.advance(STEP_S)
    assert (await alice.change_password("a third sentence, longer", password=RESET)).status == 401
    assert has(here, NEW)


async def test_a_reset_takes_the_second_factor_and_lets_nobody_in() -> None:
    here = await world()
    alice = await arrived(here)
    await start_reset(here)

    assert (await alice.change_password(NEW, password=RESET, code="12345x")).status == 401
    assert (await alice.change_password(NEW, password=RESET, code=None)).status == 401
    assert (await alice.log_in(password=RESET)).status == 401
    assert has(here, PASSWORD), "and the one there is serves on"
    assert (await alice.change_password(NEW, password=RESET)).status == 200


async def test_a_reset_is_of_no_use_where_the_second_factor_has_gone() -> None:
    here = await world()
    alice = await arrived(here)
    await start_reset(here)
    person = here.security.directory.person("alice")
    assert person is not None
    await here.security.people.put_person(msgspec.structs.replace(person, totp=None))
    await here.security.directory.refresh()

    assert (await alice.change_password(NEW, password=RESET)).status == 401


async def test_a_reset_lives_for_half_an_hour_and_the_last_one_serves() -> None:
    here = await world()
    alice = await arrived(here)
    await start_reset(here, "an earlier one")
    await start_reset(here)
    assert (await alice.change_password(NEW, password="an earlier one")).status == 401
    here.clock.advance(RESET_S)
    await arrive(alice)
    assert (await alice.change_password(NEW, password=RESET)).status == 401
    assert RESET_S <= 3_600

    await start_reset(here)
    here.clock.advance(RESET_S - 1)
    await arrive(alice)
    assert (await alice.change_password(NEW, password=RESET)).status == 200
