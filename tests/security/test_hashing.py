"""Secrets are kept as hashes only, and checking them cannot exhaust the machine."""

import asyncio
import threading

import pytest

from ordergate.security.hashing import Busy, Workers, hash_secret, matches, new_secret
from ordergate.telemetry.secret import Secret


def test_a_secret_matches_its_own_hash_and_no_other() -> None:
    secret, other = new_secret(), new_secret()
    kept = hash_secret(secret)

    assert kept.startswith("$argon2id$")
    assert secret.reveal() not in kept
    assert matches(kept, secret)
    assert not matches(kept, other)
    assert not matches(None, secret)
    assert not matches("nonsense", secret)
    assert not matches(kept, Secret(kept))


def test_the_same_secret_has_another_hash_each_time_and_enough_chance_in_it() -> None:
    secret = new_secret()

    assert hash_secret(secret) != hash_secret(secret)
    assert len(secret.reveal()) >= 43


async def test_so_many_work_so_many_wait_and_the_next_is_sent_away() -> None:
    workers = Workers(at_once=2, waiting_max=3)
    release, running, started = threading.Event(), [], threading.Semaphore(0)

    def work() -> bool:
        running.append(1)
        started.release()
        return release.wait(timeout=30)

    inside = [asyncio.create_task(workers.call(work)) for _ in range(5)]
    for _ in range(2):
        assert await asyncio.to_thread(started.acquire, timeout=30)

    with pytest.raises(Busy):
        await workers.call(work)
    assert len(running) == 2

    release.set()
    assert await asyncio.gather(*inside) == [True] * 5
    assert await workers.call(lambda: 7) == 7


async def test_work_that_fails_or_is_cancelled_gives_its_place_back() -> None:
    workers = Workers(at_once=1, waiting_max=0)

    def fail() -> None:
        raise ValueError("failed")

    for _ in range(3):
        with pytest.raises(ValueError, match="failed"):
            await workers.call(fail)
    assert await workers.call(lambda: 7) == 7
