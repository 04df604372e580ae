"""A gateway in live, in memory, with people in it, to which the command line speaks over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from ordergate.api.app import ApiDeps
from ordergate.cli.loopback import REDIRECT
from ordergate.core.access import Scope, Sender
from ordergate.core.ids import Env
from ordergate.security.clients import Client
from ordergate.security.hashing import hash_secret
from ordergate.security.people.totp import Totp
from ordergate.security.persons import Person
from ordergate.telemetry.secret import Secret
from ordergate.wiring.gateway import mounted
from ordergate.wiring.serving import kept_port
from tests.api.served import serving
from tests.cli.asking import Said, ordergate
from tests.cli.browser import PASSWORD, Browser
from tests.engine.stage import HandClock
from tests.security.floor import OWN, Floor, floor
from tests.security.world import FACTOR_KEY

_HASH: Final = hash_secret(Secret(PASSWORD))


class Now(HandClock):
    """The engine's seconds pass by hand; what the command line signs is held against the true time."""

    ahead_s = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead_s)


class LiveDesk:
    def __init__(self, here: Floor, clock: Now, folder: Path) -> None:
        self.here = here
        self.clock = clock
        self.folder = folder
        self.account = str(here.accounts[OWN])

    def profile(self, name: str) -> Path:
        return self.folder / name / "client.json"

    async def person(self, name: str) -> Browser:
        """Somebody with two factors who may do everything on the account."""
        sealed, factor = Totp(Env.LIVE, FACTOR_KEY).fresh(name)
        person = Person(
            user_id=name,
            tenant="acme",
            password_hash=_HASH,
            totp=sealed,
            scopes=frozenset(Scope),
            accounts=frozenset({self.here.accounts[OWN]}),
        )
        await self.here.security.people.put_person(person)
        await self.here.security.directory.refresh()
        return Browser(name, factor.reveal(), now=lambda: self.clock.now().timestamp())

    async def register(self, name: str, *, people: bool = True) -> None:
        """What an administrator does with the public key that the program showed."""
        shown = self.profile(name).with_name("client.json.private") / "client.public.json"
        client = Client(
            client_id=f"cli-{name}",
            tenant="acme",
            scopes=frozenset(Scope),
            accounts=frozenset({self.here.accounts[OWN]}),
            keys=json.dumps(json.loads(shown.read_text(encoding="utf-8"))),
            redirect_uris=(REDIRECT,) if people else (),
            sender=Sender.DPOP if people else Sender.ANY,
        )
        await self.here.security.directory.put_client(client)

    async def ask(self, name: str, *words: str) -> Said:
        """A command of this person's, in this process, while the gateway answers."""
        return await asyncio.to_thread(ordergate, *words, "--profile", str(self.profile(name)))

    async def login(self, name: str, *words: str) -> Said:
        return await self.ask(
            name, "login", "--url", self.here.base_url, "--client", f"cli-{name}", "--json", *words
        )


def _with_logins(here: Floor) -> ApiDeps:
    """The floor has the endpoints of programs; here are people's pages too."""
    endpoints = tuple(mounted(endpoint) for endpoint in here.security.endpoints())
    return msgspec.structs.replace(here.deps, authorization=endpoints)


@asynccontextmanager
async def live_desk(folder: Path) -> AsyncIterator[LiveDesk]:
    clock = Now()
    with kept_port() as port:
        async with (
            floor(Env.LIVE, base_url=f"http://127.0.0.1:{port}", clock=clock) as here,
            serving(_with_logins(here), port=port),
        ):
            yield LiveDesk(here, clock, folder)
