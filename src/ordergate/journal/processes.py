"""Which processes work on a PostgreSQL data folder: what decides whether a server may start there."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_PS_S_MAX: Final = 10.0


def is_server_of(pid: int, data: Path) -> bool:
    """Whether this living process is a PostgreSQL server on this folder."""
    command = _command_of(pid)
    return "postgres" in command and str(data) in command


def processes_in(data: Path) -> list[int]:
    """Processes whose working folder is `data`: PostgreSQL's, all of them, and nobody else's.

    Where the system does not tell (no /proc), nobody: PostgreSQL's own check is all there is.
    """
    found = []
    for entry in _PROC.glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == data:
                found.append(int(entry.name))
        except OSError:
            continue  # ended meanwhile, or another user's
    return sorted(found)


def _command_of(pid: int) -> str:
    if (_PROC / "self").exists():
        try:
            return (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            return ""
    asked = ["/bin/ps", "-p", str(pid), "-o", "command="]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=_PS_S_MAX, check=False)
    return done.stdout
