"""Finds the embedded server that another process runs, for those who only want to look."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from ordergate.journal.embedded import ROLE
from ordergate.journal.processes import is_server_of

_SOCKET_LINE = 4  # of postmaster.pid: the folder of its Unix socket


def running_server(folder: Path, database: str) -> str | None:
    """The address of a database of the server that runs on this folder now, if one does."""
    data = folder.resolve() / "pgdata"
    try:
        lines = (data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
        pid, socket_folder = int(lines[0]), lines[_SOCKET_LINE].strip()
    except (OSError, ValueError, IndexError):
        return None
    if not socket_folder or not is_server_of(pid, data):
        return None
    return f"postgresql://{ROLE}@/{quote(database)}?host={quote(socket_folder)}"
