"""Every line is JSON, carries its correlation id, and holds no secret."""

import asyncio
import io
import json
import logging
import socket
import subprocess
import sys
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from ordergate.telemetry import log
from ordergate.telemetry.secret import Secret

CANARY = "Zq7canaryXw9Kd"


@pytest.fixture
def stream(logged: io.StringIO) -> io.StringIO:
    return logged


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_its_event_and_fields(stream: io.StringIO) -> None:
    log.logger("gate").info("order.accepted", order="P-1", quantity=2)

    (line,) = lines(stream)
    assert line["event"] == "order.accepted"
    assert (line["room"], line["order"], line["quantity"], line["level"]) == ("gate", "P-1", 2, "info")
    assert line["at"].endswith("Z")


def test_a_logger_made_before_the_configuration_follows_it() -> None:
    early = log.logger("early")
    root = logging.getLogger()
    before = root.handlers[:], root.level
    first, second = io.StringIO(), io.StringIO()

    log.configure("warning", first)
    early.info("thing.unseen")
    early.warning("thing.seen")
    log.configure("info", second)
    early.info("thing.seen")
    log.configure("warning")
    root.handlers[:], root.level = before

    assert [line["event"] for line in lines(first)] == ["thing.seen"]
    assert [line["event"] for line in lines(second)] == ["thing.seen"]


def test_without_any_configuration_a_warning_is_redacted_on_standard_error() -> None:
    program = f"from ordergate.telemetry import log; log.logger('a').warning('x.y', token='{CANARY}')"

    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )

    assert json.loads(ended.stderr)["event"] == "x.y"
    assert CANARY not in ended.stderr + ended.stdout


def test_the_correlation_id_follows_the_work_into_tasks(stream: io.StringIO) -> None:
    async def child() -> None:
        log.logger("a").info("child.ran")

    async def work() -> None:
        with log.correlated("c-1"):
            assert log.correlation_id() == "c-1"
            await asyncio.create_task(child())
        log.logger("a").info("work.ended")

    asyncio.run(work())

    child_line, ended = lines(stream)
    assert child_line["correlation_id"] == "c-1"
    assert "correlation_id" not in ended


def test_a_level_that_is_off_formats_nothing(stream: io.StringIO) -> None:
    class Loud:
        def __str__(self) -> str:
            raise AssertionError("a line that is off was formatted")

    log.logger("a").debug("thing.seen", thing=Loud())

    assert stream.getvalue() == ""


def test_no_kind_of_field_lets_a_secret_through(stream: io.StringIO) -> None:
    write = log.logger("a")
    write.info("client.known", client_secret=CANARY, secret=Secret(CANARY), headers={"Authorization": CANARY})
    write.warning("call.failed", detail=f"client_secret={CANARY}", body={"deep": [f"Bearer {CANARY}"]})
    try:
        raise ValueError(f"refused token={CANARY}")
    except ValueError:
        write.exception("call.crashed")

    assert CANARY not in stream.getvalue()
    assert "ValueError" in stream.getvalue()


def test_lines_of_libraries_are_json_and_redacted_too(stream: io.StringIO) -> None:
    logging.getLogger("some.library").warning("login with password=%s failed", CANARY)
    logging.getLogger("authlib.oauth2").debug("Issue token %r", CANARY)

    (line,) = lines(stream)
    assert line["logger"] == "some.library"
    assert CANARY not in stream.getvalue()


async def test_a_stream_that_is_refused_is_no_error_of_the_server(stream: io.StringIO) -> None:
    async def refuses(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
            await send({"type": "websocket.http.response.body", "body": b"no"})

    config = uvicorn.Config(refuses, log_config=None, lifespan="off", ws="websockets-sansio")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve([listening]))
        with pytest.raises(InvalidStatus):
            await connect(f"ws://127.0.0.1:{listening.getsockname()[1]}/")
        server.should_exit = True
        await serving
    assert [line for line in lines(stream) if line["level"] == "error"] == []


def test_what_json_cannot_hold_does_not_lose_the_line(stream: io.StringIO) -> None:
    log.logger("a").info("text.odd", text="\ud800", number=float("nan"), big=2**200)

    assert lines(stream)[0]["room"] is not None
