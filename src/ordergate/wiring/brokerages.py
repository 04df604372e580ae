"""Makes every login's adapters, and tells them of other credentials while they work.

The environment decides which hosts there are; `brokers/alpaca/access` checks. What a secret says is seen here
only on its way into an adapter.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Generic

import msgspec

from ordergate.brokers._shared.hosts import ForeignHost
from ordergate.brokers.alpaca import access
from ordergate.brokers.alpaca.client import AlpacaBroker, AlpacaSettings, Lease
from ordergate.brokers.alpaca.prices import AlpacaPrices, Feed
from ordergate.core.ids import AccountId, E, Env, Live, Paper
from ordergate.ports.market_data import MarketData
from ordergate.security.credentials.documents import ApiKeys, Document
from ordergate.wiring.pins import context_of
from ordergate.wiring.settings import BrokerSettings, CannotStart, Settings
from ordergate.wiring.system import SystemChance, SystemClock

UNLIMITED_PER_MINUTE = 60_000_000


class Brokerages(Generic[E]):
    """One per gateway, all of its environment. `close` of every adapter is on the stack."""

    def __init__(
        self,
        env: E,
        settings: Settings,
        first: Mapping[str, access.Credentials[E]],
        *,
        clock: SystemClock,
        chance: SystemChance,
        stack: AsyncExitStack,
    ) -> None:
        self._env: E = env
        self._settings = settings
        self._clock = clock
        self._chance = chance
        self._stack = stack
        self._now: dict[str, access.Credentials[E]] = dict(first)
        self._brokers: dict[str, list[AlpacaBroker[E]]] = {login: [] for login in settings.brokers}
        self._feeds: dict[str, list[AlpacaPrices[E]]] = {login: [] for login in settings.brokers}

    def broker(self, account: AccountId) -> AlpacaBroker[E]:
        """Raises CannotStart."""
        name = self._settings.accounts[account].broker
        login = self._settings.brokers[name]
        tuned = AlpacaSettings(
            resend_is_safe=login.resend_is_safe,
            replace_keeps_fills=login.replace_keeps_fills,
            requests_per_minute=login.requests_per_minute or UNLIMITED_PER_MINUTE,
        )
        made = AlpacaBroker(
            access_of(login, self._env, self._now[name]),
            account,
            clock=self._clock,
            chance=self._chance,
            settings=tuned,
        )
        self._stack.push_async_callback(made.close)
        self._brokers[name].append(made)
        return made

    def prices(self) -> list[MarketData]:
        """Raises CannotStart."""
        sources: list[MarketData] = []
        for name, login in self._settings.brokers.items():
            allowed = access_of(login, self._env, self._now[name])
            for feed in login.prices:
                source = AlpacaPrices(
                    allowed, Feed(feed.feed), feed.symbols, clock=self._clock, chance=self._chance
                )
                self._stack.push_async_callback(source.close)
                self._feeds[name].append(source)
                sources.append(source)
        return sources

    def use(self, login: str, credentials: access.Credentials[E]) -> None:
        """From now on, in every adapter of the login."""
        self._now[login] = credentials
        for broker in self._brokers[login]:
            broker.use(credentials)
        for feed in self._feeds[login]:
            feed.use(credentials)

    def lease(self, login: str, lease: Lease) -> None:
        for broker in self._brokers[login]:
            broker.lease(lease)

    def earlier_in_use(self, login: str) -> bool:
        """Whether any adapter still uses credentials from before the last change."""
        brokers, feeds = self._brokers[login], self._feeds[login]
        return any(one.earlier_in_use for one in brokers) or any(one.earlier_in_use for one in feeds)


def access_of(login: BrokerSettings, env: E, credentials: access.Credentials[E]) -> access.Access[E]:
    """Where the login is. Raises CannotStart."""
    if login.kind != "alpaca":
        raise CannotStart(f"there is no broker of the kind {login.kind!r}; known: alpaca")
    tls = context_of(login.pins)
    if env is Env.LIVE:
        if login.url is not None:
            raise CannotStart("in live the broker's host follows from the environment: remove `url`")
        try:
            from ordergate.brokers.alpaca.live import live
        except ImportError as error:
            raise CannotStart("this installation is for paper: it does not know the live host") from error
        return msgspec.structs.replace(live(credentials), tls=tls)
    try:
        hosts = frozenset(login.allowed_hosts)
        found = access.paper(credentials, trading_url=login.url, allowed_hosts=hosts)
    except ForeignHost as error:
        raise CannotStart(str(error)) from error
    return msgspec.structs.replace(found, tls=tls)


def credentials_of(env: E, document: Document) -> access.Credentials[E]:
    """In the adapter's words."""
    if isinstance(document, ApiKeys):
        return access.Keys(env, document.key_id, document.secret_key)
    return access.Bearer(env, document.access_token)


def named_in(env: E, login: BrokerSettings) -> access.Keys[E]:
    """What the settings point at. Raises CannotStart. May ask the network."""
    assert login.key is not None
    assert login.secret is not None
    return access.Keys(env, login.key.read(), login.secret.read())


async def probe(
    settings: Settings, clock: SystemClock, chance: SystemChance, login: str, document: Document
) -> str:
    """Log in with a credential that nothing uses yet; which account it opens. Raises BrokerUnavailable."""
    env, its = settings.environment, settings.brokers[login]
    account = next(name for name, its in settings.accounts.items() if its.broker == login)
    broker: AlpacaBroker[Live] | AlpacaBroker[Paper]
    if env is Env.LIVE:  # of either branch mypy knows which it is
        asked = access_of(its, env, credentials_of(env, document))
        broker = AlpacaBroker(asked, account, clock=clock, chance=chance)
    else:
        practice = access_of(its, env, credentials_of(env, document))
        broker = AlpacaBroker(practice, account, clock=clock, chance=chance)
    try:
        return (await broker.account()).fingerprint
    finally:
        await broker.close()
