"""The embedded OAuth 2 authorization server: tokens for programs with a client secret.

Knows no web framework: every endpoint takes body, headers and the caller's address and returns
an answer. Authlib runs the protocol in a worker thread, because checking a secret takes tens of
milliseconds on purpose. There is one grant (client credentials), there are no refresh tokens,
no passwords of people, and no token without an expiry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
from authlib.oauth2.rfc6749 import AuthorizationServer as AuthlibServer
from authlib.oauth2.rfc6749.errors import InvalidClientError
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

from ordergate.core.access import Principal, Scope
from ordergate.core.faults import Fault
from ordergate.core.privileged import SCOPES as SCOPES_OF_POWER
from ordergate.ports.clock import Clock
from ordergate.ports.keys import KeysUnavailable
from ordergate.security import oauth_requests as oauth
from ordergate.security.bearer import Bearer
from ordergate.security.clients import StoreUnavailable
from ordergate.security.directory import Directory
from ordergate.security.grants import (
    CLIENT_CREDENTIALS,
    METHODS,
    SCOPES,
    ClientCredentials,
    Introspection,
    IssuedToken,
    Registered,
    Request,
    Revocation,
)
from ordergate.security.hashing import Busy, Workers, matches
from ordergate.security.oauth_requests import Answer, Rejected
from ordergate.security.profile import SKEW_S, Profile
from ordergate.security.signing import JWKS_MAX_AGE_S, Signer
from ordergate.security.throttle import Throttle
from ordergate.telemetry import log

TOKEN: Final = "/oauth/token"
REVOKE: Final = "/oauth/revoke"
INTROSPECT: Final = "/oauth/introspect"
METADATA: Final = "/.well-known/oauth-authorization-server"
JWKS: Final = "/.well-known/jwks.json"

# A revocation outlives the moment at which the last clock takes the token for expired.
KEEP_S: Final = 6 * SKEW_S

_DESCRIPTION_MAX: Final = 200
_log = log.logger("security")

NOTE_S_MAX: Final = 5.0
Noted = Callable[[Principal], Awaitable[None]]

Call = Callable[[bytes, Mapping[str, str], str], Awaitable[Answer]]


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One route. `call` takes the body, the headers and the caller's address."""

    path: str
    method: str
    summary: str
    call: Call


class AuthorizationServer:
    """What the API mounts. One per process, on the event loop."""

    def __init__(
        self,
        profile: Profile,
        directory: Directory,
        signer: Signer,
        bearer: Bearer,
        *,
        clock: Clock,
        noted: Noted | None = None,
    ) -> None:
        """`noted` makes a privileged token durable in the record before it is given out."""
        self._bearer = bearer
        self._noted = noted
        self._profile = profile
        self._directory = directory
        self._signer = signer
        self._protocol = _Protocol(profile, directory, signer, bearer)
        self._throttle = Throttle(clock.monotonic)
        self._workers = Workers()
        self._metadata = msgspec.json.encode(metadata(profile))

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Every route with what it is for."""
        return (
            Endpoint(path=TOKEN, method="POST", summary="Issue an access token", call=self.token),
            Endpoint(path=REVOKE, method="POST", summary="Revoke an access token", call=self.revoke),
            Endpoint(path=INTROSPECT, method="POST", summary="Look at a token", call=self.introspect),
            Endpoint(path=METADATA, method="GET", summary="Describe the server", call=self.metadata),
            Endpoint(path=JWKS, method="GET", summary="The keys that verify tokens", call=self.jwks),
        )

    async def token(self, body: bytes, headers: Mapping[str, str], peer: str) -> Answer:
        """RFC 6749, 4.4: client credentials for an access token."""
        return await self._serve(TOKEN, body, headers, peer)

    async def introspect(self, body: bytes, headers: Mapping[str, str], peer: str) -> Answer:
        """RFC 7662."""
        return await self._serve(INTROSPECT, body, headers, peer)

    async def revoke(self, body: bytes, headers: Mapping[str, str], peer: str) -> Answer:
        """RFC 7009. In force in this process when it answers, and everywhere within seconds."""
        return await self._serve(REVOKE, body, headers, peer)

    async def metadata(self, body: bytes, headers: Mapping[str, str], peer: str) -> Answer:
        """RFC 8414."""
        return _document(self._metadata, "application/json")

    async def jwks(self, body: bytes, headers: Mapping[str, str], peer: str) -> Answer:
        """RFC 7517."""
        return _document(self._signer.jwks(), "application/jwk-set+json")

    async def _serve(self, path: str, body: bytes, headers: Mapping[str, str], peer: str) -> Answer:
        try:
            asking = oauth.read(path, body, headers)
        except Rejected as rejected:
            return rejected.answer
        client_id = asking.credentials.client_id
        wait_s = self._throttle.charge(client_id, peer)
        if wait_s > 0:
            _log.warning("login.throttled", client_id=self._shown(client_id), peer=peer)
            return _later(429, wait_s)
        request = Request(self._profile.issuer, asking)
        try:
            answered = await self._workers.call(lambda: self._protocol.work(request))
        except (Busy, KeysUnavailable):
            self._throttle.refund(client_id, peer)
            return _later(503, 1)
        if request.auth_method is None:
            _log.warning("login.failed", client_id=self._shown(client_id), peer=peer, path=path)
            return answered
        self._throttle.refund(client_id, peer)
        return await self._finish(request, answered)

    async def _finish(self, request: Request, answered: Answer) -> Answer:
        """Make durable what Authlib decided."""
        revoked = request.to_revoke
        if revoked is not None:
            try:
                await self._directory.revoke(revoked.token_id, revoked.expires_at + KEEP_S)
            except StoreUnavailable:
                return _later(503, 1)
        client_id, path = request.asking.credentials.client_id, request.asking.path
        if path == TOKEN and answered.status == 200 and not await self._note(answered):
            return _later(503, 1)
        _log.info("login.succeeded", client_id=client_id, path=path, status=answered.status)
        return answered

    async def _note(self, answered: Answer) -> bool:
        """False where a token that must be recorded could not be; nobody ever sees it then."""
        found = self._bearer.own(msgspec.json.decode(answered.body)["access_token"])
        if self._noted is None or found is None or not found[0].scopes & SCOPES_OF_POWER:
            return True
        try:
            async with asyncio.timeout(NOTE_S_MAX):
                await self._noted(found[0])
        except (Fault, TimeoutError) as fault:
            _log.error("token.not_recorded", client_id=found[0].client_id, why=str(fault))
            return False
        return True

    def _shown(self, client_id: str) -> str:
        """A client id for the log; what is not one may be anything, even a mistyped secret."""
        return client_id if self._directory.client(client_id) is not None else "unknown"


class _Protocol(AuthlibServer):  # type: ignore[misc]  # Authlib publishes no types
    """Authlib's server over our clients and keys. Runs in worker threads; keeps no state."""

    def __init__(self, profile: Profile, directory: Directory, signer: Signer, bearer: Bearer) -> None:
        super().__init__(scopes_supported=sorted(SCOPES))
        self._directory = directory
        self._signer = signer
        self._bearer = bearer
        self.register_grant(ClientCredentials)
        self.register_endpoint(Revocation)
        self.register_endpoint(Introspection)
        self.register_token_generator(
            "default", BearerTokenGenerator(self._access_token, expires_generator=profile.lifetime_s)
        )

    def work(self, request: Request) -> Answer:
        if request.asking.path == TOKEN:
            if request.payload.grant_type is None:
                return oauth.error(400, "invalid_request", "grant_type is missing")
            answered: Answer = self.create_token_response(request)
        else:
            endpoint = Revocation if request.asking.path == REVOKE else Introspection
            answered = self.create_endpoint_response(endpoint.ENDPOINT_NAME, request)
        return answered

    def issued(self, token: str) -> IssuedToken | None:
        found = self._bearer.own(token)
        return None if found is None else IssuedToken(*found)

    def authenticate_client(
        self, request: Request, methods: list[str], endpoint: str = "token"
    ) -> Registered:
        """The same work and the same answer for an unknown, a disabled and a mistaken client."""
        credentials = request.asking.credentials
        client = self._directory.client(credentials.client_id)
        usable = client is not None and client.enabled and credentials.method in methods
        proven = matches(client.secret_hash if client and usable else None, credentials.secret)
        if client is None or not usable or not proven:
            raise InvalidClientError(status_code=401)
        request.auth_method = credentials.method
        return Registered(client)

    def create_oauth2_request(self, request: Request) -> Request:
        return request

    def handle_response(self, status: int, body: Any, headers: list[tuple[str, str]]) -> Answer:
        if status == 401:
            return oauth.unauthenticated()
        if isinstance(body, dict) and "error_description" in body:
            body = {**body, "error_description": _printable(body["error_description"])}
        return oauth.answer(status, body)

    def save_token(self, token: object, request: Request) -> None:
        """Nothing is kept of a token: it proves itself."""

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""

    def query_client(self, client_id: str) -> Registered | None:
        client = self._directory.client(client_id)
        return None if client is None else Registered(client)

    def _access_token(self, client: Registered, grant_type: str, user: None, scope: str) -> str:
        return self._signer.mint(client.stored, frozenset(Scope(each) for each in scope.split(" ") if each))


def metadata(profile: Profile) -> dict[str, Any]:
    """The document of RFC 8414; ValueError when Authlib finds a mistake in it."""
    document = {
        "issuer": profile.issuer,
        "token_endpoint": profile.url(TOKEN),
        "revocation_endpoint": profile.url(REVOKE),
        "introspection_endpoint": profile.url(INTROSPECT),
        "jwks_uri": profile.url(JWKS),
        "scopes_supported": sorted(SCOPES),
        "grant_types_supported": [CLIENT_CREDENTIALS],
        # Required, although there is no authorization endpoint to ask for a response.
        "response_types_supported": ["none"],
        "token_endpoint_auth_methods_supported": METHODS,
        "revocation_endpoint_auth_methods_supported": METHODS,
        "introspection_endpoint_auth_methods_supported": METHODS,
    }
    AuthorizationServerMetadata(document).validate()
    return document


def _document(body: bytes, media_type: str) -> Answer:
    headers = {"content-type": media_type, "cache-control": f"public, max-age={JWKS_MAX_AGE_S}"}
    return Answer(status=200, headers=headers, body=body)


def _later(status: int, wait_s: float) -> Answer:
    return oauth.error(
        status, "temporarily_unavailable", "try again later", retry_after=str(max(1, int(wait_s + 0.999)))
    )


def _printable(text: str) -> str:
    """Only what RFC 6749, 5.2 lets a description hold."""
    clean = "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in text)
    return clean[:_DESCRIPTION_MAX]
