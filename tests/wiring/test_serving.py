"""Two listeners of one process: a stop at either ends both, and each answers first what it was asked.

And the ports that they are given.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from ordergate.api.protocols import server_options
from ordergate.wiring.serving import _listening, _serve_all, _Server, free_port, kept_port
from ordergate.wiring.settings import LOOPBACK, CannotStart, parse

PATIENCE_S = 20.0


class Slow:
    """An application that answers when it is let."""

    def __init__(self) -> None:
        self.asked, self.let = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.set()
        await self.let.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})


@pytest.mark.parametrize("stopped", [0, 1])
async def test_both_answer_what_they_were_asked_and_then_both_end(stopped: int) -> None:
    slow = [Slow(), Slow()]
    options: dict[str, Any] = {**server_options(), "loop": "none"}
    servers = [_Server(uvicorn.Config(app, **options)) for app in slow]
    with socket.socket() as one, socket.socket() as other:
        listening = [one, other]
        for each in listening:
            each.bind(("127.0.0.1", 0))
        urls = [f"http://127.0.0.1:{each.getsockname()[1]}/" for each in listening]
        async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient(timeout=PATIENCE_S) as client:
            for each in listening:
                each.listen()
            serving = asyncio.create_task(_serve_all(servers, listening))
            asking = [asyncio.create_task(client.get(url)) for url in urls]
            await asyncio.gather(*(app.asked.wait() for app in slow))

            servers[stopped].should_exit = True
            slow[stopped].let.set()
            assert (await asking[stopped]).text == "done"
            assert not asking[1 - stopped].done()
            slow[1 - stopped].let.set()
            assert (await asking[1 - stopped]).text == "done"
            await serving
    assert all(server.should_exit for server in servers)


def test_a_port_that_is_taken_names_the_setting() -> None:
    class Settings:
        host = admin_host = "127.0.0.1"
        port = 0
        admin_port: int | None = None

    with _listening(Settings()) as found:  # type: ignore[arg-type]  # as much of them as is asked for
        assert len(found) == 1
        found[0].listen()
        Settings.admin_port = found[0].getsockname()[1]
        with pytest.raises(CannotStart, match="`admin_port`"), _listening(Settings()):  # type: ignore[arg-type]  # as above
            pass


def test_a_port_that_is_kept_is_given_to_nobody_and_can_be_listened_on_by_its_number() -> None:
    with kept_port() as port:
        assert port not in {free_port() for _ in range(200)}
        with socket.create_server((LOOPBACK, port)) as server, socket.create_connection((LOOPBACK, port)):
            accepted, _ = server.accept()
            with accepted:
                assert accepted.getsockname()[1] == port


@pytest.mark.parametrize("wrong", [{"port": 70_000}, {"admin_port": -1}, {"log_level": "warn"}], ids=str)
def test_what_could_not_be_served_is_refused_with_its_name(wrong: dict[str, Any]) -> None:
    plain = {"environment": "paper", "data_dir": "/d", "instruments": [], "brokers": {}, "accounts": {}}
    with pytest.raises(CannotStart, match=next(iter(wrong))):
        parse({**plain, **wrong}, "gateway.yaml")
