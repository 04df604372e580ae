"""Serves a gateway over HTTP until told to stop, then stops everything in order."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import Callable, Coroutine
from typing import Any, Final, Literal, cast

import uvicorn
import uvloop

from ordergate.api.deps import Bounds
from ordergate.telemetry import log
from ordergate.wiring.gateway import Gateway, gateway
from ordergate.wiring.settings import CannotStart, Settings

STOP_TIMEOUT_S: Final = 10
WS_BYTES_MAX: Final = 64 * 1024
Level = Literal["debug", "info", "warning", "error", "critical"]
Ready = Callable[[Gateway], Coroutine[Any, Any, None]]


def serve(settings: Settings, *, ready: Ready | None = None, bounds: Bounds | None = None) -> None:
    """Serve until SIGINT or SIGTERM. `ready` runs once requests are answered. Raises CannotStart."""
    log.configure(cast(Level, settings.log_level))
    listening = _listen(settings.host, settings.port)
    with listening, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, listening, ready, bounds))


async def _serve(
    settings: Settings, listening: socket.socket, ready: Ready | None, bounds: Bounds | None
) -> None:
    async with gateway(settings, bounds=bounds) as running:
        server = uvicorn.Server(
            uvicorn.Config(
                running.app,
                http="httptools",
                ws="websockets-sansio",
                ws_max_size=WS_BYTES_MAX,
                ws_per_message_deflate=False,
                ws_ping_interval=15.0,
                ws_ping_timeout=15.0,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=STOP_TIMEOUT_S,
            )
        )
        _calm_the_collector()
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(server.serve(sockets=[listening]))
            if ready is not None:
                telling = tasks.create_task(ready(running))
                serving.add_done_callback(lambda _: telling.cancel())


def _listen(host: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise CannotStart(
            f"cannot listen on {host}:{port} ({os.strerror(error.errno or 0)}): choose another port"
            " with --port, or stop what uses this one"
        ) from error
    return listening


def _calm_the_collector() -> None:
    """What lives from start-up to stop need not be looked through again for garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
