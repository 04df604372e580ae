"""A watch over orders that runs beside a test, and is read event by event."""

from __future__ import annotations

import json
import signal
import threading
from queue import Queue
from typing import Any

from tests.cli.asking import COMMAND_S_MAX, Desk, process


class Watching:
    """A watch as a process of its own, read line by line."""

    def __init__(self, desk: Desk, *words: str) -> None:
        self._process = process("orders", "watch", *words, "--profile", str(desk.home.profile))
        self._lines: Queue[str] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)

    def line(self) -> dict[str, Any]:
        """The next line, whatever it is."""
        found: dict[str, Any] = json.loads(self._lines.get(timeout=COMMAND_S_MAX))
        return found

    def event(self, kind: str, order: str) -> dict[str, Any]:
        """The next event of this kind and order; those before it are passed over."""
        while True:
            found = self.line()
            if found["kind"] == kind and found["order"]["id"] == order:
                return found

    def stop(self) -> tuple[int, str]:
        """As Ctrl-C does: the exit code, and what was said on standard error."""
        assert self._process.stderr is not None
        with self._process:
            self._process.send_signal(signal.SIGINT)
            killer = threading.Timer(COMMAND_S_MAX, self._process.kill)
            killer.start()
            said = self._process.stderr.read()
            self._reader.join()
            killer.cancel()
        return self._process.returncode, said
