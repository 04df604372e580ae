"""The gateway with a wall clock that jumps: the product's own clock, moved by what a file says.

    CLOCK_OFFSET=offset.txt python tests/crash/jumping_program.py serve --config gateway.yaml

The file holds seconds. Only the wall clock moves; nobody's monotonic clock does, as when an
operator or a time server sets a machine's time.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ordergate.cli.main import app
from ordergate.wiring.system import SystemClock

OFFSET = Path(os.environ.get("CLOCK_OFFSET", "offset"))


class Offset:
    """What the file says now; read again whenever it was written."""

    def __init__(self) -> None:
        self._written = -1
        self._offset = timedelta()

    def __call__(self) -> timedelta:
        written = OFFSET.stat().st_mtime_ns
        if written != self._written:
            self._written, self._offset = written, timedelta(seconds=float(OFFSET.read_text("ascii")))
        return self._offset


offset = Offset()


def now(_: SystemClock) -> datetime:
    return datetime.now(UTC) + offset()


if __name__ == "__main__":
    setattr(SystemClock, "now", now)  # noqa: B010  # this program is the product with another clock
    app()
