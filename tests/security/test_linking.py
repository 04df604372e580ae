"""A user's brokerage account, linked by OAuth 2 at the venue: let in, refreshed once, taken back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from ordergate.brokers.alpaca.access import Bearer, paper
from ordergate.brokers.alpaca.client import AlpacaBroker
from ordergate.core.ids import AccountId, Env
from ordergate.core.refusals import Refusal
from ordergate.ports.broker import BrokerUnavailable
from ordergate.ports.keys import KeysUnavailable, Purpose
from ordergate.security.credentials import refreshing
from ordergate.security.credentials.desk import CredentialDesk, LoginInfo
from ordergate.security.credentials.documents import Document, OAuthTokens, written
from ordergate.security.credentials.grants import (
    Asking,
    BrokerAway,
    GrantRefused,
    Grants,
    GrantSettings,
)
from ordergate.security.credentials.refreshing import ALERT_BEFORE, REFRESH_BEFORE, RETRY_S, Refresher
from ordergate.security.credentials.slots import Credential, State
from ordergate.security.credentials.store import connected
from ordergate.security.sealing.envelope import About, Envelope, Sealed
from ordergate.security.sealing.rewrapping import rewrap
from ordergate.telemetry.secret import Secret
from ordergate.venue.server import Venue, running
from ordergate.venue.settings import AccountSettings, OAuthClient, VenueSettings
from ordergate.venue.words import Listing
from ordergate.wiring.gateway import migrate_all
from ordergate.wiring.system import SystemChance, SystemClock
from tests.security.world import SetClock, keys_of

REDIRECT: Final = "http://127.0.0.1:8799/linked"
APPLICATION: Final = OAuthClient(id="ordergate", secret="canary-application", redirect_uris=(REDIRECT,))
USER: Final = AccountSettings(id="alice", key="alice-key", secret="canary-alice")
TOKEN_S: Final = 3_600


class Real(SetClock):
    """A clock that begins now and is moved by hand."""

    def __init__(self) -> None:
        super().__init__()
        self._began = datetime.now(UTC)

    def now(self) -> datetime:
        return self._began + timedelta(seconds=self.passed)


class Place:
    """A venue with an OAuth face, and an office that links accounts of it."""

    def __init__(self, venue: Venue, stack: AsyncExitStack) -> None:
        self.venue = venue
        self.clock = Real()
        self.chance = SystemChance()
        self.grants = self.application()
        self._stack = stack

    def application(self, **changes: Any) -> Grants:
        described: dict[str, Any] = {
            "base_url": self.venue.base_url,
            "client_id": APPLICATION.id,
            "client_secret": lambda: Secret(APPLICATION.secret),
            "redirect_uri": REDIRECT,
        }
        return Grants(GrantSettings(**(described | changes)), self.clock, self.chance)

    async def office(self, dsn: str) -> None:
        await migrate_all(dsn)
        self.keys = keys = keys_of(Env.PAPER, lambda: self.clock.epoch)
        await keys.rotate(Purpose.SECRETS)
        self.store = await self._stack.enter_async_context(connected(Env.PAPER, dsn))
        self.envelope = envelope = Envelope(keys, self.clock.monotonic)
        self.desk = CredentialDesk(
            Env.PAPER,
            self.store,
            envelope,
            {"venue": LoginInfo(tenant="acme", accounts=("P-ONE",))},
            probe=lambda _, document: opened(self.venue, document),
            clock=self.clock,
            chance=self.chance,
        )
        self.refresher = Refresher(self.store, envelope, self.desk, {"venue": self.grants}, self.clock)

    async def linked(self) -> Credential:
        asking = self.grants.ask()
        state, code = await consent(asking)
        tokens = await self.grants.redeem(asking, state, code)
        row = await self.desk.begin("venue", tokens)
        assert isinstance(row, Credential), row
        return row

    async def in_use(self) -> Credential:
        row = (await self.desk.slots("venue")).in_use
        assert row is not None
        return row

    async def tokens(self) -> OAuthTokens:
        document = await self.desk.open(await self.in_use())
        assert isinstance(document, OAuthTokens)
        return document


async def opened(venue: Venue, document: Document) -> str:
    """The account that a token opens, asked as the gateway's adapter asks."""
    assert isinstance(document, OAuthTokens)
    access = paper(Bearer(Env.PAPER, document.access_token), trading_url=venue.base_url)
    broker = AlpacaBroker(access, AccountId("P-ONE"), clock=SystemClock(), chance=SystemChance())
    try:
        return (await broker.account()).fingerprint
    finally:
        await broker.close()


async def consent(
    asking: Asking, *, secret: str = USER.secret, decision: str = "allow"
) -> tuple[str, Secret]:
    """What a user does at the broker's page; the state and the code of the answer."""
    async with httpx.AsyncClient(timeout=20.0) as http:
        page = await http.get(asking.url)
        assert page.status_code == 200, page.text
        form = {"key": USER.key, "secret": secret, "decision": decision}
        answer = await http.post(asking.url, data=form)
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(REDIRECT)
    said = parse_qs(urlsplit(answer.headers["location"]).query)
    if "code" not in said:
        raise GrantRefused(said["error"][0])
    return said["state"][0], Secret(said["code"][0])


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    listing = Listing(
        symbol="AAPL", name="Apple", asset_class="us_equity", tick=Decimal("0.01"), lot=Decimal(1)
    )
    settings = VenueSettings(
        accounts=(USER,), listings=(listing,), oauth_clients=(APPLICATION,), oauth_token_s=TOKEN_S
    )
    async with AsyncExitStack() as stack:
        yield Place(await stack.enter_async_context(running(settings)), stack)


async def test_a_user_lets_the_gateway_in_and_takes_it_back(place: Place, database: str) -> None:
    await place.office(database)
    row = await place.linked()
    assert (row.kind, row.state) == ("oauth_tokens", State.ACTIVE)
    tokens = await place.tokens()
    assert await opened(place.venue, tokens)
    assert row.expires_at is not None

    gone = await place.desk.unlink("venue", place.grants.revoke)
    assert isinstance(gone, Credential)
    assert (gone.state, gone.sealed) == (State.REVOKED, None)
    with pytest.raises(BrokerUnavailable):
        await opened(place.venue, tokens)
    assert isinstance(await place.desk.unlink("venue", place.grants.revoke), Refusal)


async def test_a_token_is_refreshed_in_time_and_the_old_one_is_worth_nothing_as_a_second_try(
    place: Place, database: str
) -> None:
    await place.office(database)
    row, before = await place.linked(), await place.tokens()
    linked = await place.in_use()
    assert not await place.refresher.look(row)

    place.clock.advance(TOKEN_S - REFRESH_BEFORE.total_seconds() + 1)
    assert await place.refresher.look(row)

    after = await place.tokens()
    assert after.access_token != before.access_token
    assert await opened(place.venue, after)
    fresh = await place.in_use()
    assert fresh.changed_at > linked.changed_at, "its age begins anew"
    assert not await place.refresher.look(fresh)
    with pytest.raises(GrantRefused, match="invalid_grant"):
        await place.grants.refresh(before)
    with pytest.raises(BrokerUnavailable):
        await opened(place.venue, after)  # a refresh token used twice ends the whole grant


async def test_ten_owners_at_once_refresh_once(place: Place, database: str) -> None:
    await place.office(database)
    row = await place.linked()
    place.clock.advance(TOKEN_S - 60)
    others = [
        Refresher(place.store, place.desk._envelope, place.desk, {"venue": place.grants}, place.clock)
        for _ in range(10)
    ]

    refreshed = await asyncio.gather(*(one.look(row) for one in others))

    assert sum(refreshed) == 1
    assert await opened(place.venue, await place.tokens())


async def test_a_rotation_of_keys_while_the_broker_answers_loses_no_grant(
    place: Place, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is stored is wrapped anew by another just then: the same grant, whose last token is spent."""
    await place.office(database)
    row = await place.linked()
    place.clock.advance(55 * 60)
    ask = place.grants.refresh

    async def meanwhile(document: OAuthTokens) -> OAuthTokens:
        fresh = await ask(document)
        await place.keys.rotate(Purpose.SECRETS)
        assert (await rewrap(place.keys, place.envelope, place.store)).done == 1
        return fresh

    monkeypatch.setattr(place.grants, "refresh", meanwhile)
    before = await place.tokens()

    assert await place.refresher.look(row)

    after = await place.tokens()
    assert after.refresh_token != before.refresh_token
    monkeypatch.undo()
    await place.grants.refresh(after)  # it is the one that the broker takes
    assert (await rewrap(place.keys, place.envelope, place.store)).left == 0


async def test_a_key_service_that_is_away_for_a_moment_loses_no_grant(
    place: Place, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.office(database)
    row = await place.linked()
    place.clock.advance(55 * 60)
    before, seal, tries = await place.tokens(), place.envelope.seal, iter([True, True, False])

    async def sometimes(secret: Secret, about: About) -> Sealed:
        if next(tries):
            raise KeysUnavailable("away")
        return await seal(secret, about)

    async def at_once(seconds: float) -> None:
        assert seconds == refreshing.KEEP_PAUSE_S

    monkeypatch.setattr(place.envelope, "seal", sometimes)
    monkeypatch.setattr(place.clock, "sleep", at_once, raising=False)

    assert await place.refresher.look(row)
    assert (await place.tokens()).refresh_token != before.refresh_token


async def test_what_was_linked_anew_while_the_broker_answered_is_not_overwritten(
    place: Place, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.office(database)
    row = await place.linked()
    place.clock.advance(55 * 60)
    other = OAuthTokens(Secret("another"), Secret("of another grant"), place.clock.epoch + 3600)

    async def meanwhile(document: OAuthTokens) -> OAuthTokens:
        assert row.sealed is not None
        sealed = await place.envelope.seal(written(other), row.about())
        assert await place.store.reseal(row.row_id, row.sealed, sealed)
        return OAuthTokens(Secret("fresh"), Secret("fresh"), place.clock.epoch + 3600)

    monkeypatch.setattr(place.grants, "refresh", meanwhile)

    assert not await place.refresher.look(row)
    assert await place.tokens() == other


async def test_what_cannot_be_refreshed_is_told_before_it_runs_out(
    place: Place, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.office(database)
    row = await place.linked()
    told: list[tuple[str, Any]] = []
    heard = SimpleNamespace(
        warning=lambda event, **fields: told.append(("warning", fields["left_s"])),
        error=lambda event, **fields: told.append(("error", fields["left_s"])),
    )
    monkeypatch.setattr(refreshing, "_log", heard)

    async def away(*_: object) -> OAuthTokens:
        raise BrokerAway("away")

    monkeypatch.setattr(place.grants, "refresh", away)
    place.clock.advance(TOKEN_S - REFRESH_BEFORE.total_seconds() + 1)
    for _ in range(3):
        assert not await place.refresher.look(row)
    assert [level for level, _ in told] == ["warning"]
    place.clock.advance(RETRY_S + (REFRESH_BEFORE - ALERT_BEFORE).total_seconds())
    assert not await place.refresher.look(row)
    assert [level for level, _ in told] == ["warning", "error"]
    assert told[-1][1] > 0


async def test_what_is_no_consent_links_nothing(place: Place) -> None:
    asking = place.grants.ask()
    with pytest.raises(GrantRefused, match="access_denied"):
        await consent(asking, decision="deny")
    with pytest.raises(GrantRefused, match="access_denied"):
        await consent(asking, secret="wrong")


async def test_a_code_is_good_once_for_the_one_who_asked(place: Place) -> None:
    asking, other = place.grants.ask(), place.grants.ask()
    state, code = await consent(asking)
    with pytest.raises(GrantRefused, match="another question"):
        await place.grants.redeem(other, state, code)
    with pytest.raises(GrantRefused, match="invalid_grant"):
        await place.grants.redeem(other, other.state, code)  # without the verifier it belongs to
    with pytest.raises(GrantRefused, match="invalid_grant"):
        await place.grants.redeem(asking, state, code)  # and by then it is spent

    state, code = await consent(asking)
    assert await opened(place.venue, await place.grants.redeem(asking, state, code))
    with pytest.raises(GrantRefused, match="invalid_grant"):
        await place.grants.redeem(asking, state, code)


async def test_an_application_that_is_not_registered_gets_nothing(place: Place) -> None:
    asking = place.grants.ask()
    state, code = await consent(asking)
    stranger = place.application(client_secret=lambda: Secret("wrong"))
    with pytest.raises(GrantRefused, match="invalid_client"):
        await stranger.redeem(asking, state, code)
    elsewhere = place.application(redirect_uri="http://127.0.0.1:1/").ask()
    async with httpx.AsyncClient(timeout=20.0) as http:
        assert (await http.get(elsewhere.url)).status_code == 400


@pytest.mark.parametrize(
    "changes",
    [{"base_url": "http://broker.example"}, {"redirect_uri": "http://a.example/"}],
)
def test_a_place_that_is_neither_encrypted_nor_this_machine_is_refused(changes: dict[str, str]) -> None:
    described = {"base_url": "https://broker.example", "redirect_uri": REDIRECT} | changes
    with pytest.raises(ValueError, match="https"):
        GrantSettings(client_id="x", client_secret=lambda: Secret("s"), **described)


async def test_a_broker_that_is_away_is_not_a_refusal(place: Place) -> None:
    nobody = place.application(base_url="http://127.0.0.1:9")
    tokens = OAuthTokens(Secret("a"), Secret("r"), 0)
    with pytest.raises(BrokerAway):
        await nobody.refresh(tokens)
