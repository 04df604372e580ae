"""Where a process spends its time: the Python stack, looked at a thousand times a second.

Time in C, and in the kernel, counts for the Python line that called it; waiting counts for the event
loop. Costs about one part in a hundred.
"""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Final

EVERY_S: Final = 0.001
DEPTH_MAX: Final = 60
_SHOWN: Final = 60


class Sampler:
    """Looks from construction on; `write` says what was seen, as text for a person."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._own: Counter[str] = Counter()
        self._with_callees: Counter[str] = Counter()
        self._seen = 0
        signal.signal(signal.SIGALRM, self._look)
        signal.setitimer(signal.ITIMER_REAL, EVERY_S, EVERY_S)

    def write(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        parts = [f"{self._seen} samples"]
        for title, counts in (("itself", self._own), ("with what it calls", self._with_callees)):
            parts.append(f"\n{title}:")
            parts += [f"{100 * n / self._seen:6.2f} %  {name}" for name, n in counts.most_common(_SHOWN)]
        self._file.write_text("\n".join(parts) + "\n", encoding="utf-8")

    def _look(self, _: int, frame: FrameType | None) -> None:
        self._seen += 1
        if frame is not None:
            self._own[_named(frame)] += 1
        on_stack: set[str] = set()
        for _ in range(DEPTH_MAX):
            if frame is None:
                break
            on_stack.add(_named(frame))
            frame = frame.f_back
        self._with_callees.update(on_stack)


def _named(frame: FrameType) -> str:
    code = frame.f_code
    return f"{'/'.join(code.co_filename.split('/')[-3:])}:{code.co_qualname}"
