"""Requests straight into an application, with nothing in between: thousands of them take seconds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from ordergate.api.exchange import CERTIFICATE_KEY

CERTIFICATE: Final = "s0me-thumbprint-of-a-certificate-in-base64ur"
"""Of whoever asks: in live no token serves without it."""


def with_certificate(app: ASGIApp) -> ASGIApp:
    """The application, to which every connection has proven that certificate."""

    async def proven(scope: Scope, receive: Receive, send: Send) -> None:
        extensions = {**scope.get("extensions", {}), CERTIFICATE_KEY: CERTIFICATE}
        await app({**scope, "extensions": extensions}, receive, send)

    return proven


async def asked(
    app: FastAPI,
    method: str,
    path: str,
    *,
    token: str | None,
    body: Any = None,
    headers: Mapping[str, str] = {},
) -> tuple[int, dict[str, Any]]:
    """The status, and the body where it is a JSON object."""
    path, _, query = path.partition("?")
    sent = [(b"host", b"gateway")]
    if token is not None:
        sent.append((b"authorization", b"Bearer " + token.encode()))
    raw = b"" if body is None else msgspec.json.encode(body)
    if body is not None:
        sent.append((b"content-type", b"application/json"))
    sent += [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": sent,
        "extensions": {CERTIFICATE_KEY: CERTIFICATE},
        "client": ("127.0.0.1", 1),
        "server": ("gateway", 80),
    }
    status, told = 0, bytearray()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": raw, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            told.extend(message.get("body", b""))

    await app(scope, receive, send)
    try:
        found = json.loads(bytes(told) or b"{}")
    except ValueError:
        found = {}
    return status, found if isinstance(found, dict) else {}
