"""A small world with a settable clock, a store and a whole Security in it."""

import asyncio
import base64
import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import ECKey, Key, KeySet, OKPKey
from joserfc.jws import JWSRegistry

from ordergate.core.access import Principal, Scope
from ordergate.core.ids import AccountId, Env
from ordergate.core.refusals import Refusal
from ordergate.ports.identity import Shown
from ordergate.ports.keys import Purpose
from ordergate.security.authorization_server import Noted
from ordergate.security.clients import Client, ClientStore
from ordergate.security.dpop import Proofs, hash_of
from ordergate.security.external import ExternalIssuer
from ordergate.security.keys.software import SoftKey, SoftwareKeys, p256
from ordergate.security.memory import MemoryStore
from ordergate.security.oauth_requests import ASSERTION_TYPE, Answer, Received
from ordergate.security.passkeys import PeopleStore
from ordergate.security.people.breaches import BreachedPasswords
from ordergate.security.people.memory import MemoryPeople
from ordergate.security.people.totp import Totp
from ordergate.security.profile import Profile, profile
from ordergate.security.senders import Senders
from ordergate.security.service import Security, start
from ordergate.security.signed_requests import Note
from ordergate.security.signing import published_key
from ordergate.telemetry.secret import Secret

START: Final = datetime(2025, 6, 2, 13, 30, tzinfo=UTC)
PAPER_URL: Final = "http://127.0.0.1:8080"
LIVE_URL: Final = "https://gateway.example"
PEER: Final = "127.0.0.1"
FACTOR_KEY: Final = bytes(range(32))

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
        self.key = other_key()
        self.holder = other_key()
        letter = profile.env.letter
        self.accounts = frozenset({AccountId(f"{letter}-alpha"), AccountId(f"{letter}-beta")})

    @property
    def bearer(self) -> Any:
        return self.security.bearer

    async def ask(
        self,
        path: str,
        parameters: dict[str, str],
        *,
        basic: tuple[str, str] | None = None,
        peer: str = PEER,
        proof: str | None = None,
        certificate: str | None = None,
    ) -> Answer:
        headers = {"content-type": "application/x-www-form-urlencoded"}
        if basic is not None:
            encoded = base64.b64encode(f"{basic[0]}:{basic[1]}".encode()).decode()
            headers["authorization"] = f"Basic {encoded}"
        if proof is not None:
            headers["dpop"] = proof
        body = urlencode(parameters).encode()
        return await self.send(path, body, headers, peer=peer, certificate=certificate)

    async def send(
        self,
        path: str,
        body: bytes,
        headers: dict[str, str],
        *,
        peer: str = PEER,
        certificate: str | None = None,
        query: str = "",
    ) -> Answer:
        endpoint = next(e for e in self.security.endpoints() if e.path == path)
        received = Received(
            method=endpoint.method,
            path=path,
            query=query,
            headers=headers,
            body=body,
            peer=peer,
            certificate=certificate,
        )
        return await endpoint.call(received)

    @property
    def scopes(self) -> frozenset[Scope]:
        return SCOPES

    @property
    def senders(self) -> Senders:
        """What decides about senders, for another verifier of the same process."""
        clock = self.clock
        proofs = Proofs(self.profile.issuer, lambda: clock.now().timestamp(), clock.monotonic)
        return Senders(self.profile, proofs)

    def login(self) -> dict[str, Any]:
        """How `desk` proves itself: with its secret, and in live with its key."""
        if self.profile.env is Env.PAPER:
            return {"basic": ("desk", self.secret.reveal())}
        return {"parameters": self.asserted()}

    def asserted(self, key: Key | None = None, **changes: Any) -> dict[str, str]:
        """The parameters with which a client of keys proves itself."""
        now = self.clock.epoch
        claims = {
            "iss": "desk",
            "sub": "desk",
            "aud": self.profile.issuer,
            "jti": secrets.token_urlsafe(12),
            "iat": now,
            "exp": now + 60,
            **changes,
        }
        kept = {name: value for name, value in claims.items() if value is not None}
        assertion = forge({"alg": "ES256", "kid": "desk-1"}, kept, key or self.key)
        return {
            "client_id": "desk",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        }

    async def ask_for_token(
        self, *, proof: str | None = None, certificate: str | None = None, **parameters: str
    ) -> Answer:
        login = self.login()
        asked = {"grant_type": "client_credentials", **parameters, **login.pop("parameters", {})}
        return await self.ask("/oauth/token", asked, proof=proof, certificate=certificate, **login)

    async def token(self, *, bound: bool | None = None, **parameters: str) -> str:
        """A token of `desk`; bound to `holder`, which it always is in live."""
        bound = self.profile.env is Env.LIVE if bound is None else bound
        proof = self.proof("POST", "/oauth/token") if bound else None
        answer = await self.ask_for_token(proof=proof, **parameters)
        assert answer.status == 200, answer.body
        token: str = json.loads(answer.body)["access_token"]
        return token

    def proof(
        self,
        method: str = "POST",
        path: str = "/v1/orders",
        token: str | None = None,
        *,
        key: Key | None = None,
        header: dict[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """A good proof of `holder`'s, changed; a change to None takes the claim away."""
        key = key or self.holder
        claims = {
            "jti": secrets.token_urlsafe(12),
            "htm": method,
            "htu": self.profile.issuer + path,
            "iat": self.clock.epoch,
            "nonce": self.bearer.nonce(),
            "ath": None if token is None else hash_of(token),
            **changes,
        }
        head = {"typ": "dpop+jwt", "alg": "ES256", "jwk": key.as_dict(private=False), **(header or {})}
        kept = {name: value for name, value in claims.items() if value is not None}
        return forge({name: value for name, value in head.items() if value is not None}, kept, key)

    async def present(self, token: str) -> Principal | Refusal:
        """What becomes of the token, sent as its binding wants it."""
        if self.profile.env is Env.PAPER:
            paper: Principal | Refusal = await self.bearer.authenticate(token)
            return paper
        shown = Shown(dpop=True, method="POST", path="/v1/orders", proof=self.proof(token=token))
        live: Principal | Refusal = await self.bearer.authenticate(token, shown)
        return live

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
            "cnf": {"jkt": self.holder.thumbprint()} if self.profile.env is Env.LIVE else None,
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
    people: PeopleStore | None = None,
    keys: SoftwareKeys | None = None,
    base_url: str | None = None,
    issuers: tuple[ExternalIssuer, ...] = (),
    noted: Noted | None = None,
    signed: Note | None = None,
    programs_step_up: bool = False,
    breached: BreachedPasswords | None = None,
) -> World:
    clock = clock or SetClock()
    store = store or MemoryStore(env)
    people = people or MemoryPeople(env, store if isinstance(store, MemoryStore) else MemoryStore(env))
    totp = Totp(env, FACTOR_KEY)
    keys = keys or keys_of(env, lambda: clock.epoch)
    described = profile(env, base_url or (PAPER_URL if env is Env.PAPER else LIVE_URL))
    security = await start(
        described,
        store,
        clock,
        people=people,
        totp=totp,
        keys=keys,
        issuers=issuers,
        noted=noted,
        signed=signed,
        programs_step_up=programs_step_up,
        breached=breached,
    )
    made = World(security, described, keys, await own_key(keys), store=store, clock=clock)
    if env is Env.LIVE:
        await security.directory.put_client(with_key(made, made.key))
    else:
        made.secret = await security.register("desk", tenant="acme", scopes=SCOPES, accounts=made.accounts)
    return made


def with_key(here: World, key: ECKey | OKPKey, **changes: Any) -> Client:
    """The client `desk` as one that proves itself with a key."""
    jwk = {**key.as_dict(private=False), "kid": "desk-1"}
    described = {"tenant": "acme", "scopes": SCOPES, "accounts": here.accounts, **changes}
    return Client(client_id="desk", keys=json.dumps({"keys": [jwk]}), **described)


def keys_of(env: Env, now: Callable[[], int]) -> SoftwareKeys:
    """Keys in memory; those of live too, which the class refuses whoever asks for them."""
    keys = SoftwareKeys(Env.PAPER, now)
    keys.env = env
    return keys


async def own_key(keys: SoftwareKeys) -> OwnKey:
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
