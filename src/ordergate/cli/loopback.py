"""Where the browser comes back to with the answer to a login: a free port of this machine (RFC 8252, 7.3).

Whatever does not bring the state of this login is shown out and changes nothing: any page and any program of
this machine can knock here. What the answer says is somebody else's to judge.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, Queue
from typing import Final
from urllib.parse import parse_qsl, urlsplit

HOST: Final = "127.0.0.1"
PATH: Final = "/callback"
REDIRECT: Final = f"http://{HOST}{PATH}"
"""What is registered: without a port, so at any."""

READ_S_MAX: Final = 5.0
QUERY_LENGTH_MAX: Final = 4_096
_POLL_S: Final = 0.1
_DONE: Final = b"<!doctype html><title>Ordergate</title><p>That is all here. Go back to the terminal."
_STRANGE: Final = b"<!doctype html><title>Ordergate</title><p>Nobody waits for this."


class Back:
    """`url` is what the browser is sent back to."""

    def __init__(self, url: str, answers: Queue[dict[str, str]]) -> None:
        self.url = url
        self._answers = answers

    def wait(self, seconds: float) -> dict[str, str] | None:
        """The parameters of the answer; None where none came in time."""
        try:
            return self._answers.get(timeout=seconds)
        except Empty:
            return None


@contextmanager
def listening(state: str) -> Iterator[Back]:
    """Until the end of the block."""
    answers: Queue[dict[str, str]] = Queue(maxsize=1)

    free = threading.Semaphore(1)

    class Door(_Door):
        def is_ours(self, found: dict[str, str]) -> bool:
            is_it = hmac.compare_digest(found.get("state", "").encode(), state.encode())
            return is_it and free.acquire(blocking=False)  # the first one counts

        def taken(self, found: dict[str, str]) -> None:
            answers.put_nowait(found)

    server = ThreadingHTTPServer((HOST, 0), Door)
    server.daemon_threads = True
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": _POLL_S}, daemon=True)
    serving.start()
    try:
        yield Back(f"http://{HOST}:{server.server_port}{PATH}", answers)
    finally:
        server.shutdown()
        server.server_close()


class _Door(BaseHTTPRequestHandler):
    timeout = READ_S_MAX
    server_version = "ordergate"
    sys_version = ""

    def is_ours(self, found: dict[str, str]) -> bool:
        raise NotImplementedError

    def taken(self, found: dict[str, str]) -> None:
        raise NotImplementedError

    def do_GET(self) -> None:
        found = self._asked()
        is_it = found is not None and self.is_ours(found)
        body = _DONE if is_it else _STRANGE
        self.send_response(200 if is_it else 400)
        for name, value in (
            ("content-type", "text/html; charset=utf-8"),
            ("content-length", str(len(body))),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("connection", "close"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        if is_it and found is not None:
            self.taken(found)  # now that the browser has its page: we may be gone in a moment

    def _asked(self) -> dict[str, str] | None:
        """The parameters of a request to our own address, each there once."""
        assert isinstance(self.server, ThreadingHTTPServer)
        parts = urlsplit(self.path)
        here = f"{HOST}:{self.server.server_port}"
        if parts.path != PATH or self.headers.get("host") != here or len(parts.query) > QUERY_LENGTH_MAX:
            return None
        try:
            pairs = parse_qsl(parts.query, strict_parsing=True, errors="strict", max_num_fields=16)
        except ValueError:
            return None
        found = dict(pairs)
        return found if len(found) == len(pairs) else None

    def log_message(self, *args: object) -> None:
        """The answer holds a code, and is nobody's to read."""
