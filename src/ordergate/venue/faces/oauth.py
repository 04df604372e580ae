"""The venue's OAuth 2 face: an account's owner lets an application in, and can take that back.

Authorization code with PKCE S256, refresh tokens that work once, revocation. Whatever came of one grant ends
together when one of its refresh tokens is used twice. Everything is in memory; nothing here knows an order.
"""

import asyncio
import base64
import hashlib
import html
import secrets
from collections.abc import Callable, Sequence
from hmac import compare_digest
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import msgspec
from aiohttp import web

from ordergate.venue.faces.alpaca.access import Doorkeeper
from ordergate.venue.settings import OAuthClient

PREFIX: Final = "/oauth/"
CODE_S: Final = 60.0
BODY_BYTES_MAX: Final = 16 * 1024
BODY_TIMEOUT_S: Final = 10.0
KEPT_MAX: Final = 10_000


class _Grant:
    """What one consent led to."""

    def __init__(self, client: str, account: str) -> None:
        self.client = client
        self.account = account
        self.refresh = ""
        self.access: set[str] = set()
        self.ended = False


class _Code(msgspec.Struct, frozen=True):
    grant: _Grant
    redirect_uri: str
    challenge: str
    until: float


class Refused(Exception):
    """An error of RFC 6749, by its name."""


class OAuthFace:
    def __init__(
        self,
        clients: Sequence[OAuthClient],
        doorkeeper: Doorkeeper,
        *,
        token_s: float,
        monotonic: Callable[[], float],
        ended: Callable[[str], int],
    ) -> None:
        """`ended` closes the streams that a token has opened."""
        self._clients = {client.id: client for client in clients}
        self._doorkeeper = doorkeeper
        self._token_s = token_s
        self._monotonic = monotonic
        self._ended = ended
        self._codes: dict[str, _Code] = {}
        self._refresh: dict[str, _Grant] = {}

    async def handle(self, request: web.BaseRequest) -> web.Response:
        self._expire()
        query = dict(request.query)
        try:
            match request.method, request.path:
                case "GET", "/oauth/authorize":
                    self._asked(query)
                    return _page(query)
                case "POST", "/oauth/authorize":
                    return self._consent(query, await _form(request))
                case "POST", "/oauth/token":
                    return _json(self._token(await _form(request)))
                case "POST", "/oauth/revoke":
                    return _json(self._revoke(await _form(request)))
        except Refused as refused:
            return _json({"error": str(refused)}, 401 if str(refused) == "invalid_client" else 400)
        return _json({"error": "not_found"}, 404)

    def _asked(self, query: dict[str, str]) -> OAuthClient:
        client = self._clients.get(query.get("client_id", ""))
        if client is None or query.get("redirect_uri") not in client.redirect_uris:
            raise Refused("invalid_request")
        if query.get("response_type") != "code" or query.get("code_challenge_method") != "S256":
            raise Refused("invalid_request")
        if not query.get("code_challenge"):
            raise Refused("invalid_request")
        return client

    def _consent(self, query: dict[str, str], form: dict[str, str]) -> web.Response:
        client = self._asked(query)
        account = self._doorkeeper.by_key(form.get("key", ""), form.get("secret", ""))
        told = {"state": query.get("state", "")}
        if account is None or form.get("decision") != "allow":
            told["error"] = "access_denied"
        else:
            code = told["code"] = secrets.token_urlsafe(32)
            until = self._monotonic() + CODE_S
            grant = _Grant(client.id, account)
            self._codes[code] = _Code(grant, query["redirect_uri"], query["code_challenge"], until)
        return web.Response(status=302, headers={"Location": f"{query['redirect_uri']}?{urlencode(told)}"})

    def _token(self, form: dict[str, str]) -> dict[str, Any]:
        client = self._authenticated(form)
        match form.get("grant_type"):
            case "authorization_code":
                return self._issued(self._of_code(client, form))
            case "refresh_token":
                grant = self._refresh.get(form.get("refresh_token", ""))
                if grant is None or grant.client != client.id or grant.ended:
                    raise Refused("invalid_grant")
                if grant.refresh != form["refresh_token"]:
                    self._end(grant)
                    raise Refused("invalid_grant")
                return self._issued(grant)
            case _:
                raise Refused("unsupported_grant_type")

    def _of_code(self, client: OAuthClient, form: dict[str, str]) -> _Grant:
        code = self._codes.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if (
            code is None
            or code.grant.client != client.id
            or code.redirect_uri != form.get("redirect_uri")
            or not compare_digest(code.challenge.encode(), challenge.rstrip(b"="))
        ):
            raise Refused("invalid_grant")
        return code.grant

    def _issued(self, grant: _Grant) -> dict[str, Any]:
        access, grant.refresh = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        grant.access.add(access)
        while len(self._refresh) >= KEPT_MAX:
            del self._refresh[next(iter(self._refresh))]
        self._refresh[grant.refresh] = grant
        self._doorkeeper.admit(access, grant.account)
        asyncio.get_running_loop().call_later(self._token_s, self._over, grant, access)
        return {
            "access_token": access,
            "refresh_token": grant.refresh,
            "token_type": "bearer",
            "expires_in": int(self._token_s),
            "scope": "account:write trading",
        }

    def _revoke(self, form: dict[str, str]) -> dict[str, Any]:
        client = self._authenticated(form)
        token = form.get("token", "")
        grant = self._refresh.get(token)
        for one in set(self._refresh.values()):
            if token in one.access:
                grant = one
        if grant is not None and grant.client == client.id:
            self._end(grant)
        return {}

    def _authenticated(self, form: dict[str, str]) -> OAuthClient:
        client = self._clients.get(form.get("client_id", ""))
        secret = form.get("client_secret", "")
        if client is None or not compare_digest(client.secret.encode(), secret.encode()):
            raise Refused("invalid_client")
        return client

    def _end(self, grant: _Grant) -> None:
        grant.ended = True
        for token in grant.access:
            self._close(token)
        grant.access.clear()

    def _expire(self) -> None:
        now = self._monotonic()
        for code, kept in list(self._codes.items()):
            if kept.until <= now:
                del self._codes[code]

    def _over(self, grant: _Grant, token: str) -> None:
        grant.access.discard(token)
        self._close(token)

    def _close(self, token: str) -> None:
        self._doorkeeper.dismiss(token)
        self._ended(token)


async def _form(request: web.BaseRequest) -> dict[str, str]:
    if request.content_type != "application/x-www-form-urlencoded":
        raise Refused("invalid_request")
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            body = await request.read()
    except TimeoutError:
        raise Refused("invalid_request") from None
    if len(body) > BODY_BYTES_MAX:
        raise Refused("invalid_request")
    pairs = parse_qsl(body.decode("utf-8", "replace"))
    if len(dict(pairs)) != len(pairs):
        raise Refused("invalid_request")
    return dict(pairs)


def _page(query: dict[str, str]) -> web.Response:
    name = html.escape(query["client_id"])
    text = (
        f"<!doctype html><title>Let {name} in?</title><form method=post><p>{name} wants to trade for you."
        "<p><input name=key placeholder=Key><input name=secret type=password placeholder=Secret>"
        "<p><button name=decision value=allow>Allow</button>"
        "<button name=decision value=deny>Deny</button></form>"
    )
    return web.Response(text=text, content_type="text/html")


def _json(body: object, status: int = 200) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    return web.Response(
        status=status, body=msgspec.json.encode(body), content_type="application/json", headers=headers
    )
