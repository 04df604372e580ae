"""The parts of identity put together: what a process starts, asks and keeps running."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import msgspec

from ordergate.core.access import Scope
from ordergate.core.ids import AccountId
from ordergate.ports.clock import Clock
from ordergate.ports.keys import Keys, KeysRefused, KeysUnavailable
from ordergate.security.authorization_server import AuthorizationServer, Endpoint, Noted
from ordergate.security.bearer import Bearer
from ordergate.security.clients import Client, ClientStore, StoreUnavailable
from ordergate.security.directory import Directory
from ordergate.security.dpop import Proofs
from ordergate.security.external import ExternalIssuer
from ordergate.security.grant_desk import GrantDesk
from ordergate.security.hashing import hash_secret, new_secret
from ordergate.security.metadata import AUTHORIZE
from ordergate.security.passkeys import PeopleStore
from ordergate.security.people.breaches import BreachedPasswords
from ordergate.security.people.ceremonies import party_of
from ordergate.security.people.entrance import Entrance
from ordergate.security.people.factors import Factors
from ordergate.security.people.login import Login
from ordergate.security.people.passkey_login import PasskeyLogin
from ordergate.security.people.password_change import PasswordChange
from ordergate.security.people.totp import Totp
from ordergate.security.persons import LIFE_S
from ordergate.security.profile import Profile
from ordergate.security.pushed import Requests
from ordergate.security.senders import Senders
from ordergate.security.signed_requests import Note, SignedRequests
from ordergate.security.signing import Signer
from ordergate.telemetry import log
from ordergate.telemetry.secret import Secret

FOLLOW_S = 5.0
ROTATION_CHECKS = 720  # of so many looks, one asks whether the key is due

_log = log.logger("security")


class Security(msgspec.Struct, frozen=True, kw_only=True):
    """`bearer` is the Identity of ports; `endpoints()` is what the API mounts."""

    directory: Directory
    signer: Signer
    bearer: Bearer
    signatures: SignedRequests
    server: AuthorizationServer
    login: Login
    passkeys: PasskeyLogin
    passwords: PasswordChange
    people: PeopleStore
    clock: Clock

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Every route of the authorization server, those of people included."""
        login, passkeys, passwords = self.login, self.passkeys, self.passwords
        of_people = (
            (AUTHORIZE, "GET", "Ask a person", login.authorize),
            ("/oauth/login", "POST", "Who the person is", login.login),
            ("/oauth/consent", "POST", "What they allow", login.consent),
            ("/oauth/passkey", "POST", "Ask for a passkey", passkeys.begin),
            ("/oauth/passkey/login", "POST", "Who the person is, by a passkey", passkeys.login),
            ("/oauth/passkey/new", "POST", "Offer to make a passkey", passkeys.offer),
            ("/oauth/passkey/keep", "POST", "Keep a new passkey", passkeys.keep),
            ("/oauth/passkey.js", "GET", "What the pages of passkeys run", passkeys.script),
            ("/oauth/password", "POST", "Ask for a new password", passwords.begin),
            ("/oauth/password/passkey", "POST", "Ask for a passkey with it", passwords.begin_with_passkey),
            ("/oauth/password/keep", "POST", "Keep a new password", passwords.keep),
        )
        return (
            *self.server.endpoints(),
            *(
                Endpoint(path=path, method=method, summary=summary, call=call)
                for path, method, summary, call in of_people
            ),
        )

    async def run(self) -> None:
        """Keep knowledge fresh and keys young, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.directory.run(), name="security.directory")
            tasks.create_task(self._keep_keys(), name="security.keys")

    async def register(
        self, client_id: str, *, tenant: str, scopes: Iterable[Scope], accounts: Iterable[AccountId]
    ) -> Secret:
        """Add a client, or replace one and its secret. The secret is shown this once."""
        secret = new_secret()
        client = Client(
            client_id=client_id,
            tenant=tenant,
            secret_hash=await asyncio.to_thread(hash_secret, secret),
            scopes=frozenset(scopes),
            accounts=frozenset(accounts),
        )
        await self.directory.put_client(client)
        return secret

    async def _keep_keys(self) -> None:
        looks = 0
        while True:
            try:
                await self.signer.follow()
                if looks % ROTATION_CHECKS == 0:
                    await self.signer.keep_young()
            except (StoreUnavailable, KeysUnavailable, KeysRefused) as error:
                _log.warning("signing_key.not_rotated", reason=str(error))
            if looks % ROTATION_CHECKS == 0:
                await self._forget_grants()
            looks += 1
            await self.clock.sleep(FOLLOW_S)

    async def _forget_grants(self) -> None:
        try:
            await self.people.prune_grants(int(self.clock.now().timestamp()) - 2 * LIFE_S)
        except StoreUnavailable as error:
            _log.warning("grants.not_pruned", reason=str(error))


async def start(
    profile: Profile,
    store: ClientStore,
    clock: Clock,
    *,
    people: PeopleStore,
    totp: Totp,
    keys: Keys,
    issuers: Sequence[ExternalIssuer] = (),
    noted: Noted | None = None,
    signed: Note | None = None,
    programs_step_up: bool = False,
    breached: BreachedPasswords | None = None,
) -> Security:
    """Read the store, publish the keys, and be ready to answer. Raises StoreUnavailable,
    KeysUnavailable and KeysRefused.
    """
    directory = Directory(profile.env, store, clock)
    await directory.refresh()
    signer = Signer(profile, keys, directory, clock)
    await signer.publish()
    proofs = Proofs(profile.issuer, lambda: clock.now().timestamp(), clock.monotonic)
    senders = Senders(profile, proofs)
    bearer = Bearer(profile, directory, clock, senders, issuers=issuers, programs_step_up=programs_step_up)
    requests = Requests(clock.monotonic)
    grants = GrantDesk(profile, directory, people, requests, clock)
    server = AuthorizationServer(
        profile, directory, signer, bearer, senders, clock=clock, grants=grants, noted=noted
    )
    party = party_of(profile)
    entrance = Entrance(profile, directory, clock, passkeys=party is not None)
    factors = Factors(directory, totp, clock, breached)
    login = Login(entrance, people, requests=requests, factors=factors, clock=clock)
    passkeys = PasskeyLogin(entrance, party, people, clock=clock)
    passwords = PasswordChange(entrance, people, factors=factors, passkeys=passkeys, clock=clock)
    return Security(
        directory=directory,
        signer=signer,
        bearer=bearer,
        signatures=SignedRequests(profile, directory, clock, signed),
        server=server,
        login=login,
        passkeys=passkeys,
        passwords=passwords,
        people=people,
        clock=clock,
    )
