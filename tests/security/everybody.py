"""Who is on the floor: two tenants, people and programs of every role, and every state of their tokens.

Of the tenant `acme` there are the accounts MINE and SISTER, of `zeta` there is THEIRS. For every role
there is a person of acme who has it, and a client of the same name: on MINE alone, and those whose duty is
the whole tenant in all of it. People use the program `app`.
"""

from __future__ import annotations

from itertools import count
from typing import Any, Final

from ordergate.core.access import TWO_FACTORS, Role, Scope
from ordergate.core.ids import AccountId, Env
from ordergate.core.tenancy import AccountPlace, Assignment, Reach
from ordergate.security.clients import Client
from ordergate.security.memory import MemoryStore
from ordergate.security.people.memory import MemoryPeople
from ordergate.security.people.totp import Totp
from ordergate.security.persons import Person
from ordergate.security.profile import profile
from ordergate.security.service import Security, start
from tests.engine.stage import HandClock
from tests.security.inside import CERTIFICATE
from tests.security.world import FACTOR_KEY, LIVE_URL, PAPER_URL, forge, keys_of, other_key, own_key

OWN, SISTER, THEIRS = "own", "sister", "theirs"
OF_TENANT: Final = frozenset({Role.COMPLIANCE, Role.ADMINISTRATOR})
"""Whose duty is the whole tenant."""

ORIGIN: Final = "https://desk.example"
APP: Final = "app"
READS: Final = frozenset({Scope.ACCOUNTS_READ})
HASH: Final = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$aGFzaA"


class Everybody:
    """The identity of a gateway. `open_identity` comes first."""

    def __init__(self, env: Env, *, base_url: str | None = None, clock: HandClock | None = None) -> None:
        self.env = env
        self.base_url = base_url or (PAPER_URL if env is Env.PAPER else LIVE_URL)
        letter = env.letter
        self.accounts = {
            OWN: AccountId(f"{letter}-MINE"),
            SISTER: AccountId(f"{letter}-SISTER"),
            THEIRS: AccountId(f"{letter}-THEIRS"),
        }
        self.tenant_of = {OWN: "acme", SISTER: "acme", THEIRS: "zeta"}
        self.clock = clock or HandClock()
        self.store = MemoryStore(env)
        self.people = MemoryPeople(env, self.store)
        self._keys = count(1)

    def has(self, role: Role, target: str) -> bool:
        """Whether the role was given where the target is."""
        return target == OWN or (target == SISTER and role in OF_TENANT)

    async def open_identity(self) -> None:
        places = [AccountPlace(account, self.tenant_of[one]) for one, account in self.accounts.items()]
        await self.store.place_accounts(places)
        for role in Role:
            await self._client(role.value, "acme", self.accounts.values())
            reach = Reach.TENANT if role in OF_TENANT else Reach.ACCOUNT
            of = "" if role in OF_TENANT else self.accounts[OWN]
            await self.store.assign(Assignment("acme", role.value, role, reach, of))
            person = Person(
                user_id=role.value,
                tenant="acme",
                password_hash=HASH,
                totp=Totp(self.env, FACTOR_KEY).fresh(role.value)[0],
                scopes=frozenset(Scope),
                accounts=frozenset(self.accounts.values()),
            )
            await self.people.put_person(person)
        await self._client(APP, "acme", self.accounts.values(), redirect_uris=(f"{ORIGIN}/back",))
        for target, account in self.accounts.items():
            await self._client(f"program-{target}", self.tenant_of[target], [account], READS)
        self.keys = keys_of(self.env, lambda: int(self.clock.now().timestamp()))
        self.profile = profile(self.env, self.base_url)
        self.security: Security = await start(
            self.profile,
            self.store,
            self.clock,
            people=self.people,
            totp=Totp(self.env, FACTOR_KEY),
            keys=self.keys,
        )
        self.own = await own_key(self.keys)

    async def _client(
        self,
        name: str,
        tenant: str,
        accounts: Any,
        scopes: frozenset[Scope] = frozenset(Scope),
        redirect_uris: tuple[str, ...] = (),
    ) -> None:
        await self.store.put_client(
            Client(
                client_id=name,
                tenant=tenant,
                secret_hash=HASH,
                scopes=scopes,
                accounts=frozenset(accounts),
                redirect_uris=redirect_uris,
            )
        )

    def claims(self, role: Role, **changes: Any) -> dict[str, Any]:
        """Of the person with that role, who has just logged in by two factors."""
        login = {"auth_time": int(self.clock.now().timestamp()), "acr": TWO_FACTORS}
        own = {"client_id": APP, "sid": f"login-of-{role.value}", **login}
        return self.claims_of_program(role, **{**own, **changes})

    def claims_of_program(self, role: Role, **changes: Any) -> dict[str, Any]:
        """Of the client with that role, which acts for nobody."""
        now = int(self.clock.now().timestamp())
        return {
            "iss": self.profile.issuer,
            "aud": self.profile.audience,
            "sub": role.value,
            "client_id": role.value,
            "scope": " ".join(scope.value for scope in Scope),
            "iat": now,
            "exp": now + 300,
            "jti": f"{role.value}-{next(self._keys)}",
            "env": self.env.value,
            "tenant": "acme",
            "acct": sorted(self.accounts.values()),
            "cnf": {"x5t#S256": CERTIFICATE},
            **changes,
        }

    def signed(self, claims: dict[str, Any], key: Any = None) -> str:
        header = {"alg": "ES256", "typ": "at+jwt", "kid": self.own.kid}
        return forge(header, claims, key or self.own.key)

    async def tokens(self, role: Role, other: Everybody) -> dict[str, str | None]:
        """Every state a token can be in, the good one last."""
        now = int(self.clock.now().timestamp())
        revoked = self.claims(role)
        await self.security.directory.revoke(revoked["jti"], revoked["exp"])
        return {
            "none": None,
            "expired": self.signed(self.claims(role, iat=now - 600, exp=now - 300)),
            "wrong audience": self.signed(self.claims(role, aud="https://elsewhere.example/paper")),
            "revoked": self.signed(revoked),
            "foreign issuer": self.signed(self.claims(role, iss="https://idp.example"), other_key()),
            "other environment": other.signed(other.claims(role)),
            "good": self.signed(self.claims(role)),
        }
