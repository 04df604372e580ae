"""Two gateways on one account and one database: at most one speaks, whatever happens to the other.

What is guaranteed: the journal refuses an owner whose fence is gone, so nothing of it is written;
and an owner that slept sends nothing before a commit has proven that it still is one. Between that
proof and the first byte on the wire lie microseconds that no broker lets us close: what leaves in
them carries the order's own client id, so the broker has the order at most once, and the new owner
finds it.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from ordergate.cli.exits import ExitCode
from ordergate.telemetry.failpoints import VARIABLE
from tests.crash.rounds import Rounds, rounds
from tests.crash.server import Server, server
from tests.crash.wire import Wire
from tests.dose import LONG
from tests.e2e.floor import Floor, repeatable
from tests.e2e.pacing import PACE

RESENDS: Final = (True, False) if LONG else (False,)  # False is the harder: nothing but proof ends the doubt
WAIT_S_MAX: Final = 60.0
ASLEEP_S: Final = 6.0  # longer than an owner may trust an old proof


@pytest.mark.timeout(300)
async def test_a_second_gateway_on_the_same_account_does_not_even_start(tmp_path: Path) -> None:
    with repeatable("second gateway") as seed:
        async with server(tmp_path) as postgres, beside(tmp_path, postgres, seed) as at:
            async with at.one() as crowd:
                await crowd.until_bought(5)
                other = second(at.it)
                for _ in range(2):
                    other.start_to_die()
                    assert await other.until_ended() == ExitCode.CANNOT_START
                    assert "another gateway writes this journal" in " ".join(other.log("gateway").split())
                await crowd.until_answered()
            assert at.it.kills == 0
            await at.end()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("resend_is_safe", RESENDS)
async def test_an_owner_that_slept_through_its_own_end_neither_writes_nor_sends(
    tmp_path: Path, resend_is_safe: bool
) -> None:
    """It stops itself between a commit and its sending; when it wakes, another owns the account."""
    with repeatable("asleep") as seed:
        async with taken_over(tmp_path, seed, "C4=stop@25", resend_is_safe) as (at, old):
            await until_says(old, "dispatch.stale")
            await until_says(old, "dispatch.failed")
            await at.it.until_ready()
            assert not await old.is_ready(), "it knows that it owns nothing"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("resend_is_safe", RESENDS)
async def test_what_an_owner_lets_go_as_it_wakes_is_there_once_and_found_by_the_new_owner(
    tmp_path: Path, resend_is_safe: bool
) -> None:
    """Stopped in the microseconds that nothing can close: after the proof, before the first byte."""
    with repeatable("mid-send") as seed:
        async with taken_over(tmp_path, seed, "C5=stop@40", resend_is_safe) as (at, old):
            await until_says(old, "FenceHeld")
            await at.it.until_ready()
            assert not await old.is_ready()
            await until_says(old, "duty.rests")
            by_the_old = checkpoints(old)
            await until_signed(at.it, 2)
            assert checkpoints(old) == by_the_old, "its successor signs alone"


@asynccontextmanager
async def taken_over(
    folder: Path, seed: int, asleep: str, resend_is_safe: bool
) -> AsyncIterator[tuple[Rounds, Floor]]:
    """An owner falls asleep under load, loses its session and its clients to another, and wakes up.

    At the end of the block both ledgers are compared, through the new owner.
    """
    async with server(folder) as postgres, Wire(seed) as wire:

        def plan(it: Floor) -> None:
            wire.target = ("127.0.0.1", it.port)
            it.door = wire.port

        async with beside(folder, postgres, seed, plan=plan) as at:
            old = at.it
            old.kill()
            set_resend(old, resend_is_safe)
            old.environment[VARIABLE] = asleep
            await old.start()
            async with owner(second(old)) as new:
                async with at.one() as crowd:
                    await until_stopped(old)
                    fell_asleep = time.monotonic()
                    await postgres.end_writer()
                    await new.start()
                    await new.until_ready()
                    at.it = new
                    wire.target = ("127.0.0.1", new.port)
                    wire.cut()
                    await crowd.until_bought_more(5)
                    await PACE.sleep(max(0.0, fell_asleep + ASLEEP_S - time.monotonic()))
                    old.signal(signal.SIGCONT)
                    await crowd.until_bought_more(5)
                    yield at, old
                await at.end()


def beside(folder: Path, postgres: Server, seed: int, **how: Any) -> AbstractAsyncContextManager[Rounds]:
    address = folder / "database-url"
    address.write_text(postgres.dsn, encoding="utf-8")
    return rounds(folder, seed, gateway={"database_url": {"file": str(address)}}, **how)


def second(first: Floor) -> Floor:
    """Another gateway with the same settings, secrets and keys, on a port of its own."""
    it = Floor(first.folder / "second")
    it.folder.mkdir()
    it.venue_port, it.door = first.venue_port, first.door
    it.http, it.client_secret = first.http, first.client_secret
    plain = yaml.safe_load((first.folder / "gateway.yaml").read_text(encoding="utf-8"))
    plain["port"] = it.port
    (it.folder / "gateway.yaml").write_text(yaml.safe_dump(plain), encoding="utf-8")
    return it


@asynccontextmanager
async def owner(it: Floor) -> AsyncIterator[Floor]:
    """Whatever it was started for, it is stopped at the end."""
    try:
        yield it
    finally:
        await it.stop()


def set_resend(it: Floor, resend_is_safe: bool) -> None:
    file = it.folder / "gateway.yaml"
    plain = yaml.safe_load(file.read_text(encoding="utf-8"))
    plain["brokers"]["venue"]["resend_is_safe"] = resend_is_safe
    file.write_text(yaml.safe_dump(plain), encoding="utf-8")


async def until_stopped(it: Floor) -> None:
    async with asyncio.timeout(WAIT_S_MAX):
        while not it.is_asleep():
            await PACE.sleep(0.05)


async def until_says(it: Floor, words: str) -> None:
    async with asyncio.timeout(WAIT_S_MAX):
        while words not in it.log("gateway", 1_000_000):
            await PACE.sleep(0.05)


def checkpoints(it: Floor) -> int:
    return it.log("gateway", 1_000_000).count('"audit.checkpoint"')


async def until_signed(it: Floor, more: int) -> None:
    enough = checkpoints(it) + more
    async with asyncio.timeout(WAIT_S_MAX):
        while checkpoints(it) < enough:
            await PACE.sleep(0.05)
