"""Looks at what a gateway stands on, and says of each part whether it will do, and what to do if not.

Changes nothing, apart from starting a database server in a folder of its own for a moment.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import platform
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

import asyncpg
import httpx
import msgspec

from ordergate.core.faults import Fault
from ordergate.journal.embedded import EmbeddedPostgres
from ordergate.journal.pool import ReadPool
from ordergate.wiring import databases
from ordergate.wiring.settings import LOOPBACK

PYTHON_MIN: Final = (3, 11)
FREE_BYTES_MIN: Final = 200 * 1024 * 1024
FREE_BYTES_WANTED: Final = 2 * 1024 * 1024 * 1024
CLOCK_S_MAX: Final = 2.0
ANSWER_S_MAX: Final = 3.0
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


class Verdict(StrEnum):
    GOOD = "good"
    DOUBTFUL = "doubtful"
    BAD = "bad"


class Finding(msgspec.Struct, frozen=True):
    part: str
    verdict: Verdict
    words: str


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What to look at. `place` is None where no gateway has been set up yet."""

    data_dir: Path
    base_url: str
    ports: tuple[int, ...]
    place: databases.Place | None


def findings(subject: Subject) -> Iterator[Finding]:
    """One after the other, so that whoever waits sees how far it is."""
    yield _python()
    yield _packages()
    yield _folder(subject.data_dir)
    yield _disk(subject.data_dir)
    answer = _answer(subject.base_url + "/livez")
    for port in subject.ports:
        yield _port(port, subject, answer)
    yield _database(subject.place)
    yield _clock(subject.data_dir, answer)
    yield gateway(subject.base_url, answer)


def is_ready(base_url: str) -> bool:
    answer = _answer(base_url + "/readyz")
    return answer is not None and answer.status_code == 200


def is_alive(base_url: str) -> bool:
    answer = _answer(base_url + "/livez")
    return answer is not None and _is_ours(answer)


def _python() -> Finding:
    version = platform.python_version()
    if sys.version_info[:2] < PYTHON_MIN:
        return Finding("python", Verdict.BAD, f"{version}; 3.11 or newer is needed")
    return Finding("python", Verdict.GOOD, f"{version} in {sys.prefix}")


def _packages() -> Finding:
    """Everything that we ask for is installed."""
    missing = []
    needed = importlib.metadata.requires("ordergate") or []
    for requirement in needed:
        name = _NAME.match(requirement)
        if name is None or "extra ==" in requirement:
            continue
        try:
            importlib.metadata.version(name[0])
        except importlib.metadata.PackageNotFoundError:
            missing.append(name[0])
    if missing:
        return Finding(
            "packages", Verdict.BAD, f"missing: {', '.join(missing)}; install the requirements again"
        )
    return Finding("packages", Verdict.GOOD, f"all {len(needed)} installed")


def _folder(folder: Path) -> Finding:
    nearest = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        return Finding(
            "data folder", Verdict.BAD, f"{nearest} cannot be written; name another with --data-dir"
        )
    state = "is there" if nearest == folder.absolute() else "can be made"
    return Finding("data folder", Verdict.GOOD, f"{folder.absolute()} {state}")


def _disk(folder: Path) -> Finding:
    nearest = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    free = shutil.disk_usage(nearest).free
    words = f"{free / 1024**3:.1f} GiB free"
    if free < FREE_BYTES_MIN:
        return Finding("disk", Verdict.BAD, f"{words}: too little for a journal")
    return Finding("disk", Verdict.GOOD if free >= FREE_BYTES_WANTED else Verdict.DOUBTFUL, words)


def _port(port: int, subject: Subject, answer: httpx.Response | None) -> Finding:
    part = f"port {port}"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if answer is not None and _is_ours(answer):
                return Finding(part, Verdict.GOOD, "used by the gateway that runs here")
            why = os.strerror(error.errno or 0).lower()
            return Finding(part, Verdict.BAD, f"{why}; stop what uses it, or name another with --port")
    return Finding(part, Verdict.GOOD, "free")


def _database(place: databases.Place | None) -> Finding:
    try:
        return asyncio.run(_database_answers(place))
    except (Fault, OSError, TimeoutError, asyncpg.PostgresError) as error:
        return Finding("database", Verdict.BAD, str(error) or type(error).__name__)


async def _database_answers(place: databases.Place | None) -> Finding:
    running = None if place is None else databases.running(place)
    if running is None:
        with tempfile.TemporaryDirectory(prefix="ordergate-doctor-") as folder:
            async with EmbeddedPostgres(Path(folder)) as server:
                await server.database("doctor")
        return Finding("database", Verdict.GOOD, "the embedded PostgreSQL starts and stops")
    pool = await ReadPool.connect(running, connections_max=1, statement_s_max=ANSWER_S_MAX)
    try:
        version = await pool.fetchrow("show server_version")
    finally:
        await pool.close()
    return Finding("database", Verdict.GOOD, f"PostgreSQL {version[0] if version else '?'} answers")


def _clock(folder: Path, answer: httpx.Response | None) -> Finding:
    """The clock has not gone back, and the gateway's is the same."""
    now = time.time()
    written = max((file.stat().st_mtime for file in folder.glob("*")), default=now)
    if written > now + CLOCK_S_MAX:
        ahead = written - now
        return Finding(
            "clock", Verdict.BAD, f"{ahead:.0f} s behind what was written in {folder}: set the clock"
        )
    told = None if answer is None else answer.headers.get("date")
    if told is not None:
        apart = abs(parsedate_to_datetime(told).timestamp() - now)
        if apart > CLOCK_S_MAX + 1:  # the header has whole seconds
            return Finding("clock", Verdict.BAD, f"{apart:.0f} s apart from the gateway's")
    return Finding("clock", Verdict.GOOD, time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now)))


def gateway(base_url: str, answer: httpx.Response | None) -> Finding:
    """`answer` is what was said at `/livez`."""
    if answer is None:
        return Finding(
            "gateway", Verdict.DOUBTFUL, f"nothing answers at {base_url}; start it with `ordergate run`"
        )
    if not _is_ours(answer):
        return Finding("gateway", Verdict.BAD, f"what answers at {base_url} is not a gateway")
    ready = _answer(base_url + "/readyz")
    if ready is None or ready.status_code != 200:
        return Finding("gateway", Verdict.BAD, f"alive, but not ready: {_reasons(ready)}")
    return Finding("gateway", Verdict.GOOD, f"alive and ready at {base_url}")


def _reasons(answer: httpx.Response | None) -> str:
    try:
        told = {} if answer is None else answer.json()["reasons"]
        return "; ".join(f"{part}: {why}" for part, why in told.items()) or "no reason given"
    except (ValueError, KeyError, TypeError, AttributeError):
        return "no reason given"


def _is_ours(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and b"alive" in answer.content


def _answer(url: str) -> httpx.Response | None:
    try:
        return httpx.get(url, timeout=ANSWER_S_MAX, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL):
        return None
