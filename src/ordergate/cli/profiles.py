"""Who we are, at which gateway: found in a file, never in an argument where others could read it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.options import DATA_DIR

FILE_NAME: Final = "client.json"
VARIABLE: Final = "ORDERGATE_PROFILE"
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a client needs; a ready file of `run` is one too."""

    base_url: str
    stream_url: str
    token_url: str
    client_id: str
    client_secret: str
    account_id: str

    @property
    def is_local(self) -> bool:
        """The gateway is on this machine, so no proxy is asked the way."""
        return all(urlsplit(url).hostname in _LOOPBACK for url in self._urls)

    @property
    def is_confidential(self) -> bool:
        """Nobody between us and the gateway can read along."""
        return self.is_local or all(urlsplit(url).scheme in ("https", "wss") for url in self._urls)

    @property
    def _urls(self) -> tuple[str, str, str]:
        return self.base_url, self.stream_url, self.token_url


def find(named: Path | None) -> Profile:
    """The profile that was named, or the nearest one. Raises Stopped."""
    file = named or _from_environment() or _nearest()
    if file is None:
        raise Stopped(
            ExitCode.UNREACHABLE,
            "no gateway is known here: start one with `ordergate run`, "
            f"or name a profile with --profile or in ${VARIABLE}",
        )
    try:
        profile = msgspec.json.decode(file.read_bytes(), type=Profile)
    except OSError as error:
        raise Stopped(ExitCode.USAGE, f"cannot read the profile {file}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise Stopped(ExitCode.USAGE, f"{file} is not a profile: {error}") from error
    if not profile.is_confidential:
        raise Stopped(
            ExitCode.USAGE, f"{file} would send the client's secret in the clear: use https and wss"
        )
    return profile


def _from_environment() -> Path | None:
    value = os.environ.get(VARIABLE)
    return Path(value) if value else None


def _nearest() -> Path | None:
    places = (DATA_DIR / FILE_NAME, Path.home() / DATA_DIR / FILE_NAME)
    return next((place for place in places if place.is_file()), None)
