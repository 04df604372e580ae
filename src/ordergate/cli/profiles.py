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


class Profile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything a client needs; a ready file of `run` is one too.

    A program proves itself with `client_secret`, or with the private key in the file `client_key`, whose
    place is told from the profile's. `person` where tokens come from somebody's login; their program may
    be public.
    """

    base_url: str
    stream_url: str
    token_url: str
    client_id: str
    account: str = msgspec.field(name="account_id", default="")
    client_secret: str | None = None
    client_key: str | None = None
    person: bool = False

    @property
    def account_id(self) -> str:
        """The account that is meant where none is named. Raises Stopped."""
        if not self.account:
            raise Stopped(
                ExitCode.USAGE,
                "the profile names no account: name one with --account, here or at `ordergate login`",
            )
        return self.account

    @property
    def issuer(self) -> str:
        """What the gateway's own authorization server calls itself."""
        return self.base_url.rstrip("/")

    @property
    def is_local(self) -> bool:
        """The gateway is on this machine, so no proxy is asked the way."""
        return all(is_local(url) for url in self._urls)

    @property
    def is_confidential(self) -> bool:
        """Nobody between us and the gateway can read along."""
        return all(is_confidential(url) for url in self._urls)

    @property
    def proves_itself(self) -> bool:
        """In one way, or in none where it is a person who does."""
        ways = (self.client_secret is not None) + (self.client_key is not None)
        return ways == 1 or (ways == 0 and self.person)

    @property
    def _urls(self) -> tuple[str, str, str]:
        return self.base_url, self.stream_url, self.token_url


def find(named: Path | None) -> Profile:
    """The profile that was named, or the nearest one. Raises Stopped."""
    return read(locate(named))


def locate(named: Path | None) -> Path:
    """The file of the profile that was named, or of the nearest one. Raises Stopped."""
    file = named or from_environment() or _nearest()
    if file is None:
        raise Stopped(
            ExitCode.UNREACHABLE,
            "no gateway is known here: start one with `ordergate run`, log in at one with "
            "`ordergate login --url`, "
            f"or name a profile with --profile or in ${VARIABLE}",
        )
    return file


def read(file: Path) -> Profile:
    """Raises Stopped."""
    try:
        profile = msgspec.json.decode(file.read_bytes(), type=Profile)
    except OSError as error:
        raise Stopped(ExitCode.USAGE, f"cannot read the profile {file}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise Stopped(ExitCode.USAGE, f"{file} is not a profile: {error}") from error
    if not profile.proves_itself:
        raise Stopped(ExitCode.USAGE, f"{file} is not a profile: give it a client_secret or a client_key")
    if not profile.is_confidential:
        raise Stopped(
            ExitCode.USAGE, f"{file} would send the client's secret in the clear: use https and wss"
        )
    return profile


def of_person(file: Path, base_url: str, client_id: str, *, key: Path | None, account: str) -> Profile:
    """Whoever logs in at this gateway, with what the program they use proves itself by."""
    return Profile(
        base_url=base_url,
        stream_url=base_url.replace("http", "ws", 1) + "/v1/stream",
        token_url=base_url + "/oauth/token",
        client_id=client_id,
        client_key=None if key is None else os.path.relpath(key, file.parent),
        account=account,
        person=True,
    )


def at_home() -> Path:
    return Path.home() / DATA_DIR / FILE_NAME


def from_environment() -> Path | None:
    value = os.environ.get(VARIABLE)
    return Path(value) if value else None


def is_local(url: str) -> bool:
    return urlsplit(url).hostname in _LOOPBACK


def is_confidential(url: str) -> bool:
    return is_local(url) or urlsplit(url).scheme in ("https", "wss")


def _nearest() -> Path | None:
    places = (DATA_DIR / FILE_NAME, at_home())
    return next((place for place in places if place.is_file()), None)
