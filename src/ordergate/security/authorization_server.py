"""The embedded OAuth 2 authorization server: what programs ask for, for themselves or in a person's name.

Knows no web framework: every endpoint takes body, headers and the caller's address and returns
an answer. Authlib runs the protocol in a worker thread, because checking a secret takes tens of
milliseconds on purpose. There are three grants: client credentials, a code, and a refresh token that
stands for a person's login. People's passwords are never seen here (`people.login` has them), and no
token is without an expiry.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import msgspec

from ordergate.core.access import Principal
from ordergate.core.faults import Fault
from ordergate.core.privileged import SCOPES as SCOPES_OF_POWER
from ordergate.ports.clock import Clock
from ordergate.ports.keys import KeysRefused, KeysUnavailable
from ordergate.security import assertions, metadata
from ordergate.security import oauth_requests as oauth
from ordergate.security.bearer import Bearer
from ordergate.security.clients import Client, StoreUnavailable
from ordergate.security.directory import Directory
from ordergate.security.grant_desk import KEEP_S, GrantDesk
from ordergate.security.grants import Request
from ordergate.security.hashing import Busy, Workers
from ordergate.security.metadata import INTROSPECT, JWKS, METADATA, PAR, REVOKE, TOKEN
from ordergate.security.oauth_requests import Answer, Asking, Received, Rejected
from ordergate.security.profile import Profile
from ordergate.security.protocol import Protocol
from ordergate.security.senders import Senders
from ordergate.security.signing import JWKS_MAX_AGE_S, Signer
from ordergate.security.throttle import Shows, Throttle
from ordergate.security.verify import Flaw
from ordergate.telemetry import log

_SHOWN: Final = {oauth.ASSERTION: Shows.SIGNATURE, oauth.PUBLIC: Shows.NOTHING}

_log = log.logger("security")

NOTE_S_MAX: Final = 5.0
Noted = Callable[[Principal], Awaitable[None]]

Call = Callable[[Received], Awaitable[Answer]]


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One route."""

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
        senders: Senders,
        *,
        clock: Clock,
        grants: GrantDesk,
        noted: Noted | None = None,
    ) -> None:
        """`noted` makes a privileged token durable in the record before it is given out."""
        self._bearer = bearer
        self._noted = noted
        self._profile = profile
        self._directory = directory
        self._signer = signer
        self._senders = senders
        self._grants = grants
        self._clock = clock
        self._protocol = Protocol(profile, directory, signer, bearer, senders)
        self._throttle = Throttle(clock.monotonic)
        self._workers = Workers()
        self._metadata = msgspec.json.encode(metadata.of_server(profile))
        self._resource = msgspec.json.encode(metadata.of_resource(profile))

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Every route with what it is for."""
        resource = self._profile.resource_path
        return (
            Endpoint(path=TOKEN, method="POST", summary="Issue an access token", call=self._serve),
            Endpoint(path=PAR, method="POST", summary="Push what to ask a person for", call=self._serve),
            Endpoint(path=REVOKE, method="POST", summary="Revoke an access token", call=self._serve),
            Endpoint(path=INTROSPECT, method="POST", summary="Look at a token", call=self._serve),
            Endpoint(path=METADATA, method="GET", summary="Describe the server", call=self.metadata),
            Endpoint(path=resource, method="GET", summary="Describe the resource", call=self.resource),
            Endpoint(path=JWKS, method="GET", summary="The keys that verify tokens", call=self.jwks),
        )

    async def metadata(self, received: Received) -> Answer:
        """RFC 8414."""
        return _document(self._metadata, "application/json")

    async def resource(self, received: Received) -> Answer:
        """RFC 9728."""
        return _document(self._resource, "application/json")

    async def jwks(self, received: Received) -> Answer:
        """RFC 7517."""
        return _document(self._signer.jwks(), "application/jwk-set+json")

    async def _serve(self, received: Received) -> Answer:
        """RFC 6749, 7009 and 7662: what a client asks for in its own name."""
        try:
            asking = oauth.read(received)
        except Rejected as rejected:
            return rejected.answer
        client_id, peer = asking.credentials.client_id, received.peer
        shows = _SHOWN.get(asking.credentials.method, Shows.SECRET)
        wait_s = self._throttle.charge(client_id, peer, shows)
        if wait_s > 0:
            _log.warning("login.throttled", client_id=self._shown(client_id), peer=peer)
            return _later(429, wait_s)
        try:
            # Not before that: a proof that holds is remembered, and there is room for only so many.
            bound_to = self._senders.of_request(received) if received.path in (TOKEN, PAR) else None
        except Rejected as rejected:
            self._throttle.refund(client_id, peer, shows)
            return rejected.answer
        try:
            proven = await self._proven(asking)
            request = Request(self._profile.issuer, asking, proven=proven, bound_to=bound_to)
            await self._grants.prepare(request)
            answered = await self._workers.call(lambda: self._protocol.work(request))
        except (Busy, StoreUnavailable, KeysUnavailable, KeysRefused) as fault:
            _log.warning("login.not_served", path=received.path, why=str(fault) or type(fault).__name__)
            self._throttle.refund(client_id, peer, shows)
            return _later(503, 1)
        if request.auth_method is None:
            _log.warning("login.failed", client_id=self._shown(client_id), peer=peer, path=received.path)
            return answered
        if shows is not Shows.NOTHING:
            self._throttle.succeeded(client_id, peer, shows)
        elif asking.path != PAR and answered.status < HTTPStatus.BAD_REQUEST:
            self._throttle.refund(client_id, peer, shows)  # by what it was granted it has proven something
        return await self._finish(request, answered)

    async def _proven(self, asking: Asking) -> Client | None:
        """The client whose assertion holds and was not used before."""
        client = self._directory.client(asking.credentials.client_id)
        if asking.credentials.method != oauth.ASSERTION or client is None:
            return None
        now = self._clock.now().timestamp()
        try:
            stated = assertions.check(asking.credentials.secret.reveal(), client, self._profile.issuer, now)
        except Flaw:
            return None
        return client if await self._directory.spend(stated.name, stated.expires_at) else None

    async def _finish(self, request: Request, answered: Answer) -> Answer:
        """Make durable what Authlib decided."""
        client_id, path = request.asking.credentials.client_id, request.asking.path
        try:
            answered = await self._grants.settle(request, answered)
            revoked = request.to_revoke
            if revoked is not None:
                await self._directory.revoke(revoked.token_id, revoked.expires_at + KEEP_S)
        except StoreUnavailable:
            return _later(503, 1)
        if path == TOKEN and answered.status == 200 and not await self._note(answered):
            return _later(503, 1)
        _log.info("login.succeeded", client_id=client_id, path=path, status=answered.status)
        return answered

    async def _note(self, answered: Answer) -> bool:
        """False where a token that must be recorded could not be; nobody ever sees it then."""
        found = self._bearer.own(json.loads(answered.body)["access_token"])
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


def _document(body: bytes, media_type: str) -> Answer:
    headers = {"content-type": media_type, "cache-control": f"public, max-age={JWKS_MAX_AGE_S}"}
    return Answer(status=200, headers=headers, body=body)


def _later(status: int, wait_s: float) -> Answer:
    return oauth.error(
        status, "temporarily_unavailable", "try again later", retry_after=str(max(1, int(wait_s + 0.999)))
    )
