"""The witness as a process: reads the folder that a gateway publishes to, and writes to a folder of its own.

Belongs under another account than the gateway's: it needs to read what is published and nothing else of
it. One process at a time; what was cosigned is written whole or not at all.
"""

from __future__ import annotations

import asyncio
import fcntl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ordergate.audit import folder as folders
from ordergate.audit.folder import FolderSink
from ordergate.audit.witness import Inconsistent, Published, Seen, Witness
from ordergate.ports.keys import KeysRefused
from ordergate.security.keys import local
from ordergate.wiring.settings import CannotStart

__all__ = ["Inconsistent", "Report", "Watch", "opened"]

KEY: Final = "witness-key"
SEEN: Final = "seen.json"
NEWEST: Final = "cosigned"
EVERY: Final = "cosigned.jsonl"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How many were cosigned by this process, and of how many records the last head is."""

    cosigned: int
    size: int


class WitnessKey:
    """Keeps the promises of `ports.audit.NoteKey`, for a process that has no key service."""

    def __init__(self, private: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(private)

    @property
    def public(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    async def sign(self, text: bytes) -> bytes:
        return self._key.sign(text)


class Watch:
    def __init__(self, folder: Path, state: Path, witness: Witness) -> None:
        self._file = folder / folders.EVERY
        self._sink = FolderSink(state, newest=NEWEST, every=EVERY)
        self._witness = witness
        self._read = 0
        self._cosigned = 0

    @property
    def verifier_key(self) -> str:
        return self._witness.verifier_key

    def look(self) -> Report:
        """Cosign what is new. Raises Inconsistent and CannotStart."""
        return asyncio.run(self._look())

    def follow(self, every_s: float) -> Report:
        """Look again and again, until interrupted."""
        try:
            while True:
                self.look()
                threading.Event().wait(every_s)
        except KeyboardInterrupt:
            return Report(cosigned=self._cosigned, size=self._witness.seen.size)

    async def _look(self) -> Report:
        lines = self._lines()
        if not self._witness.seen.size:
            lines = lines[-1:]  # nothing before the first that it sees could be measured
        for line in lines:
            try:
                published = msgspec.json.decode(line, type=Published)
            except msgspec.DecodeError as error:
                raise Inconsistent(f"a published line cannot be read: {error}") from error
            cosigned = await self._witness.consider(published, int(time.time()))
            if cosigned is not None:
                await self._sink.publish(cosigned, published.old or 0)
                self._cosigned += 1
        return Report(cosigned=self._cosigned, size=self._witness.seen.size)

    def _lines(self) -> list[bytes]:
        """What was added since the last look, whole lines alone."""
        try:
            with self._file.open("rb") as file:
                file.seek(0, 2)
                if file.tell() < self._read:
                    self._read = 0  # another file: it is read from its beginning
                file.seek(self._read)
                added = file.read()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise CannotStart(f"cannot read {self._file}: {error.strerror}") from error
        whole = added[: added.rfind(b"\n") + 1]
        self._read += len(whole)
        return whole.splitlines()


@contextmanager
def opened(folder: Path, state: Path, name: str, key: str) -> Iterator[Watch]:
    """`key` is the log's as it was first given; later changes were followed. Raises CannotStart."""
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (state / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            seen = _seen(state, key)
            witness = Witness(name, _key(state), seen, lambda now: _keep(state, now))
            yield Watch(folder, state, witness)
    except (KeysRefused, ValueError) as error:
        raise CannotStart(str(error)) from error
    except BlockingIOError as error:
        raise CannotStart(f"another witness works in {state}") from error
    except OSError as error:
        raise CannotStart(f"cannot work in {state}: {error}") from error


def _seen(state: Path, key: str) -> Seen:
    try:
        return msgspec.json.decode((state / SEEN).read_bytes(), type=Seen)
    except FileNotFoundError:
        return Seen(key=key.strip())
    except msgspec.DecodeError as error:
        raise CannotStart(f"{state / SEEN} is damaged: put the right one back") from error


def _keep(state: Path, seen: Seen) -> None:
    local.write_private(state, SEEN, msgspec.json.encode(seen))


def _key(state: Path) -> WitnessKey:
    """The witness's own, made at its first start."""
    try:
        private = local.read_private(state / KEY)
    except FileNotFoundError:
        private = Ed25519PrivateKey.generate().private_bytes_raw().hex().encode()
        local.write_private(state, KEY, private)
    return WitnessKey(bytes.fromhex(private.decode()))
