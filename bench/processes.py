"""Starts the processes of a measurement, each on its own core, and reads what they say of themselves.

A process that is ready prints one line of JSON. It is ended by its own id, and waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec

READY_S_MAX: Final = 600.0
STOP_S_MAX: Final = 20.0
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class Cores(msgspec.Struct, frozen=True):
    """What is measured has one core to itself; everything around it shares the other."""

    subject: frozenset[int]
    around: frozenset[int]

    def described(self) -> dict[str, str]:
        return {
            "gateway, and the FastAPI echo": _named(self.subject),
            "load generator, counterparty": _named(self.around),
            "PostgreSQL, pgbench": "any",
        }


class Running(msgspec.Struct, frozen=True):
    """A process that said it is ready, and what it said."""

    pid: int
    said: dict[str, Any]


def cores() -> Cores:
    """Of one core only, everything shares it, and the report says so."""
    usable = sorted(os.sched_getaffinity(0))
    return Cores(frozenset(usable[:1]), frozenset(usable[1:2] or usable[:1]))


@contextlib.asynccontextmanager
async def running(
    module: str, *arguments: str, on: frozenset[int], errors: Path, **environment: str
) -> AsyncIterator[Running]:
    """`python -m module arguments` on the cores `on`, for as long as the block lasts."""
    with errors.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env={**os.environ, **environment},
        )
    os.sched_setaffinity(process.pid, on)
    try:
        yield Running(process.pid, await _said(process, module, errors))
    finally:
        await _ended(process)


async def _said(process: asyncio.subprocess.Process, module: str, errors: Path) -> dict[str, Any]:
    assert process.stdout is not None
    async with asyncio.timeout(READY_S_MAX):
        line = await process.stdout.readline()
    if not line:
        last = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-5:]
        raise RuntimeError(f"{module} did not start: " + "\n".join(last))
    return msgspec.json.decode(line, type=dict[str, Any])


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_S_MAX):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def never_collect() -> None:
    """Whoever makes or takes a load makes no cycles, and must not pause to look for some."""
    gc.collect()
    gc.freeze()
    gc.disable()


def cpu_s(pid: int) -> float:
    """Seconds of processor time that the process has had, in all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def _named(which: frozenset[int]) -> str:
    return "core " + ", ".join(str(core) for core in sorted(which))
