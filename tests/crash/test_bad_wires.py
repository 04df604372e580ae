"""Trading over wires that are slow, narrow, chopped, cut in the middle of words, or half dead.

One wire at a time: between gateway and venue, gateway and PostgreSQL, clients and gateway. Every
trouble lasts until commands were answered in it; then it heals, and both ledgers are compared.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
import pytest

from ordergate.journal.embedded import EmbeddedPostgres
from ordergate.wiring.gateway import migrate_all
from tests.crash.rounds import Rounds, rounds
from tests.crash.wire import NONE, Trouble, Wire
from tests.dose import dose
from tests.e2e.floor import Floor, repeatable
from tests.e2e.load import Crowd
from tests.journal.test_lost_answers import name_of

ANSWERS: Final = 12
DEAD_S: Final = 1.5
ROUNDS: Final = dose(1, 20)


class Ill(msgspec.Struct, frozen=True, kw_only=True):
    """A wire's trouble in both directions. In a dead one nothing is answered: it lasts a while."""

    up: Trouble = NONE
    down: Trouble = NONE
    refusing: bool = False

    @property
    def is_dead(self) -> bool:
        return self.refusing or self.up.swallow or self.down.swallow


ILLS: Final[dict[str, Ill]] = {
    "slow": Ill(up=Trouble(latency_s=0.05, jitter_s=0.2), down=Trouble(latency_s=0.05, jitter_s=0.2)),
    "narrow": Ill(up=Trouble(bytes_per_s=20_000), down=Trouble(bytes_per_s=60_000)),
    "chopped": Ill(up=Trouble(slice_bytes=1), down=Trouble(slice_bytes=3)),
    "cut in the middle of questions": Ill(up=Trouble(reset=0.1)),
    "cut in the middle of answers": Ill(down=Trouble(reset=0.1)),
    "deaf": Ill(up=Trouble(swallow=True)),
    "dumb": Ill(down=Trouble(swallow=True)),
    "closed": Ill(refusing=True),
}


@pytest.mark.timeout(1800)
async def test_a_bad_wire_to_the_venue_loses_and_doubles_nothing(tmp_path: Path) -> None:
    def between(it: Floor, wire: Wire) -> None:
        wire.target = ("127.0.0.1", it.venue_port)
        it.venue_door = wire.port

    with repeatable("venue's wire") as seed:
        await trade_over(tmp_path, seed, between, {})


@pytest.mark.timeout(1800)
async def test_a_bad_wire_to_the_database_loses_and_doubles_nothing(
    tmp_path: Path, postgres: EmbeddedPostgres, empty_database: str
) -> None:
    await migrate_all(empty_database)
    address = tmp_path / "database-url"

    def between(it: Floor, wire: Wire) -> None:
        wire.target = postgres.socket
        name = name_of(empty_database)
        address.write_text(f"postgresql://ordergate@127.0.0.1:{wire.port}/{name}?sslmode=disable")

    with repeatable("database's wire") as seed:
        await trade_over(tmp_path, seed, between, {"database_url": {"file": str(address)}})


@pytest.mark.timeout(1800)
async def test_a_bad_wire_to_the_clients_loses_and_doubles_nothing_and_leaves_no_gap(tmp_path: Path) -> None:
    def between(it: Floor, wire: Wire) -> None:
        wire.target = ("127.0.0.1", it.port)
        it.door = wire.port

    with repeatable("clients' wire") as seed:
        await trade_over(tmp_path, seed, between, {})


async def trade_over(
    folder: Path, seed: int, between: Callable[[Floor, Wire], None], gateway: dict[str, Any]
) -> None:
    chance = Random(seed)
    async with Wire(seed) as wire:

        def plan(it: Floor) -> None:
            between(it, wire)

        async with rounds(folder, seed, gateway=gateway, plan=plan) as at:
            for _ in range(ROUNDS):
                for name in chance.sample(sorted(ILLS), dose(4, len(ILLS))):
                    await one_ill(at, wire, ILLS[name])
            assert at.it.kills == 0
            await at.end()


async def one_ill(at: Rounds, wire: Wire, ill: Ill) -> None:
    struck = wire.struck
    async with at.one() as crowd:
        await crowd.until_bought(3)
        wire.suffer(up=ill.up, down=ill.down)
        wire.refusing = ill.refusing
        await (crowd.during(DEAD_S) if ill.is_dead else answered(crowd))
        if ill.refusing:
            wire.cut()  # who has a connection still must find the door closed as well
            await crowd.during(DEAD_S)
        wire.heal()
        await crowd.until_answered()
    assert wire.struck > struck, "the trouble met nothing"


async def answered(crowd: Crowd) -> None:
    for _ in range(ANSWERS):
        await crowd.until_answered()
