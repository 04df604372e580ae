"""Tokens of somebody else's identity provider, found by OpenID Connect discovery.

The operator names an issuer; discovery must name exactly the same one. Documents are fetched
without following redirects, with limits on time and size, from https or this machine only.
Keys are kept for minutes; an unknown key id makes us look again, but not more often than the
cool-down allows, however many strange tokens arrive. When the issuer cannot be reached, its
keys serve until they are too old, and then its tokens are refused.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

import httpx
import msgspec

from ordergate.core.access import Principal, Scope
from ordergate.core.ids import AccountId, Env, is_account_id
from ordergate.ports.clock import Clock
from ordergate.security.profile import FOREIGN_S_MAX, check_url, is_loopback
from ordergate.security.verify import ALGORITHMS, Flaw, Standard, Trust, VerifyKey, texts, verify_key
from ordergate.telemetry import log

DOCUMENT_BYTES_MAX: Final = 256 * 1024
KEYS_MAX: Final = 100
TIMEOUT_S: Final = 5.0
FRESH_S: Final = 600.0
USABLE_S: Final = 1_200.0
COOL_DOWN_S: Final = 30.0
RETRY_S: Final = 5.0

_log = log.logger("security")
_SCOPES: Final = frozenset(scope.value for scope in Scope)


class IssuerUnreachable(Exception):
    """The issuer's keys are not known and cannot be fetched now."""


class IssuerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator says about one external issuer, for one environment.

    `name` goes before the client ids of this issuer ("corp:desk-7"), so that they never meet
    ours. Without `tenant_claim` every token of the issuer belongs to `tenant`. Dots in a claim's
    name lead into objects ("ordergate.accounts"). With `roles_claim` a token's scopes come from its roles,
    as `roles` maps them, and from nothing else. A login counts for what is privileged only where its `acr`
    is among `strong_acr`: where none is named, none does.
    """

    name: str
    issuer: str
    audience: str
    tenant: str
    tenant_claim: str | None = None
    accounts_claim: str = "acct"
    client_claims: tuple[str, ...] = ("client_id", "azp")
    roles_claim: str | None = None
    roles: Mapping[str, frozenset[Scope]] = {}
    strong_acr: frozenset[str] = frozenset()
    algorithms: frozenset[str] = ALGORITHMS
    token_types: frozenset[str] = frozenset({"at+jwt"})
    lifetime_s_max: int = FOREIGN_S_MAX

    def __post_init__(self) -> None:
        check_url(self.issuer)
        if not self.name.isalnum() or not self.algorithms or not self.algorithms <= ALGORITHMS:
            raise ValueError("an issuer needs a short name and accepted algorithms")
        if (self.roles_claim is None) != (not self.roles):
            raise ValueError("an issuer's roles need the claim they are in, and what they map to")

    def trust(self) -> Trust:
        return Trust(
            issuer=self.issuer,
            audience=self.audience,
            types=frozenset(kind.lower() for kind in self.token_types),
            algorithms=self.algorithms,
            lifetime_s_max=self.lifetime_s_max,
        )


def http_client() -> httpx.AsyncClient:
    """A client for issuers: no redirects, no proxy from the surroundings, few connections."""
    limits = httpx.Limits(max_connections=8, max_keepalive_connections=2)
    return httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=TIMEOUT_S, limits=limits)


class ExternalIssuer:
    """One issuer's keys. `http` is somebody else's client; we open and close nothing."""

    def __init__(self, settings: IssuerSettings, http: httpx.AsyncClient, clock: Clock) -> None:
        self.settings = settings
        self.trust = settings.trust()
        self._http = http
        self._clock = clock
        self._keys: dict[str, VerifyKey] = {}
        self._fetched_at = float("-inf")
        self._next_try_at = float("-inf")
        self._one_fetch = asyncio.Lock()
        self.fetches = 0

    async def key(self, kid: str) -> VerifyKey | None:
        """The key of this id; looks again when it is unknown or the keys are old."""
        key = self._keys.get(kid)
        if key is not None and self._age() < FRESH_S:
            return key
        async with self._one_fetch:
            if kid not in self._keys or self._age() >= FRESH_S:
                await self._fetch_unless_just_tried()
        if self._age() >= USABLE_S:
            raise IssuerUnreachable(self.settings.issuer)
        return self._keys.get(kid)

    def lists(self, kid: str) -> bool:
        """Whether the key was the issuer's when it was last asked."""
        return kid in self._keys

    def principal(self, env: Env, claims: Mapping[str, Any], standard: Standard) -> Principal:
        """Our view of a verified token's claims: only scopes and accounts we know are taken."""
        settings = self.settings
        if standard.env is not None and standard.env != env.value:
            raise Flaw("the token is of another environment")
        accounts = texts(_claim(claims, settings.accounts_claim) or [], " ")
        tenant = settings.tenant if settings.tenant_claim is None else _claim(claims, settings.tenant_claim)
        client = next((claims[name] for name in settings.client_claims if name in claims), None)
        if not isinstance(tenant, str) or not tenant or not isinstance(client, str) or not client:
            raise Flaw("the token lacks a claim, or one has the wrong form")
        is_strong = standard.acr in settings.strong_acr and standard.sub != client
        return Principal(
            env=env,
            tenant=tenant,
            client_id=_client_id(settings.name, client, standard),
            subject=f"{settings.name}:{standard.sub}",
            scopes=self._scopes(claims),
            accounts=frozenset(AccountId(a) for a in accounts if is_account_id(env, a)),
            expires_at=standard.exp,
            token_id=f"{settings.name}:{standard.jti}",
            auth_time=standard.auth_time if is_strong else None,
            acr=standard.acr,
            bound_to=standard.bound_to(),
        )

    def _scopes(self, claims: Mapping[str, Any]) -> frozenset[Scope]:
        settings = self.settings
        if settings.roles_claim is None:
            given = texts(claims.get("scope", claims.get("scp", [])), " ")
            return frozenset(Scope(scope) for scope in given & _SCOPES)
        roles = texts(_claim(claims, settings.roles_claim) or [], " ")
        return frozenset[Scope]().union(*(settings.roles.get(role, frozenset()) for role in roles))

    def _age(self) -> float:
        return self._clock.monotonic() - self._fetched_at

    async def _fetch_unless_just_tried(self) -> None:
        now = self._clock.monotonic()
        if now < self._next_try_at:
            return
        self._next_try_at = now + RETRY_S
        try:
            async with asyncio.timeout(2 * TIMEOUT_S):
                self._keys = await self._fetch()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, TimeoutError) as error:
            _log.warning("issuer.unreachable", issuer=self.settings.issuer, reason=str(error))
            return
        self.fetches += 1
        self._fetched_at = self._clock.monotonic()
        self._next_try_at = self._fetched_at + COOL_DOWN_S
        _log.info("issuer.keys_fetched", issuer=self.settings.issuer, keys=len(self._keys))

    async def _fetch(self) -> dict[str, VerifyKey]:
        issuer = self.settings.issuer
        document = await self._document(issuer.rstrip("/") + "/.well-known/openid-configuration")
        if document.get("issuer") != issuer:
            raise ValueError("the discovery document names another issuer")
        where = document.get("jwks_uri")
        if not isinstance(where, str):
            raise ValueError("the discovery document names no key set")
        check_url(where)
        if is_loopback(where) and not is_loopback(issuer):
            raise ValueError("the issuer's key set cannot be on this machine")
        listed = (await self._document(where)).get("keys")
        if not isinstance(listed, list) or len(listed) > KEYS_MAX:
            raise ValueError("the key set has the wrong form")
        keys = [verify_key(jwk) for jwk in listed if isinstance(jwk, dict)]
        return {key.kid: key for key in keys if key is not None}

    async def _document(self, url: str) -> dict[str, Any]:
        """A JSON object from the URL, of bounded size; a redirect is an error."""
        body = bytearray()
        # Not compressed, so that what we count is what we get.
        asked = {"accept": "application/json", "accept-encoding": "identity"}
        request = self._http.stream("GET", url, headers=asked, timeout=TIMEOUT_S, follow_redirects=False)
        async with request as response:
            if response.status_code != 200:
                raise ValueError(f"answered {response.status_code}")
            if response.headers.get("content-encoding", "identity") != "identity":
                raise ValueError("the document is compressed")
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > DOCUMENT_BYTES_MAX:
                    raise ValueError("the document is too large")
        try:
            document = json.loads(body)
        except RecursionError:
            raise ValueError("the document is nested too deeply") from None
        if not isinstance(document, dict):
            raise ValueError("the document is not an object")
        return document


def _client_id(name: str, client: str, standard: Standard) -> str:
    """People are told apart also where they use one program; who has logged in is one."""
    return f"{name}:{client}" if standard.auth_time is None else f"{name}:{client}:{standard.sub}"


def _claim(claims: Mapping[str, Any], path: str) -> object:
    """A claim by its name, or by a path of names; a name with dots in it comes first."""
    if path in claims:
        return claims[path]
    value: object = claims
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value
