"""Serves a gateway over HTTP until told to stop, then stops everything in order."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Final, Self, TextIO

import uvicorn
import uvloop

from ordergate.api.certificates import server_context
from ordergate.api.deps import Bounds
from ordergate.api.protocols import server_options
from ordergate.core.ids import Env
from ordergate.telemetry import failpoints, log
from ordergate.wiring.gateway import Gateway, gateway
from ordergate.wiring.settings import LOOPBACK, CannotStart, Settings

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Ready = Callable[[Gateway], Coroutine[Any, Any, None]]


def serve(
    settings: Settings,
    *,
    ready: Ready | None = None,
    bounds: Bounds | None = None,
    log_to: TextIO | None = None,
) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP. `ready` runs once requests are answered. Raises CannotStart.

    Log lines go to standard error, or to `log_to`.
    """
    log.configure(settings.log_level, log_to)
    leave_no_core()
    arm(settings.environment, os.environ.get(failpoints.VARIABLE, ""))
    with (
        _listening(settings) as listening,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        suppress(asyncio.CancelledError),  # asked to stop before anything was served
    ):
        runner.run(_serve(settings, listening, ready, bounds))


def leave_no_core() -> None:
    """Memory holds secrets, and a dump of it would hold them on a disk."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def arm(environment: Env, said: str) -> None:
    """Arm the places that `said` names, in paper only. Raises CannotStart."""
    if not said:
        return
    if environment is not Env.PAPER:
        raise CannotStart(f"unset {failpoints.VARIABLE}: a gateway that is told to die is for paper only")
    try:
        failpoints.arm(failpoints.parse(said))
    except ValueError as error:
        raise CannotStart(str(error)) from error


@contextmanager
def _listening(settings: Settings) -> Iterator[tuple[socket.socket, ...]]:
    """The sockets of the gateway's own listener and, where there is one, of the administration's."""
    with ExitStack() as stack:
        found = [stack.enter_context(_listen(settings.host, settings.port))]
        if settings.admin_port is not None:
            its = _listen(settings.admin_host, settings.admin_port, "`admin_port`")
            found.append(stack.enter_context(its))
        yield tuple(found)


async def _serve(
    settings: Settings, listening: Sequence[socket.socket], ready: Ready | None, bounds: Bounds | None
) -> None:
    gc.set_threshold(*_COLLECT_AFTER)  # folding a long past makes little garbage and much that stays
    with _Signals() as signals:
        async with gateway(settings, bounds=bounds) as running:
            options = {**server_options(), **secured(settings), "loop": "none"}
            faces = [face for face in (running.app, running.app.administration) if face is not None]
            servers = [_Server(uvicorn.Config(face, **options)) for face in faces]
            signals.serves(servers, goodbye=running.hub.shut_down)
            _calm_the_collector()
            serving = asyncio.create_task(_serve_all(servers, listening), name="http")
            try:
                if ready is not None:
                    await _told(serving, ready(running))
                await asyncio.shield(serving)
            finally:
                for server in servers:
                    server.should_exit = True
                await serving


async def _serve_all(servers: Sequence[uvicorn.Server], listening: Sequence[socket.socket]) -> None:
    """Until every one has answered what it was asked; when one ends, whatever the reason, they all do."""
    serving = {
        asyncio.create_task(server.serve(sockets=[its]))
        for server, its in zip(servers, listening, strict=True)
    }
    await asyncio.wait(serving, return_when=asyncio.FIRST_COMPLETED)
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*serving)


def secured(settings: Settings) -> dict[str, Any]:
    """What uvicorn is given besides, where TLS ends here. Raises CannotStart."""
    tls = settings.tls
    if tls is None:
        return {}
    clients = None if tls.client_authorities is None else str(tls.client_authorities)
    try:
        context = server_context(str(tls.certificate), str(tls.key), clients)
    except (OSError, ssl.SSLError) as error:
        raise CannotStart(f"`tls` cannot be used: {error}") from error
    return {"ssl_context_factory": lambda *_: context}


async def _told(serving: asyncio.Task[None], telling: Coroutine[Any, Any, None]) -> None:
    """Tell that everything answers, unless the server is stopped before that. Raises what telling raises."""
    task = asyncio.create_task(telling, name="ready")
    await asyncio.wait((serving, task), return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    if not task.cancelled():
        task.result()


class _Server(uvicorn.Server):
    """uvicorn's server without its signals: it would end the process before the gateway is stopped."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Signals:
    """SIGINT, SIGTERM and SIGHUP stop what is running, in order, whatever stage it is in.

    The second one does not wait for requests that are under way. Nothing skips the stopping.
    """

    def __init__(self) -> None:
        self._servers: Sequence[uvicorn.Server] = ()
        self._goodbye: Callable[[], None] | None = None
        self._starting = asyncio.current_task()
        # Who ignores a closed terminal, as `nohup` has it, goes on. An ignored SIGINT is only a shell's `&`.
        ignores = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        self._numbers = [one for one in STOP_SIGNALS if one is not signal.SIGHUP or not ignores]

    def __enter__(self) -> Self:
        for number in self._numbers:
            asyncio.get_running_loop().add_signal_handler(number, self._asked_to_stop)
        return self

    def __exit__(self, *_: object) -> None:
        for number in self._numbers:
            asyncio.get_running_loop().remove_signal_handler(number)

    def serves(self, servers: Sequence[uvicorn.Server], *, goodbye: Callable[[], None]) -> None:
        """From now on a signal says goodbye to the streams and lets requests end."""
        self._servers, self._goodbye = servers, goodbye

    def _asked_to_stop(self) -> None:
        if self._goodbye is not None:
            self._goodbye()
            for server in self._servers:
                server.force_exit = server.should_exit
                server.should_exit = True
        elif self._starting is not None:
            self._starting.cancel()
            self._starting = None  # another one would cancel the stopping


def require_free(host: str, port: int, option: str) -> None:
    """Raises CannotStart, naming the option that would choose another port."""
    _listen(host, port, option).close()


def free_port(host: str = LOOPBACK) -> int:
    """A port that nobody listens on at this moment."""
    with _listen(host, 0) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def kept_port(host: str = LOOPBACK) -> Iterator[int]:
    """Such a port, which the system gives to nobody else until it is served.

    Bound and not listened on, it is still there for whoever asks for it by its number. That is so on Linux;
    other systems would refuse it to us as well.
    """
    with ExitStack() as kept:
        probe = kept.enter_context(_listen(host, 0))
        port: int = probe.getsockname()[1]
        if sys.platform != "linux":
            kept.close()
        yield port


def _listen(host: str, port: int, option: str = "--port") -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise CannotStart(
            f"cannot listen on {host}:{port} ({os.strerror(error.errno or 0)}): choose another port"
            f" with {option}, or stop what uses this one"
        ) from error
    return listening


# Orders under way are a few thousand objects: what is looked through less often is seldom any of theirs.
_COLLECT_AFTER: Final = (10_000, 50, 1_000)


def _calm_the_collector() -> None:
    """What lives from start-up to stop need not be looked through again for garbage."""
    gc.collect()
    gc.freeze()
