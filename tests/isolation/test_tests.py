"""Barrier 10: a test that reaches for another machine is refused and fails, wherever in it that happens."""

from __future__ import annotations

import ast
import asyncio
import re
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from tests.architecture.page import REPOSITORY
from tests.fixtures import network
from tests.fixtures.network import AnotherMachine

ELSEWHERE: Final = ("192.0.2.1", 9)
CHILD: Final = """
import socket
with socket.socket() as line:
    try: line.connect(("192.0.2.1", 9))
    except OSError as fault: print(fault)
"""
SHRUGS: Final = """
import socket
def test_one():
    with socket.socket() as line:
        try: line.connect(("192.0.2.1", 9))
        except OSError: pass
def test_another(): pass
"""
HERE: Final = """
import socket
with socket.socket() as door:
    door.bind(("127.0.0.1", 0)); door.listen()
    with socket.create_connection(door.getsockname(), timeout=5): print("here")
"""


def program(text: str) -> str:
    """What a Python of its own says."""
    command = [sys.executable, "-c", text]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout


@pytest.mark.parametrize(
    ("way", "words"), [("connect", ()), ("connect_ex", ()), ("sendto", (b"x",)), ("sendmsg", ([b"x"], (), 0))]
)
def test_every_way_out_of_a_socket_is_refused_and_noted(way: str, words: tuple[Any, ...]) -> None:
    kind = socket.SOCK_STREAM if way.startswith("connect") else socket.SOCK_DGRAM
    refused = pytest.raises(AnotherMachine, match=r"may not reach 192\.0\.2\.1")
    with network.expected() as tried, socket.socket(type=kind) as line, refused:
        getattr(line, way)(*words, ELSEWHERE)
    assert tried == [repr(ELSEWHERE)]


async def test_asyncio_has_no_other_way_out() -> None:
    with network.expected() as tried, pytest.raises(AnotherMachine):
        await asyncio.open_connection(*ELSEWHERE)
    assert tried == [repr(ELSEWHERE)]


def test_a_try_is_noted_although_the_code_shrugs_it_off() -> None:
    with network.expected() as tried, socket.socket() as line, suppress(OSError):
        line.connect(ELSEWHERE)
    assert len(tried) == 1


def test_a_program_that_a_test_starts_keeps_to_this_machine_too() -> None:
    with network.expected() as tried:
        assert program(CHILD) == "a test may not reach 192.0.2.1\n"
    assert tried == [repr(ELSEWHERE)]
    assert program(HERE) == "here\n"


def test_a_run_in_which_somebody_tried_has_failed(tmp_path: Path) -> None:
    """A run of its own, with the same fixtures and a test that goes on as if nothing had happened."""
    (tmp_path / "test_it.py").write_text(SHRUGS, encoding="utf-8")
    # A folder of its own: a run without one first removes what earlier runs left, however much that is.
    own = f"--basetemp={tmp_path / 'its'}"
    command = [sys.executable, "-m", "pytest", "-q", own, "-p", "tests.fixtures.network", str(tmp_path)]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "2 passed, 1 error" in ran.stdout
    assert "a test reached for another machine: ('192.0.2.1', 9)" in ran.stdout


UVLOOP: Final = """
import asyncio, uvloop
async def ask():
    try: await asyncio.open_connection("192.0.2.1", 9)
    except OSError as fault: print(fault.strerror)
    server = await asyncio.start_server(lambda *line: None, "127.0.0.1", 0)
    await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    print("here")
uvloop.run(asyncio.wait_for(ask(), 20))
"""


def test_the_build_machine_gives_its_tests_a_network_that_leads_nowhere() -> None:
    """A loop that does not use Python's sockets, as the gateway's own does not, finds no route either."""
    build = (REPOSITORY / ".ci/run").read_text(encoding="utf-8")
    assert "tools/alone make test PYTEST_ARGS=\"-m 'not fetches'\"" in build
    command = [str(REPOSITORY / "tools/alone"), sys.executable, "-c", UVLOOP]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    if "no network of its own" in said.stderr:
        pytest.skip("a network that leads nowhere was not tried: this machine makes none")
    assert said.stdout.splitlines() == ["Network is unreachable", "here"]


LIVE_MODULES: Final = sorted((REPOSITORY / "src/ordergate/brokers").glob("*/live.py"))
CONFIGURED: Final = ("tests", "bench", "deploy", "tools")
KINDS: Final = frozenset({".py", ".yaml", ".yml", ".json", ".jsonl", ".toml", ".txt", ".env", ".mjs"})
REFUSED_THERE: Final = frozenset(
    {
        "tests/brokers/test_alpaca_access.py",
        "tests/delivery/test_image.py",
        "tests/isolation/attempts.py",
        "tests/wiring/test_network_policy.py",
        "tests/wounds/test_paper_and_live.py",
    }
)
"""Name the host to show that it is refused, or that it is not there."""


def live_hosts() -> set[str]:
    """Every host that the product knows for real money."""
    found = set()
    for file in LIVE_MODULES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(urlsplit(node.value).hostname if node.value.startswith("https://") else None)
    return {host for host in found if host}


def test_no_test_is_configured_for_a_live_host() -> None:
    hosts = live_hosts()
    assert "api.alpaca.markets" in hosts
    named = re.compile("|".join(rf"(?<![\\w.-]){re.escape(host)}" for host in sorted(hosts)))
    pages = [REPOSITORY / "compose.yaml"]
    for folder in CONFIGURED:
        pages += [file for file in (REPOSITORY / folder).rglob("*") if file.suffix in KINDS]
    found = {
        page.relative_to(REPOSITORY).as_posix()
        for page in pages
        if named.search(page.read_text(encoding="utf-8", errors="replace"))
    }
    assert found - {Path(__file__).relative_to(REPOSITORY).as_posix()} == REFUSED_THERE
