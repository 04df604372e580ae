"""A small world with a settable clock, a store and a whole Security in it."""

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import ECKey, Key, KeySet
from joserfc.jws import JWSRegistry

from ordergate.core.access import Scope
from ordergate.core.ids import AccountId, Env
from ordergate.ports.keys import Purpose
from ordergate.security.authorization_server import Noted
from ordergate.security.clients import ClientStore
from ordergate.security.external import ExternalIssuer
from ordergate.security.keys.software import SoftKey, SoftwareKeys, p256
from ordergate.security.memory import MemoryStore
from ordergate.security.oauth_requests import Answer
from ordergate.security.profile import Profile, profile
from ordergate.security.service import Security, start
from ordergate.security.signing import published_key
from ordergate.telemetry.secret import Secret

START: Final = datetime(2025, 6, 2, 13, 30, tzinfo=UTC)
PAPER_URL: Final = "http://127.0.0.1:8080"
LIVE_URL: Final = "https://gateway.example"
PEER: Final = "127.0.0.1"

SCOPES: Final = frozenset({Scope.ORDERS_READ, Scope.ORDERS_WRITE, Scope.ACCOUNTS_READ})


class SetClock:
    """Time stands still until a test moves it; sleepers wake when it has moved past them."""

    def __init__(self) -> None:
        self.passed = 0.0
        self._moved = asyncio.Condition()

    def now(self) -> datetime:
        return START + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return 1_000.0 + self.passed

    async def sleep(self, seconds: float) -> None:
        until = self.passed + seconds
        async with self._moved:
            await self._moved.wait_for(lambda: self.passed >= until)

    def advance(self, seconds: float) -> None:
        self.passed += seconds

    async def advance_and_wake(self, seconds: float) -> None:
        async with self._moved:
            self.advance(seconds)
            self._moved.notify_all()

    @property
    def epoch(self) -> int:
        return int(self.now().timestamp())


class OwnKey(NamedTuple):
    """The server's first signing key, private half and all, as a thief would have it."""

    kid: str
    key: ECKey


class World:
    """One process's identity, and a client called `desk` in it."""

    def __init__(
        self,
        security: Security,
        profile: Profile,
        keys: SoftwareKeys,
        own: OwnKey,
        *,
        store: ClientStore,
        clock: SetClock,
    ) -> None:
        self.security = security
        self.profile = profile
        self.keys = keys
        self.own = own
        self.store = store
        self.clock = clock
        self.secret = Secret("")
        letter = profile.env.letter
        self.accounts = frozenset({AccountId(f"{letter}-alpha"), AccountId(f"{letter}-beta")})

    @property
    def bearer(self) -> Any:
        return self.security.bearer

    async def ask(
        self, path: str, parameters: dict[str, str], *, basic: tuple[str, str] | None = None, peer: str = PEER
    ) -> Answer:
        endpoint = next(e for e in self.security.server.endpoints() if e.path == path)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if basic is not None:
            encoded = base64.b64encode(f"{basic[0]}:{basic[1]}".encode()).decode()
            headers["Authorization"] = f"Basic {encoded}"
        return await endpoint.call(urlencode(parameters).encode(), headers, peer)

    async def token(self, **parameters: str) -> str:
        """A token of `desk`."""
        answer = await self.ask(
            "/oauth/token",
            {"grant_type": "client_credentials", **parameters},
            basic=("desk", self.secret.reveal()),
        )
        assert answer.status == 200, answer.body
        token: str = json.loads(answer.body)["access_token"]
        return token

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a good token of `desk`, changed; a change to None takes the claim away."""
        now = self.clock.epoch
        claims = {
            "iss": self.profile.issuer,
            "aud": self.profile.audience,
            "sub": "desk",
            "client_id": "desk",
            "scope": "orders:write orders:read",
            "iat": now,
            "exp": now + 300,
            "jti": "token-0001",
            "env": self.profile.env.value,
            "tenant": "acme",
            "acct": [f"{self.profile.env.letter}-alpha"],
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def header(self, **changes: Any) -> dict[str, Any]:
        header = {"alg": "ES256", "typ": "at+jwt", "kid": self.own.kid, **changes}
        return {name: value for name, value in header.items() if value is not None}

    def sign(
        self, claims: dict[str, Any], header: dict[str, Any] | None = None, key: Key | None = None
    ) -> str:
        """A token signed with the server's own key, whatever it says."""
        return forge(header or self.header(), claims, key or self.own.key)


async def world(
    env: Env = Env.PAPER,
    *,
    clock: SetClock | None = None,
    store: ClientStore | None = None,
    keys: SoftwareKeys | None = None,
    base_url: str | None = None,
    issuers: tuple[ExternalIssuer, ...] = (),
    noted: Noted | None = None,
) -> World:
    clock = clock or SetClock()
    store = store or MemoryStore(env)
    described = profile(env, base_url or (PAPER_URL if env is Env.PAPER else LIVE_URL))
    keys = keys or keys_of(env, clock)
    security = await start(described, store, clock, keys=keys, issuers=issuers, noted=noted)
    made = World(security, described, keys, await _own(keys), store=store, clock=clock)
    made.secret = await security.register("desk", tenant="acme", scopes=SCOPES, accounts=made.accounts)
    return made


def keys_of(env: Env, clock: SetClock) -> SoftwareKeys:
    """Keys in memory; those of live too, which the class refuses whoever asks for them."""
    keys = SoftwareKeys(Env.PAPER, lambda: clock.epoch)
    keys.env = env
    return keys


async def _own(keys: SoftwareKeys) -> OwnKey:
    version = (await keys.describe(Purpose.TOKENS))[0]
    kept: SoftKey = keys._rings[Purpose.TOKENS][0]
    return OwnKey(published_key(version, None).kid, ECKey.import_key(p256(kept)))


def forge(header: dict[str, Any], claims: dict[str, Any], key: Key) -> str:
    """A JWT with exactly this header, signed by the key with the header's algorithm."""
    signed = f"{b64(json.dumps(header))}.{b64(json.dumps(claims))}"
    algorithm = JWSRegistry.algorithms[header["alg"]]
    return f"{signed}.{b64(algorithm.sign(signed.encode(), key))}"


def b64(value: str | bytes) -> str:
    raw = value.encode() if isinstance(value, str) else value
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def opened(token: str, jwks: bytes) -> jwt.Token:
    """The token as an independent verifier with only our key set sees it."""
    return jwt.decode(token, KeySet.import_key_set(json.loads(jwks)), algorithms=["ES256"])


def other_key() -> ECKey:
    return ECKey.generate_key("P-256", private=True)
