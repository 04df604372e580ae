"""What a profile keeps to itself: its keys and its login, in a folder beside it that nobody else may read.

The folder is refused where others could look into it, as ssh refuses a key. What is in it changes whole or
not at all, and what commands running at once must not do twice they do under its lock. No keyring of the
desktop is asked: a server and a container have none, and a login is of no use without the key beside it.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from ordergate.cli import files
from ordergate.cli.exits import ExitCode, Stopped

SENDER: Final = "sender.jwk"
"""The key that tokens are bound to."""

CLIENT: Final = "client.jwk"
"""The key by which the program proves itself, where the gateway lets in none that is public."""

PUBLIC: Final = "client.public.json"
_LOGIN: Final = "login.json"
_LOCK: Final = "lock"
LOCK_S_MAX: Final = 60.0
_LOOK_S: Final = 0.05


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """A person's login, as far as it came. Times are seconds since the epoch.

    It is of one program at one address, and is shown to no other. `since` is when somebody logged in,
    `got_at` when the newest token came.
    """

    token_url: str
    client_id: str
    since: float
    refresh_token: str
    access_token: str
    answer: dict[str, Any]
    got_at: float
    renew_at: float
    expires_at: float


class Private:
    """Every method raises Stopped."""

    def __init__(self, profile: Path) -> None:
        self.folder = profile.with_name(profile.name + ".private")

    def key(self, name: str) -> ECKey:
        """The key of this name, made when there is none."""
        file = self.folder / name
        with self.locked():
            if not file.exists():
                fresh: dict[str, Any] = dict(ECKey.generate_key("P-256", private=True).as_dict(private=True))
                files.write_json(file, fresh)
        return read_key(file)

    def publish(self) -> Path:
        """The public half of the program's key as a JWK set: what whoever registers the program needs."""
        key = self.key(CLIENT)
        described = {**key.as_dict(private=False), "kid": key.thumbprint(), "alg": "ES256", "use": "sig"}
        file = self.folder / PUBLIC
        files.write_json(file, {"keys": [described]})
        return file

    def login(self) -> Login | None:
        file = self.folder / _LOGIN
        if not file.exists():
            return None
        try:
            return msgspec.json.decode(_of_owner(file), type=Login)
        except msgspec.DecodeError:
            return None

    def begin(self, login: Login) -> None:
        """A new login in the place of whatever was there."""
        with self.locked():
            self.keep(login)

    def keep(self, login: Login) -> None:
        """For whoever has the lock."""
        files.write_json(self.folder / _LOGIN, login)

    def forget(self, *names: str) -> None:
        """The login, and the keys of these names."""
        for name in (_LOGIN, *names):
            (self.folder / name).unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Alone with the folder, against every other command of this profile."""
        self._open()
        give_up_at = time.monotonic() + LOCK_S_MAX
        descriptor = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > give_up_at:
                        raise Stopped(
                            ExitCode.UNREACHABLE, f"another command has held {self.folder} for too long"
                        ) from None
                    time.sleep(_LOOK_S)
            yield
        finally:
            os.close(descriptor)

    def _open(self) -> None:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Stopped(ExitCode.USAGE, f"cannot make {self.folder}: {error.strerror}") from error
        _closed_to_others(self.folder)


def read_key(file: Path) -> ECKey:
    """A private key of P-256 in a file of its owner's alone. Raises Stopped."""
    try:
        key = ECKey.import_key(msgspec.json.decode(_of_owner(file), type=dict[str, Any]))
    except (JoseError, msgspec.DecodeError, ValueError, TypeError, KeyError):
        key = None
    if key is None or not key.is_private or key.curve_name != "P-256":
        raise Stopped(ExitCode.USAGE, f"{file} is not a private key for ES256 (a JWK)")
    return key


def _of_owner(file: Path) -> bytes:
    try:
        _closed_to_others(file)
        return file.read_bytes()
    except OSError as error:
        raise Stopped(ExitCode.USAGE, f"cannot read {file}: {error.strerror}") from error


def _closed_to_others(place: Path) -> None:
    if place.stat().st_mode & 0o077:
        raise Stopped(
            ExitCode.USAGE, f"{place} is open to others: `chmod go= {place}`, and think who has read it"
        )
