"""What becomes of grants at the token endpoint: used once, refreshed in turn, ended when one is used twice.

A code or a refresh token that was good before comes back only when it was stolen, from the client or by it.
Nobody can tell which, so everything of that login ends.
"""

from __future__ import annotations

import json
from typing import Final

from ordergate.ports.clock import Clock
from ordergate.security import oauth_requests as oauth
from ordergate.security.code_grants import AUTHORIZATION_CODE, REFRESH_TOKEN, secret_hash
from ordergate.security.directory import Directory
from ordergate.security.grants import Request
from ordergate.security.metadata import PAR, REVOKE, TOKEN
from ordergate.security.oauth_requests import Answer
from ordergate.security.persons import Grant, GrantStore
from ordergate.security.profile import SKEW_S, Profile
from ordergate.security.pushed import LIFE_S, Requests
from ordergate.telemetry import log

# A revocation outlives the moment at which the last clock takes the token for expired.
KEEP_S: Final = 6 * SKEW_S

_log = log.logger("security")
_TOO_MANY: Final = oauth.error(
    429, "temporarily_unavailable", "too many requests wait for their person", retry_after=str(LIFE_S)
)
_REUSED: Final = oauth.error(400, "invalid_grant", "what was granted is not good any more")


class GrantDesk:
    """Before and after Authlib: what it may look at, and what is made durable of its word."""

    def __init__(
        self, profile: Profile, directory: Directory, store: GrantStore, requests: Requests, clock: Clock
    ) -> None:
        self._profile = profile
        self._directory = directory
        self._store = store
        self._requests = requests
        self._clock = clock

    async def prepare(self, request: Request) -> None:
        """Let the request know its grant. Raises StoreUnavailable."""
        request.now = int(self._clock.now().timestamp())
        form, path = request.form, request.asking.path
        kind = form.get("grant_type")
        if path == TOKEN and kind == AUTHORIZATION_CODE and "code" in form:
            request.grant = await self._store.grant_of_code(secret_hash(form["code"]))
        elif path == TOKEN and kind == REFRESH_TOKEN:
            request.grant = await self._of_refresh_token(form.get("refresh_token", ""))
        elif path == REVOKE:
            found = await self._of_refresh_token(form.get("token", ""))
            if found is not None and found.refreshes(secret_hash(form["token"]), request.now):
                request.grant = found

    async def settle(self, request: Request, answered: Answer) -> Answer:
        """What is answered once it is durable. Raises StoreUnavailable."""
        if request.pushed is not None and request.asking.path == PAR:
            name = self._requests.push(request.pushed)
            if name is None:
                return _TOO_MANY
            return oauth.answer(201, {"request_uri": name, "expires_in": LIFE_S})
        if request.to_end is not None:
            await self._end(request.to_end)
            return answered
        grant = request.grant
        if grant is None or request.asking.path != TOKEN:
            return answered
        if answered.status == 200:
            return await self._used(request, grant, answered)
        if grant.client_id == request.asking.credentials.client_id and self._is_reuse(request, grant):
            await self._end_stolen(grant)
        return answered

    async def _used(self, request: Request, grant: Grant, answered: Answer) -> Answer:
        body = json.loads(answered.body)
        if request.form["grant_type"] == AUTHORIZATION_CODE:
            fresh = secret_hash(body["refresh_token"])
            done = await self._store.redeem(grant.grant_id, fresh, request.bound_to, request.now)
        else:
            old = secret_hash(request.form["refresh_token"])
            fresh = secret_hash(body["refresh_token"]) if "refresh_token" in body else old
            done = await self._store.refresh(grant.grant_id, old, fresh, request.now)
        if done:
            return answered
        await self._end_stolen(grant)
        return _REUSED

    def _is_reuse(self, request: Request, grant: Grant) -> bool:
        if request.form["grant_type"] == AUTHORIZATION_CODE:
            return grant.redeemed
        return secret_hash(request.form["refresh_token"]) in grant.spent_hashes

    async def _of_refresh_token(self, token: str) -> Grant | None:
        grant_id, dot, _ = token.partition(".")
        return await self._store.grant(grant_id) if dot and token.count(".") == 1 else None

    async def _end_stolen(self, grant: Grant) -> None:
        if self._directory.is_revoked_everywhere(grant.grant_id):
            return  # whoever sends it again and again makes nobody write
        _log.warning("grant.used_twice", client_id=grant.client_id, user_id=grant.user_id)
        await self._end(grant)

    async def _end(self, grant: Grant) -> None:
        until = int(self._clock.now().timestamp()) + self._profile.lifetime_s + KEEP_S
        await self._store.end(grant.grant_id, until)
        await self._directory.revoke(grant.grant_id, until)
