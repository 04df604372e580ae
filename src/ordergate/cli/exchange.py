"""Requests and answers between a command and a gateway: one retry rule, and a proof of our key on every one.

What was lost on the way is asked for again, a closed door is not. Every try carries a proof of its own,
because the one before may have arrived. A server that wants its nonce in the proof gets it, once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx
import msgspec

from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.proofs import Proofs

TRIES: Final = 3

ProvesItself = Callable[[], tuple[dict[str, str], dict[str, str]]]
"""The parameters and the headers by which a program proves itself, made anew for every try."""

_Made = Callable[[], httpx.Request]
_TELL_NOTHING_OF_BEFORE: Final = frozenset({401, 403, 409, 429})
"""They refuse this try, and say nothing of one before it that was lost."""
_CLOSED: Final = httpx.ConnectError | httpx.ConnectTimeout | httpx.UnsupportedProtocol


class Sent(msgspec.Struct):
    """How far a request got: whether a byte of it may have left, and what came back."""

    under_way: bool = False
    is_lost: bool = False
    """A try of it may have arrived, and was not answered."""
    status: int | None = None

    @property
    def may_be_done(self) -> bool:
        """Whether what came back does not tell what was done."""
        if self.status is None:
            return self.is_lost
        if self.status in _TELL_NOTHING_OF_BEFORE:
            return self.is_lost
        return self.status < 400 or self.status >= 500


class Exchange:
    """With one gateway, as whoever has the key of `proofs`."""

    def __init__(self, http: httpx.Client, proofs: Proofs) -> None:
        self._http = http
        self.proofs = proofs

    def get(self, url: str) -> httpx.Response:
        """What is told to anybody."""
        return self._tried(lambda: self._http.build_request("GET", url))

    def ask(
        self, method: str, path: str, token: str, *, sent: Sent | None = None, **request: Any
    ) -> httpx.Response:
        """A request under a token that is bound to our key. `sent` is kept up to date."""
        headers = request.pop("headers", None) or {}

        def made() -> httpx.Request:
            built = self._http.build_request(method, path, headers=headers, **request)
            built.headers.update(self.proofs.headers(method, str(built.url), token))
            return built

        return self._with_nonce(made, sent)

    def post(
        self, url: str, form: Mapping[str, str], proves: ProvesItself, *, proven: bool = True
    ) -> httpx.Response:
        """A request to the authorization server. What it gives is bound to our key, unless not `proven`."""

        def made() -> httpx.Request:
            more, headers = proves()
            built = self._http.build_request("POST", url, data={**form, **more}, headers=headers)
            if proven:
                built.headers["dpop"] = self.proofs.proof("POST", url)
            return built

        return self._with_nonce(made)

    def _with_nonce(self, made: _Made, sent: Sent | None = None) -> httpx.Response:
        answer = self._tried(made, sent)
        fresh = self.proofs.heard(str(answer.request.url), answer.headers)
        if not fresh or not _wants_nonce(answer):
            return answer
        answer = self._tried(made, sent)
        self.proofs.heard(str(answer.request.url), answer.headers)
        return answer

    def _tried(self, made: _Made, sent: Sent | None = None) -> httpx.Response:
        known = Sent() if sent is None else sent
        for tries_left in reversed(range(TRIES)):
            request = made()
            known.under_way, known.status = True, None
            try:
                answer = self._http.send(request)
                known.status = answer.status_code
                return answer
            except httpx.TransportError as error:
                known.is_lost = known.is_lost or not isinstance(error, _CLOSED)
                if isinstance(error, _CLOSED) or not tries_left:
                    place = f"{request.url.scheme}://{request.url.netloc.decode()}"
                    raise Stopped(
                        ExitCode.UNREACHABLE,
                        f"the gateway at {place} cannot be reached ({str(error) or type(error).__name__}): "
                        "is it running? `ordergate doctor` looks for the reason",
                    ) from error
        raise AssertionError("the last try returns or raises")


def decoded(answer: httpx.Response) -> Any:
    """The JSON of an answer. Raises Stopped."""
    try:
        return msgspec.json.decode(answer.content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Stopped(
            ExitCode.UNREACHABLE,
            f"{answer.request.url} answered {answer.status_code} and no JSON: is that a gateway?",
        ) from error


def for_programs(told: Any) -> dict[str, Any] | None:
    """What an authorization server says, as every other refusal is told."""
    if not isinstance(told, dict):
        return None
    return {"code": told.get("error", "unreachable"), "detail": told.get("error_description", ""), **told}


def _wants_nonce(answer: httpx.Response) -> bool:
    """As a protected resource says it (RFC 9449, 9), or an authorization server (8)."""
    if answer.status_code == 401:
        return 'error="use_dpop_nonce"' in answer.headers.get("www-authenticate", "")
    return answer.status_code == 400 and decoded(answer).get("error") == "use_dpop_nonce"
