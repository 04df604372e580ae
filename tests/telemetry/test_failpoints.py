"""Failpoints do nothing until they are armed, then exactly what they were told, and never in live."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ordergate.core.ids import Env
from ordergate.telemetry import failpoints
from ordergate.wiring.serving import arm
from ordergate.wiring.settings import CannotStart

SOURCE = Path(failpoints.__file__).parents[1]

# A process of its own, that reaches a place five times and says how far it got.
REACHES = """
from ordergate.telemetry import failpoints
failpoints.arm(failpoints.parse({said!r}))
for number in range(1, 6):
    failpoints.reach("C3")
    print(number, flush=True)
"""


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    failpoints.arm(None)


def test_an_unarmed_place_does_nothing() -> None:
    failpoints.reach("C1")
    assert failpoints.torn("C6", b"whole") == b"whole"


def test_a_process_dies_the_so_manieth_time_that_it_is_there() -> None:
    ended = _reach("C3=die@3")
    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout.split() == [b"1", b"2"]
    assert b"failpoint C3 reached: die" in ended.stderr


def test_a_paused_process_goes_on() -> None:
    ended = _reach("C3=pause:0.01@2")
    assert ended.returncode == 0
    assert ended.stdout.split() == [b"1", b"2", b"3", b"4", b"5"]
    assert ended.stderr.count(b"reached") == 1


async def test_a_place_that_is_near_is_reached_after_what_was_begun() -> None:
    reached: list[str] = []
    failpoints.arm(reached.append)
    failpoints.reach_soon("C7")
    assert reached == []
    for _ in range(3):
        await asyncio.sleep(0)
    assert reached == ["C7"]


async def test_a_torn_write_is_half_of_what_it_was_once() -> None:
    orders = failpoints.Orders({"C6": failpoints.Order(action=failpoints.Action.PAUSE, at=2)})
    failpoints.arm(orders)
    assert [failpoints.torn("C6", b"12345678") for _ in range(2)] == [b"12345678", b"1234"]
    for _ in range(3):
        await asyncio.sleep(0)
    assert failpoints.torn("C6", b"12345678") == b"12345678"


@pytest.mark.parametrize("said", ["C3", "C3=explode", "C99=die", "C3=die@", "C3=pause", "C3=pause:61"])
def test_what_cannot_be_meant_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match="ORDERGATE_FAILPOINTS"):
        failpoints.parse(said)
    with pytest.raises(CannotStart, match="ORDERGATE_FAILPOINTS"):
        arm(Env.PAPER, said)


def test_live_does_not_start_with_failpoints() -> None:
    with pytest.raises(CannotStart, match="for paper only"):
        arm(Env.LIVE, "C3=die")
    arm(Env.LIVE, "")


def test_every_place_is_somewhere_in_the_product_exactly_once() -> None:
    said = "".join(path.read_text("utf-8") for path in SOURCE.rglob("*.py") if path.name != "failpoints.py")
    named = re.findall(r'failpoints\.(?:reach|reach_soon|torn)\("(\w+)"', said)
    assert sorted(named) == sorted(failpoints.PLACES)


def _reach(said: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", REACHES.format(said=said)], capture_output=True, check=False, timeout=60
    )
