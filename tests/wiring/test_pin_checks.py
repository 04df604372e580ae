"""What `doctor` finds of pins: set or not, shown by the host or not, and nobody asked who is not pinned."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ordergate.wiring.checkup import Verdict
from ordergate.wiring.pin_checks import findings
from tests.brokers.authorities import Authority
from tests.brokers.sockets import all_ended, free_port
from tests.wiring.test_pins import settings


@contextmanager
def host(tls: ssl.SSLContext, heard: list[bytes]) -> Iterator[str]:
    """A host in a thread of its own, because `doctor` waits for its answer."""
    ready, ends = threading.Event(), asyncio.Event()
    place: list[Any] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            heard.append(await reader.read(65_536))
        writer.transport.abort()

    async def run() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as server:
            place.extend((server.sockets[0].getsockname()[1], asyncio.get_running_loop()))
            ready.set()
            await ends.wait()
            await all_ended(server)

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    assert ready.wait(20.0)
    try:
        yield f"https://localhost:{place[0]}"
    finally:
        place[1].call_soon_threadsafe(ends.set)
        thread.join(20.0)


def found(url: str, **pins: Any) -> tuple[Verdict, str]:
    (one,) = findings(settings(url=url, pins=pins))
    assert one.part == "pins of one: localhost"
    return one.verdict, one.words


def test_a_host_that_shows_a_pinned_key_is_good_and_is_told_nothing(tmp_path: Path) -> None:
    ours, heard = Authority(tmp_path, "ours"), list[bytes]()
    pins = {"authorities": str(ours.file), "keys": [ours.host.pin, ours.root.pin]}
    with host(ours.serving(), heard) as url:
        verdict, words = found(url, **pins)
    assert verdict is Verdict.GOOD
    assert words == f"one of 2 pinned keys, vouched for by {ours.file}"
    assert b"".join(heard) == b""


def test_a_host_that_shows_another_is_bad_and_its_keys_are_named(tmp_path: Path) -> None:
    ours, others = Authority(tmp_path, "ours"), Authority(tmp_path, "others")
    with host(ours.serving(), []) as url:
        verdict, words = found(url, authorities=str(ours.file), keys=[others.host.pin])
        assert verdict is Verdict.BAD
        assert all(one.pin in words for one in (ours.host, ours.between, ours.root))
        verdict, words = found(url, authorities=str(others.file))
        assert verdict is Verdict.BAD
        assert words.startswith("not vouched for: ")


def test_a_host_that_is_away_is_in_doubt(tmp_path: Path) -> None:
    url = f"https://localhost:{free_port()}"
    verdict, words = found(url, authorities=str(Authority(tmp_path, "ours").file))
    assert verdict is Verdict.DOUBTFUL
    assert words.startswith("not looked at: ")


def test_where_nothing_is_pinned_it_is_said_and_nobody_is_asked(tmp_path: Path) -> None:
    (paper,), (live,) = findings(settings()), findings(settings("live"))
    assert (paper.verdict, live.verdict) == (Verdict.GOOD, Verdict.DOUBTFUL)
    assert paper.words == live.words
    assert paper.words.startswith("none: ")
    assert list(findings(settings(url="http://127.0.0.1:1"))) == []


def test_what_cannot_be_read_is_bad(tmp_path: Path) -> None:
    (one,) = findings(settings(pins={"authorities": str(tmp_path / "none.pem")}))
    assert one.verdict is Verdict.BAD
    assert "none.pem" in one.words
