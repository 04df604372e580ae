"""A gateway that dies at every named place, and what must be true after each death.

The place is struck under load, by the process itself, with nothing tidied. Then it is started
again, every client gets its answer, and both ledgers are compared before the next place's turn.
"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from ordergate.telemetry.failpoints import PLACES, VARIABLE
from ordergate.wiring.gateway import migrate_all
from tests.crash.rounds import Rounds, rounds
from tests.dose import dose
from tests.e2e.floor import Floor, repeatable

# Struck by trading itself, so late that starting and settling do not get there.
UNDER_LOAD: Final = ("C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "C9", "C10", "C11")
LATE: Final = (100, 180)
# Struck by recovering and by looking again.
IN_RECOVERY: Final = ("C15", "C17")
KEEPING: Final = ("C18", "C19")
BY_THEMSELVES: Final = {"C12": "reconciling", "C13": "killing", "C14": "rotating", "C16": "migrating"}


def test_every_place_has_its_death() -> None:
    assert {*UNDER_LOAD, *IN_RECOVERY, *KEEPING, *BY_THEMSELVES} == set(PLACES)


@pytest.mark.timeout(1800)
async def test_a_gateway_that_dies_at_any_named_place_under_load_loses_and_doubles_nothing(
    tmp_path: Path, empty_database: str
) -> None:
    gateway = await beside(tmp_path, empty_database)
    with repeatable("named places") as seed:
        chance = Random(seed)
        async with rounds(tmp_path, seed, gateway=gateway) as at:
            deaths = 0
            for _ in range(dose(1, 20)):
                for place in UNDER_LOAD:
                    await die_under_load(at, place, chance.randint(*LATE))
                    deaths += 1
                for place in KEEPING:
                    await die_under_load(at, place, chance.randint(1, 3))
                    deaths += 1
            assert at.it.kills == deaths * 2, "every place was struck, and every life before it ended"
            assert at.lost > 0, "no death met a command under way"
            await at.end()


async def die_under_load(at: Rounds, place: str, nth: int) -> None:
    """Killed, started with the order to die at the place, dead there, started again."""
    at.it.kill()
    arm(at.it, f"{place}=die@{nth}")
    await at.it.start()
    await at.it.until_ready()
    async with at.one() as crowd:
        await crowd.until_bought(5)
        await at.it.until_dead()
        assert f"failpoint {place} reached" in at.it.log("gateway"), at.it.log("gateway")
        arm(at.it, "")
        await at.it.start()
        await crowd.until_answered()


@pytest.mark.timeout(600)
async def test_a_gateway_that_dies_again_and_again_while_it_recovers_recovers_at_last(
    tmp_path: Path, empty_database: str
) -> None:
    gateway = await beside(tmp_path, empty_database)
    with repeatable("in recovery") as seed:
        async with rounds(tmp_path, seed, gateway=gateway) as at:
            async with at.one() as crowd:
                await crowd.until_bought(30)
                at.it.kill()
                for place in IN_RECOVERY * dose(2, 10):
                    arm(at.it, f"{place}=die")
                    at.it.start_to_die()
                    await at.it.until_dead()
                for place in ("C12",) * dose(2, 10):
                    arm(at.it, f"{place}=die")
                    at.it.start_to_die()
                    await at.it.until_dead()
                arm(at.it, "")
                await at.it.start()
                await crowd.until_answered()
            await at.end()


@pytest.mark.timeout(300)
async def test_a_kill_switch_that_died_before_its_cancels_carries_on_with_them(
    tmp_path: Path, empty_database: str
) -> None:
    gateway = await beside(tmp_path, empty_database)
    with repeatable("kill switch") as seed:
        async with rounds(tmp_path, seed, gateway=gateway) as at:
            async with at.one() as crowd:
                await crowd.until_bought(60)
            at.it.kill()
            arm(at.it, "C13=die")
            await at.it.start()
            await at.it.until_ready()
            at.recording.cancels_all()
            asked = await at.rest.ask(
                "POST", "/v1/kill-switch", key="drill", body={"grade": "cancel_all", "reason": "a drill"}
            )
            assert asked.status == 0, asked
            await at.it.until_dead()
            arm(at.it, "")
            await at.it.start()
            await at.agree()
            assert (await at.rest.get("/v1/kill-switch"))["engaged"]
            assert await open_orders(at) == []
            await at.end()


@pytest.mark.timeout(300)
async def test_a_rotation_that_died_between_saving_and_publishing_leaves_tokens_that_are_believed(
    tmp_path: Path, empty_database: str
) -> None:
    gateway = await beside(tmp_path, empty_database)
    with repeatable("rotation") as seed:
        async with rounds(tmp_path, seed, gateway=gateway) as at:
            at.it.kill()
            before = make_old(at.it)
            arm(at.it, "C14=die")
            at.it.start_to_die()
            await at.it.until_dead()
            assert made_at(at.it)[1:] == before, "the new key is saved before it is used"
            arm(at.it, "")
            await at.it.start()
            await at.it.until_ready()
            assert (await at.rest.get("/v1/orders?account_id=P-DEMO"))["orders"] == [], "the old token counts"
            await at.rest.log_in()
            async with at.one() as crowd:
                await crowd.until_bought(10)
            await at.end()


@pytest.mark.timeout(300)
async def test_a_migration_that_died_between_two_steps_is_finished_by_the_next_start(tmp_path: Path) -> None:
    """The embedded database, which a start migrates: the first starts on it die one after the other."""

    async def die_migrating(it: Floor) -> None:
        arm(it, "C16=die")
        for _ in range(2):
            it.start_to_die()
            await it.until_dead()
        arm(it, "")

    with repeatable("migration") as seed:
        async with rounds(tmp_path, seed, before=die_migrating) as at:
            assert at.it.kills == 2
            async with at.one() as crowd:
                await crowd.until_bought(10)
            await at.end()


async def beside(folder: Path, database: str) -> dict[str, Any]:
    """Settings of a gateway whose database is this one, migrated."""
    await migrate_all(database)
    address = folder / "database-url"
    address.write_text(database, encoding="utf-8")
    return {"database_url": {"file": str(address)}}


def arm(it: Floor, said: str) -> None:
    """What the next start of the gateway is told."""
    it.environment[VARIABLE] = said


async def open_orders(at: Rounds) -> list[str]:
    final = {"denied", "rejected", "filled", "canceled", "expired"}
    orders = await at.rest.every("/v1/orders?account_id=P-DEMO", "orders")
    return [order["id"] for order in orders if order["status"] not in final]


def make_old(it: Floor) -> list[int]:
    """Let the signing key be due for its successor; when the keys in the file were made."""
    file = it.folder / "keys" / "signing-keys.json"
    stored = json.loads(file.read_text(encoding="utf-8"))
    stored["keys"][0]["created_at"] -= 400 * 86_400
    file.write_text(json.dumps(stored), encoding="utf-8")
    return [key["created_at"] for key in stored["keys"]]


def made_at(it: Floor) -> list[int]:
    stored = json.loads((it.folder / "keys" / "signing-keys.json").read_text(encoding="utf-8"))
    return [key["created_at"] for key in stored["keys"]]
