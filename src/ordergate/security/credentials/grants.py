"""OAuth 2 towards a broker: the link of a user's brokerage account, by authorization code with PKCE S256.

Speaks to the one origin that the settings name, without redirects or a proxy, bounded in time and size. What
the broker grants is returned and never kept here; what it refuses is a sentence.
"""

from __future__ import annotations

import base64
import hashlib
import ssl
from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

import httpx
import msgspec

from ordergate.ports.clock import Chance, Clock
from ordergate.security.credentials.documents import OAuthTokens
from ordergate.security.profile import check_url
from ordergate.telemetry.secret import Secret

TIMEOUT_S: Final = 10.0
BODY_BYTES_MAX: Final = 64 * 1024
LIFE_S_MAX: Final = 400 * 86_400


class GrantRefused(Exception):
    """The broker said no, in its word for it. Asking again with the same changes nothing."""


class BrokerAway(Exception):
    """No answer that means anything; whether the broker took it is not known."""


class GrantSettings(msgspec.Struct, frozen=True, kw_only=True):
    """An application that a broker has registered. `base_url` is where its OAuth endpoints are.

    `client_secret` tells the one of now.
    """

    base_url: str
    client_id: str
    client_secret: Callable[[], Secret]
    redirect_uri: str
    scope: str = "trading"

    def __post_init__(self) -> None:
        check_url(self.base_url)
        check_url(self.redirect_uri)


class Asking(msgspec.Struct, frozen=True):
    """A link that was begun: where its user goes, and what proves that the answer is to this question."""

    url: str
    state: str
    verifier: Secret


class Token(msgspec.Struct, frozen=True):
    """What a token endpoint answers."""

    access_token: str
    refresh_token: str
    token_type: str
    expires_in: int


class _Error(msgspec.Struct, frozen=True):
    error: str


class Grants:
    """One per application and process."""

    def __init__(
        self, settings: GrantSettings, clock: Clock, chance: Chance, *, tls: ssl.SSLContext | None = None
    ) -> None:
        """Without `tls` whatever the machine trusts may vouch for the broker."""
        self._settings = settings
        self._tls = tls
        self._clock = clock
        self._chance = chance

    def ask(self) -> Asking:
        """The page on which a user lets the gateway in."""
        state, verifier = self._word(), self._word()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._settings.redirect_uri,
            "scope": self._settings.scope,
            "state": state,
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
        }
        url = f"{self._settings.base_url}/oauth/authorize?{urlencode(asked)}"
        return Asking(url, state, Secret(verifier))

    async def redeem(self, asking: Asking, state: str, code: Secret) -> OAuthTokens:
        """What the user granted. Raises GrantRefused and BrokerAway."""
        if Secret(state) != Secret(asking.state):
            raise GrantRefused("the answer is to another question")
        return await self._token(
            {
                "grant_type": "authorization_code",
                "code": code.reveal(),
                "redirect_uri": self._settings.redirect_uri,
                "code_verifier": asking.verifier.reveal(),
            }
        )

    async def refresh(self, tokens: OAuthTokens) -> OAuthTokens:
        """New ones; the old refresh token is worth nothing then. Raises GrantRefused and BrokerAway."""
        return await self._token(
            {"grant_type": "refresh_token", "refresh_token": tokens.refresh_token.reveal()}
        )

    async def revoke(self, tokens: OAuthTokens) -> None:
        """Take it all back at the broker. Raises GrantRefused and BrokerAway."""
        await self._post("/oauth/revoke", {"token": tokens.refresh_token.reveal()})

    async def _token(self, form: dict[str, str]) -> OAuthTokens:
        body = await self._post("/oauth/token", form)
        try:
            token = msgspec.json.decode(body, type=Token)
        except msgspec.DecodeError:
            raise BrokerAway("the broker's answer is no token") from None
        if token.token_type.lower() != "bearer" or not 0 < token.expires_in <= LIFE_S_MAX:
            raise BrokerAway("the broker's token is of a kind that is not used here")
        expires_at = int(self._clock.now().timestamp()) + token.expires_in
        return OAuthTokens(Secret(token.access_token), Secret(token.refresh_token), expires_at)

    async def _post(self, path: str, form: dict[str, str]) -> bytes:
        secret = self._settings.client_secret()
        own = {"client_id": self._settings.client_id, "client_secret": secret.reveal()}
        try:
            async with (
                httpx.AsyncClient(
                    timeout=TIMEOUT_S, follow_redirects=False, trust_env=False, verify=self._tls or True
                ) as http,
                http.stream("POST", self._settings.base_url + path, data={**form, **own}) as answer,
            ):
                body = b""
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > BODY_BYTES_MAX:
                        raise BrokerAway("the broker's answer is too long")
        except httpx.HTTPError as error:
            raise BrokerAway(f"the broker did not answer: {type(error).__name__}") from error
        if answer.status_code == 200:
            return body
        if answer.status_code in (400, 401):
            raise GrantRefused(_word_of(body))
        raise BrokerAway(f"the broker answered with status {answer.status_code}")

    def _word(self) -> str:
        return base64.urlsafe_b64encode(self._chance.bits(256).to_bytes(32)).rstrip(b"=").decode()


def _word_of(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Error).error[:80]
    except msgspec.DecodeError:
        return "without a word"
