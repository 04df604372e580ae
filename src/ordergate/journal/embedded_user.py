"""As whom the embedded server runs.

PostgreSQL refuses to run as root. When we are root, its programs run as an ordinary user: the
owner of an existing data folder, else `postgres`, else `nobody`. The folders above may be closed to that
user (a checkout in a home folder is), so it is given the one capability to pass through them for
reading; no permission of any folder that is not ours is ever changed.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Final

import msgspec

from ordergate.core.faults import JournalUnavailable

# Linux's numbers for "may read and search everything" and, where a container lacks that one,
# "may pass every permission check".
_CAPABILITIES: Final = (("dac_read_search", 2), ("dac_override", 1))


class ServerUser(msgspec.Struct, frozen=True, kw_only=True):
    """`prefix` goes before every command; `uid` is None when we are an ordinary user ourselves."""

    uid: int | None
    gid: int | None
    prefix: tuple[str, ...]

    @property
    def helpless(self) -> bool:
        """We are root, and nothing is there to let the server's user through closed folders."""
        return self.uid is not None and not self.prefix

    def give(self, path: Path) -> None:
        """Hand a file or folder of ours to the server's user."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def server_user(data: Path) -> ServerUser:
    """The user for the server whose data is, or will be, in `data`."""
    if os.geteuid() != 0:
        return ServerUser(uid=None, gid=None, prefix=())
    account = _account(data)
    setpriv = shutil.which("setpriv")
    prefix: tuple[str, ...] = ()
    if setpriv is not None:
        switch = (f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups")
        prefix = (setpriv, *switch, *_capability_options())
    return ServerUser(uid=account.pw_uid, gid=account.pw_gid, prefix=prefix)


def run_options(user: ServerUser) -> dict[str, int | list[int]]:
    """How subprocess itself changes user, where there is no setpriv."""
    if user.uid is None or user.gid is None or user.prefix:
        return {}
    return {"user": user.uid, "group": user.gid, "extra_groups": []}


def _account(data: Path) -> pwd.struct_passwd:
    if data.exists() and data.stat().st_uid != 0:
        return pwd.getpwuid(data.stat().st_uid)
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise JournalUnavailable("PostgreSQL does not run as root, and there is no user `postgres` or `nobody`")


def _capability_options() -> tuple[str, ...]:
    bounding = 0
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("CapBnd:"):
                bounding = int(line.split()[1], 16)
    for name, bit in _CAPABILITIES:
        if bounding >> bit & 1:
            # The last option lets access(2), which PostgreSQL's programs ask first, see the capability.
            return (f"--inh-caps=+{name}", f"--ambient-caps=+{name}", "--securebits=+no_setuid_fixup")
    return ()


def run(
    user: ServerUser, command: list[str], *, timeout_s: float, environment: dict[str, str]
) -> tuple[int, str]:
    """Run one of the server's programs to its end: exit code, and what it said."""
    done = subprocess.run(
        [*user.prefix, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        env=environment,
        timeout=timeout_s,
        check=False,
        **run_options(user),  # type: ignore[call-overload]  # the stubs know these options by name only
    )
    return done.returncode, done.stdout.decode(errors="replace").strip()
