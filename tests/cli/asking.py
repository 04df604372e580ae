"""Runs commands as a person or a script would, and reads what they say."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from typer.testing import CliRunner

from ordergate.cli.main import app
from tests.fixtures.house import House

COMMAND_S_MAX: Final = 60.0

_numbers: Final = itertools.count()


class Said(msgspec.Struct, frozen=True):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which holds one JSON document and nothing else."""
        return json.loads(self.out)


def resting(quantity: int = 10) -> tuple[str, ...]:
    """An order that waits: inside the collar of a made-up market around 190.00, and never reached.

    Every one has another price, or risk would take the second for a duplicate of the first. It is good for
    longer than the day: midnight may come while a test runs.
    """
    cents = next(_numbers) % 200
    return (
        "AAPL",
        "buy",
        str(quantity),
        "--tif",
        "gtc",
        "--limit",
        f"183.{cents:02}" if cents < 100 else f"184.{cents - 100:02}",
    )


def ordergate(*words: str) -> Said:
    """The command in this process."""
    ended = CliRunner().invoke(app, list(words))
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    return Said(ended.exit_code, ended.stdout, ended.stderr)


def process(*words: str, **options: Any) -> subprocess.Popen[str]:
    """The command as a process of its own, with pipes."""
    command = [sys.executable, "-m", "ordergate", *words]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def ended(running: subprocess.Popen[str], seconds: float = COMMAND_S_MAX) -> Said:
    """What it said until it ended by itself."""
    try:
        out, err = running.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        running.kill()
        out, err = running.communicate()
        raise AssertionError(f"did not end in {seconds:g} s; said:\n{out}\n{err}") from None
    return Said(running.returncode, out, err)


class Desk:
    """Commands to one house."""

    def __init__(self, home: House) -> None:
        self.home = home

    def ask(self, *words: str) -> Said:
        return ordergate(*words, "--profile", str(self.home.profile))

    def get(self, *words: str) -> Any:
        """The JSON of a command that must succeed."""
        said = self.ask(*words, "--json")
        assert said.code == 0, said.err or said.out
        return said.json

    def place(self, *words: str) -> dict[str, Any]:
        order: dict[str, Any] = self.get("orders", "place", *words)
        return order

    def filled(self, *words: str) -> dict[str, Any]:
        """Place the order and see it filled."""
        order = self.place(*words)
        watch = ("orders", "watch", order["id"], "--until-final", "--profile", str(self.home.profile))
        said = ended(process(*watch))
        assert said.code == 0, said.err
        assert self.get("orders", "show", order["id"])["status"] == "filled"
        return order


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Look until it holds, and say what was waited for when it does not."""

    async def look() -> None:
        async with asyncio.timeout(COMMAND_S_MAX):
            while True:
                if await asyncio.to_thread(condition):
                    return
                await asyncio.sleep(0.05)

    try:
        asyncio.run(look())
    except TimeoutError:
        raise AssertionError(f"waited {COMMAND_S_MAX:g} s for {what}") from None


def profile_of(home: House) -> dict[str, Any]:
    profile: dict[str, Any] = json.loads(Path(home.profile).read_text(encoding="utf-8"))
    return profile
