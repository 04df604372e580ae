"""Starts the venue from a file of settings."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from ordergate.venue.server import VenueCannotStart, serve
from ordergate.venue.settings import VenueSettings
from ordergate.wiring.settings import CannotStart, SecretSource, path_of, read_yaml


def load(path: Path) -> VenueSettings:
    """Raises CannotStart with a sentence."""
    try:
        plain = _with_secrets(read_yaml(path))
        return msgspec.convert(plain, VenueSettings, strict=False, dec_hook=path_of)
    except msgspec.ValidationError as error:
        raise CannotStart(f"{path}: {error}") from error


def _with_secrets(plain: Any) -> Any:
    """A login's `key` and `secret` may say where they are instead of standing in the file."""
    accounts = plain.get("accounts") if isinstance(plain, dict) else None
    for account in accounts if isinstance(accounts, list) else ():
        if not isinstance(account, dict):
            continue
        for name in ("key", "secret"):
            if isinstance(account.get(name), dict):
                account[name] = msgspec.convert(account[name], SecretSource, dec_hook=path_of).read().reveal()
    return plain


def run(
    settings: VenueSettings, *, ready: Callable[[str], None] | None = None, end_with_input: bool = False
) -> None:
    """Serve until SIGTERM or SIGINT, or until standard input ends, if asked. Raises CannotStart."""
    if end_with_input:
        threading.Thread(target=_stop_when_input_ends, name="input", daemon=True).start()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings, ready=ready))
    except VenueCannotStart as error:
        raise CannotStart(str(error)) from error


def _stop_when_input_ends() -> None:
    """Whoever started us holds the other end of our input, and lets go of it however it dies."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
