"""`ordergate run`: one person, one machine, one command.

Prepares a folder, starts the venue as a process of its own, serves the gateway in this one,
tells where everything is, and stops it all again. Everything it decides is in files in the
folder, which it finds again the next time.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, TextIO

import msgspec
import yaml

from ordergate.core.access import Scope
from ordergate.core.ids import Symbol
from ordergate.core.money import text
from ordergate.wiring import demo
from ordergate.wiring.gateway import Gateway
from ordergate.wiring.serving import kept_port, require_free, serve
from ordergate.wiring.settings import LOOPBACK, CannotStart, Settings, parse, read_yaml

VENUE_START_S_MAX: Final = 30.0
VENUE_STOP_S_MAX: Final = 10.0
READY_S_MAX: Final = 60.0
POLL_S: Final = 0.05
LOG_BYTES_MAX: Final = 20 * 1024 * 1024


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says. Port 0 takes a free one."""

    data_dir: Path
    port: int
    venue_port: int
    admin_port: int
    speed: float
    recorded: tuple[Path, ...]
    venue_admin_token: str = ""


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything is, for people and scripts; also the content of the ready file.

    `sample_price` is the best ask of `sample_symbol`: who sells there joins a real queue.
    """

    base_url: str
    stream_url: str
    admin_url: str
    venue_url: str
    venue_key: str
    venue_secret: str
    token_url: str
    client_id: str
    client_secret: str
    account_id: str
    symbols: tuple[str, ...]
    sample_symbol: str | None = None
    sample_price: str | None = None


def run(asked: Asked, *, tell: Callable[[Running], None]) -> None:
    """Serve until Ctrl-C. Raises CannotStart."""
    folder = asked.data_dir.absolute()
    _prepare(folder)
    with _locked(folder):
        _run(asked, folder, tell)


def _run(asked: Asked, folder: Path, tell: Callable[[Running], None]) -> None:
    require_free(LOOPBACK, asked.port, "--port")
    require_free(LOOPBACK, asked.venue_port, "--venue-port")
    require_free(LOOPBACK, asked.admin_port, "--admin-port")
    with _ports(asked.port, asked.venue_port, asked.admin_port) as (port, venue_port, admin_port):
        placed = msgspec.structs.replace(asked, port=port, venue_port=venue_port, admin_port=admin_port)
        _run_at_its_ports(placed, folder, tell)


@contextmanager
def _ports(*asked: int) -> Iterator[list[int]]:
    """These, and for each that nobody has chosen one that nobody else is given."""
    with ExitStack() as kept:
        yield [port or kept.enter_context(kept_port()) for port in asked]


def _run_at_its_ports(asked: Asked, folder: Path, tell: Callable[[Running], None]) -> None:
    key, secret = _kept(folder / "secrets" / "venue-key"), _kept(folder / "secrets" / "venue-secret")
    venue_plain = demo.venue_plain(
        folder,
        port=asked.venue_port,
        key=key,
        secret=secret,
        recorded=list(asked.recorded),
        speed=asked.speed,
    )
    if asked.venue_admin_token:
        venue_plain["admin_token"] = asked.venue_admin_token
    venue_file = folder / "venue.yaml"
    _write(venue_file, yaml.safe_dump(venue_plain, sort_keys=False))
    venue_url = f"http://{LOOPBACK}:{asked.venue_port}"
    settings = _settings(folder, asked.port, asked.admin_port, venue_url)

    async def ready(gateway: Gateway) -> None:
        client_secret = await _demo_client(gateway, folder)
        await _until_ready(gateway)
        tell(_running(gateway, venue_url, (key, secret), client_secret))

    with _log(folder / "gateway.log") as log, _venue(venue_file, folder / "venue.log"):
        serve(settings, ready=ready, log_to=log)


def _prepare(folder: Path) -> None:
    try:
        for each in (folder, folder / "secrets"):
            each.mkdir(parents=True, exist_ok=True)
            each.chmod(0o700)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise CannotStart(
            f"cannot write to {folder} ({error.strerror}): choose another folder with --data-dir"
        ) from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The folder is ours for as long as we live."""
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CannotStart(
                f"another gateway runs in {folder}: stop it, or choose another folder with --data-dir"
            ) from error
        yield


def _settings(folder: Path, port: int, admin_port: int, venue_url: str) -> Settings:
    """The folder's own settings file, made on first use; the addresses are this start's."""
    file = folder / "gateway.yaml"
    if not file.exists():
        plain = demo.gateway_plain(folder, port=port, venue_url=venue_url)
        _write(file, yaml.safe_dump(plain, sort_keys=False))
    _keep_addresses(file, port, venue_url)
    plain = read_yaml(file)
    try:
        plain["port"], plain["admin_port"] = port, admin_port
        plain["data_dir"] = str(folder)
        plain["brokers"]["venue"]["url"] = venue_url
    except (KeyError, TypeError) as error:
        raise CannotStart(f"{file} has no broker called `venue`: mend it, or move it away") from error
    return parse(plain, str(file))


def _keep_addresses(file: Path, port: int, venue_url: str) -> None:
    """Where this start is, for every command that reads the file. All else in it stays as it is."""
    plain = read_yaml(file)
    try:
        before, url = plain["port"], plain["brokers"]["venue"]["url"]
    except (KeyError, TypeError):
        return  # they are written otherwise, or not at all
    text = file.read_text(encoding="utf-8")
    kept = re.sub(rf"(?m)^port: {before}$", f"port: {port}", text)
    kept = re.sub(rf"(?m)^( +url: ){re.escape(str(url))}$", rf"\g<1>{venue_url}", kept)
    if kept != text:
        _write(file, kept)


@contextmanager
def _venue(config: Path, log: Path) -> Iterator[None]:
    """The venue in a process of its own, which ends when this one does, however that happens."""
    ready = config.with_name("venue.ready")
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "ordergate", "venue", "--config", str(config)]
    command += ["--ready-file", str(ready), "--end-with-input"]
    with _log(log) as output:
        # A session of its own: Ctrl-C is for us, and we stop the venue last.
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True
        )
    try:
        _await_venue(process, ready, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(VENUE_STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _log(file: Path) -> Iterator[TextIO]:
    """A log to append to; one that has grown long is put aside, and the one before it forgotten."""
    if file.exists() and file.stat().st_size > LOG_BYTES_MAX:
        file.replace(file.with_suffix(".log.1"))
    with file.open("a", encoding="utf-8", buffering=1) as output:
        yield output


def _await_venue(process: subprocess.Popen[bytes], ready: Path, log: Path) -> None:
    give_up_at = time.monotonic() + VENUE_START_S_MAX
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > give_up_at:
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise CannotStart(f"the venue did not start: {said[-1] if said else 'it said nothing'}")
        time.sleep(POLL_S)


async def _demo_client(gateway: Gateway, folder: Path) -> str:
    """The demo client's secret: kept in the folder, and registered again only when it is lost."""
    file = folder / demo.CLIENT_SECRET
    registered = gateway.identity.directory.client(demo.CLIENT_ID) is not None
    if registered and file.exists():
        return file.read_text(encoding="utf-8").strip()
    secret = await gateway.identity.register(
        demo.CLIENT_ID, tenant=gateway.settings.tenant, scopes=Scope, accounts=[demo.ACCOUNT]
    )
    _write(file, secret.reveal())
    return secret.reveal()


def _sampled(settings: Settings) -> Symbol | None:
    """The first symbol that the settings have the venue quote; None where they are of others by now."""
    listed = {one["symbol"] for one in demo.INSTRUMENTS}
    fed = {symbol for feed in settings.brokers["venue"].prices for symbol in feed.symbols}
    return next((symbol for symbol in settings.symbols if symbol in listed & fed), None)


async def _until_ready(gateway: Gateway) -> None:
    give_up_at = time.monotonic() + READY_S_MAX
    while missing := _missing(gateway):
        if time.monotonic() > give_up_at:
            reasons = "; ".join(f"{part}: {why}" for part, why in missing.items())
            raise CannotStart(f"the gateway is not ready after {READY_S_MAX:.0f} s ({reasons})")
        await asyncio.sleep(POLL_S)


def _missing(gateway: Gateway) -> dict[str, str]:
    """What is yet to come before anybody is told to place an order, by part."""
    reasons, symbol = gateway.node.gate.readiness(), _sampled(gateway.settings)
    if symbol is not None and gateway.node.prices.quote(symbol) is None:
        reasons["prices"] = f"no quote of {symbol} has come from the venue"
    return reasons


def _running(gateway: Gateway, venue_url: str, venue_login: tuple[str, str], client_secret: str) -> Running:
    base_url, symbol = gateway.settings.base_url, _sampled(gateway.settings)
    quote = None if symbol is None else gateway.node.prices.quote(symbol)
    return Running(
        base_url=base_url,
        stream_url=base_url.replace("http", "ws", 1) + "/v1/stream",
        admin_url=gateway.settings.admin_url or "",
        venue_url=venue_url,
        venue_key=venue_login[0],
        venue_secret=venue_login[1],
        token_url=base_url + "/oauth/token",
        client_id=demo.CLIENT_ID,
        client_secret=client_secret,
        account_id=demo.ACCOUNT,
        symbols=tuple(gateway.settings.symbols),
        sample_symbol=symbol,
        sample_price=None if quote is None or quote.ask is None else text(quote.ask),
    )


def _kept(file: Path) -> str:
    """A secret made once and kept in a file of ours alone."""
    if not file.exists():
        _write(file, secrets.token_hex(16))
    return file.read_text(encoding="utf-8").strip()


def _write(file: Path, content: str) -> None:
    """Whole or not at all, readable by nobody else."""
    draft = file.with_suffix(file.suffix + ".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as output:
        output.write(content)
    draft.replace(file)
