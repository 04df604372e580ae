"""What happened, line by line, and its hash: two runs are the same when their hashes are.

Lines are kept only when somebody wants to read them; the hash is always taken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable


class Trace:
    def __init__(self, now: Callable[[], float], *, keep: bool) -> None:
        self.lines: list[str] = []
        self._now = now
        self._keep = keep
        self._hash = hashlib.sha256()

    def note(self, kind: str, what: str) -> None:
        line = f"{self._now():10.6f} {kind:<9} {what}"
        self._hash.update(line.encode())
        if self._keep:
            self.lines.append(line)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()
