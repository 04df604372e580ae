"""The gateway's API as the commands use it: one token, one retry rule, every no as a sentence.

A command is never sent under two keys: when an answer is lost, the same key asks again, and the
gateway answers for the first time it was asked.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.profiles import Profile, find

ANSWER_S_MAX: Final = 40.0  # longer than the longest wait that may be asked for
CONNECT_S_MAX: Final = 5.0
TRIES: Final = 3
PAGE: Final = 500
RENEW_S: Final = 60.0
"""A token is renewed this long before it expires."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """`renew_at` is on this process's monotonic clock."""

    text: str
    renew_at: float
    answer: dict[str, Any]


@contextmanager
def gateway(profile: Path | None) -> Iterator[GatewayClient]:
    """The gateway of this profile, or of the nearest one."""
    found = find(profile)
    limits = httpx.Timeout(ANSWER_S_MAX, connect=CONNECT_S_MAX)
    with httpx.Client(base_url=found.base_url, timeout=limits, trust_env=not found.is_local) as http:
        yield GatewayClient(found, http)


class GatewayClient:
    """Every method raises Stopped when the answer is no, or when there is none."""

    def __init__(self, profile: Profile, http: httpx.Client) -> None:
        self.profile = profile
        self._http = http
        self._token: Token | None = None

    def get(self, path: str, **query: Any) -> Any:
        asked = {name: _text(value) for name, value in query.items() if value is not None}
        return self._ask("GET", path, params=asked)

    def pages(self, path: str, name: str, limit: int, **query: Any) -> Iterator[list[Any]]:
        """Up to `limit` things of a listing, page by page."""
        cursor: str | None = None
        while limit > 0:
            page = self.get(path, limit=min(limit, PAGE), cursor=cursor, **query)
            yield page[name]
            limit -= len(page[name])
            cursor = page["next"]
            if cursor is None:
                return

    def send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, wait_s: int = 0
    ) -> Any:
        """A request that is harmless to repeat by its nature."""
        headers = {"prefer": f"wait={wait_s}"} if wait_s else None
        return self._ask(method, path, body=body, headers=headers)

    def command(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        wait_s: int = 0,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        """A request that acts once, however often it has to be sent."""
        headers = {"idempotency-key": key or secrets.token_hex(16)}
        if wait_s:
            headers["prefer"] = f"wait={wait_s}"
        return self._ask(method, path, body=body, headers=headers, params=query)

    def token(self) -> Token:
        """A token that is good for a while yet."""
        if self._token is None or time.monotonic() > self._token.renew_at:
            self._token = self._new_token()
        return self._token

    def _new_token(self) -> Token:
        profile = self.profile
        login = base64.b64encode(f"{profile.client_id}:{profile.client_secret}".encode()).decode()
        answer = self._exchange(
            httpx.Request(
                "POST",
                profile.token_url,
                data={"grant_type": "client_credentials"},
                headers={"authorization": f"Basic {login}"},
            )
        )
        told = _decoded(answer)
        if answer.status_code != 200 or not isinstance(told, dict) or "access_token" not in told:
            raise Stopped(ExitCode.UNREACHABLE, _no_token(profile, told), _as_told(told))
        lives_s = float(told.get("expires_in", 0))
        return Token(
            text=told["access_token"],
            renew_at=time.monotonic() + max(lives_s - RENEW_S, lives_s / 2),
            answer=told,
        )

    def _ask(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Any:
        sent = {"authorization": f"Bearer {self.token().text}", **(headers or {})}
        content = None
        if body is not None:
            content = msgspec.json.encode(body)
            sent["content-type"] = "application/json"
        request = self._http.build_request(method, path, content=content, headers=sent, params=params)
        answer = self._exchange(request)
        told = _decoded(answer)
        if answer.is_success:
            return told
        raise refused(answer.status_code, told)

    def _exchange(self, request: httpx.Request) -> httpx.Response:
        """One answer. What was lost on the way is asked for again; a closed door is not."""
        for tries_left in reversed(range(TRIES)):
            try:
                return self._http.send(request)
            except httpx.TransportError as error:
                closed = isinstance(
                    error, httpx.ConnectError | httpx.ConnectTimeout | httpx.UnsupportedProtocol
                )
                if closed or not tries_left:
                    place = f"{request.url.scheme}://{request.url.netloc.decode()}"
                    raise Stopped(
                        ExitCode.UNREACHABLE,
                        f"the gateway at {place} cannot be reached ({str(error) or type(error).__name__}): "
                        "is it running? `ordergate doctor` looks for the reason",
                    ) from error
        raise AssertionError("the last try returns or raises")


def refused(status: int, told: Any) -> Stopped:
    """What a problem document says, in words and for programs."""
    code = ExitCode.UNREACHABLE if status == 401 else ExitCode.REFUSED
    if isinstance(told, dict) and told.get("code") == "step-up-required":
        code = ExitCode.REFUSED  # it knows us well
    if not isinstance(told, dict) or "code" not in told:
        return Stopped(code, f"the gateway answered {status} without saying why", _as_told(told))
    lines = [f"{told['code']}: {told.get('detail') or told.get('title', '')}"]
    lines += [f"  {error['field']}: {error['message']}" for error in told.get("errors", ())]
    lines += [
        f"  {failed['control']} {failed['reason']}: {failed['detail']}"
        for failed in told.get("failed_controls", ())
    ]
    return Stopped(code, "\n".join(lines), told)


def _no_token(profile: Profile, told: Any) -> str:
    why = told.get("error_description") or told.get("error") if isinstance(told, dict) else None
    return f"no token for client {profile.client_id!r} from {profile.token_url}: {why or 'no reason given'}"


def _as_told(told: Any) -> dict[str, Any] | None:
    if not isinstance(told, dict):
        return None
    return {"code": told.get("error", "unreachable"), "detail": told.get("error_description", ""), **told}


def _decoded(answer: httpx.Response) -> Any:
    try:
        return msgspec.json.decode(answer.content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Stopped(
            ExitCode.UNREACHABLE,
            f"{answer.request.url} answered {answer.status_code} and no JSON: is that a gateway?",
        ) from error


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
