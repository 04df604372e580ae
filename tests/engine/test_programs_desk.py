"""Keys of programs: what narrows holds at once, what widens takes a fresh login and, in live, two persons."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from ordergate.core.access import KeyBounds, Principal, Scope
from ordergate.core.approvals import Change, State
from ordergate.core.ids import AccountId, Env, Symbol
from ordergate.core.programs import OVERLAP_S_MAX, Program
from ordergate.core.refusals import Code, Refusal
from ordergate.core.tenancy import AccountPlace
from ordergate.engine.desks.programs_desk import Made, ProgramView
from ordergate.security.clients import Client, StoreUnavailable
from ordergate.security.hashing import matches
from tests.engine.access_house import AccessHouse
from tests.engine.stage import TRADER
from tests.security.world import other_key


def jwks(kid: str) -> str:
    return json.dumps({"keys": [{**other_key().as_dict(private=False), "kid": kid}]})


class House(AccessHouse):
    def __init__(self, env: Env) -> None:
        super().__init__(env)
        self.here = AccountId(f"{env.letter}-HERE")
        self.there = AccountId(f"{env.letter}-THERE")

    async def open(self) -> None:
        await super().open()
        self.desk = self.access.programs

    def person(self, name: str = "ann", ago_s: float = 0, **changes: Any) -> Principal:
        since = int(self.clock.now().timestamp() - ago_s)
        plain = msgspec.structs.replace(
            TRADER, env=self.env, accounts=frozenset({self.here}), subject=name, client_id=name
        )
        return msgspec.structs.replace(plain, auth_time=since, **changes)

    def program(self, **changes: Any) -> Program:
        whole = Program(
            client_id="bot",
            tenant="test",
            scopes=frozenset({Scope.ORDERS_READ}),
            accounts=frozenset({self.here}),
            keys=jwks("bot-1") if self.env is Env.LIVE else None,
        )
        return msgspec.structs.replace(whole, **changes)

    async def create(self, who: Principal | None = None, **changes: Any) -> Any:
        program = self.program(**changes)
        return await self.desk.create(who or self.person(), program, reason="new", correlation="t")

    async def approve(self, change: Change, who: str = "ben") -> Any:
        return await self.access.approve(self.person(who), change.id, reason="seen", correlation="t")

    async def widen(self, who: Principal | None = None, **changes: Any) -> Any:
        wanted = self.program(**{"scopes": frozenset({Scope.ORDERS_READ, Scope.ORDERS_WRITE}), **changes})
        return await self.desk.change(who or self.person(), wanted, reason="more", correlation="t")

    @property
    def bot(self) -> Client:
        found = self.book.client("bot")
        assert found is not None
        return found


@pytest.fixture(params=[Env.PAPER], ids=str)
async def house(request: pytest.FixtureRequest) -> AsyncIterator[House]:
    made = House(request.param)
    await made.store.place_accounts([AccountPlace(made.here, "test"), AccountPlace(made.there, "other")])
    await made.open()
    yield made
    await made.parts.stop()


in_live = pytest.mark.parametrize("house", [Env.LIVE], indirect=True, ids=str)


def code(answer: object) -> Code | None:
    return answer.code if isinstance(answer, Refusal) else None


async def test_a_new_program_gets_a_secret_that_is_told_once(house: House) -> None:
    made = await house.create()

    assert isinstance(made, Made)
    assert matches(house.bot.secret_hash, made.secret)
    assert made.secret.reveal() not in msgspec.json.encode(house.desk.listed(house.person())).decode()
    assert [one.client_id for one in house.desk.listed(house.person())] == ["bot"]
    assert code(await house.create()) is Code.CLIENT_EXISTS


async def test_a_program_that_brings_keys_gets_no_secret(house: House) -> None:
    made = await house.create(keys=jwks("bot-1"))

    assert isinstance(made, ProgramView)
    assert (made.key_ids, made.has_secret) == (("bot-1",), False)
    assert code(await house.desk.rotate(house.person(), "bot", overlap_s=0, reason="r")) is Code.KEY_REQUIRED


async def test_making_and_widening_take_a_login_of_a_moment_ago_and_narrowing_does_not(house: House) -> None:
    stale = house.person(ago_s=301)
    assert code(await house.create(stale)) is Code.STEP_UP_REQUIRED
    await house.create()
    assert code(await house.widen(stale)) is Code.STEP_UP_REQUIRED
    assert code(await house.desk.rotate(stale, "bot", overlap_s=0, reason="r")) is Code.STEP_UP_REQUIRED
    published = await house.desk.publish(stale, "bot", jwks("k"), reason="r", correlation="t")
    assert code(published) is Code.STEP_UP_REQUIRED

    narrowed = await house.widen(stale, scopes=frozenset(), bounds=KeyBounds(expires_at=9))
    assert isinstance(narrowed, ProgramView)
    assert house.bot.bounds == KeyBounds(expires_at=9)
    ended = await house.desk.disable(stale, "bot", reason="gone")
    assert isinstance(ended, ProgramView)
    assert not house.bot.enabled


async def test_a_wider_key_keeps_its_secret(house: House) -> None:
    made = await house.create()
    wider = await house.widen()

    assert isinstance(wider, ProgramView)
    assert Scope.ORDERS_WRITE in house.bot.scopes
    assert matches(house.bot.secret_hash, made.secret)
    assert code(await house.widen()) is Code.NOTHING_TO_CHANGE


async def test_a_change_of_bounds_does_not_let_a_disabled_program_in_again(house: House) -> None:
    await house.create()
    await house.desk.disable(house.person(), "bot", reason="gone")
    await house.widen()

    assert not house.bot.enabled
    assert code(await house.desk.disable(house.person(), "bot", reason="r")) is Code.NOTHING_TO_CHANGE


async def test_nobody_gives_a_program_more_than_they_hold(house: House) -> None:
    poor = house.person(scopes=frozenset({Scope.ACCESS_WRITE, Scope.ORDERS_READ}))
    bounded = house.person(bounds=KeyBounds(instruments=frozenset({Symbol("AAPL")})))
    assert code(await house.create(poor, scopes=frozenset({Scope.ORDERS_WRITE}))) is Code.FORBIDDEN
    assert code(await house.create(bounded)) is Code.FORBIDDEN
    assert code(await house.create(accounts=frozenset({house.there}))) is Code.NOT_FOUND
    await house.create(scopes=frozenset({Scope.ORDERS_WRITE}))
    assert code(await house.desk.rotate(poor, "bot", overlap_s=0, reason="r")) is Code.FORBIDDEN
    published = await house.desk.publish(poor, "bot", jwks("k"), reason="r", correlation="t")
    assert code(published) is Code.FORBIDDEN


async def test_a_replaced_secret_serves_until_its_end_and_no_third_one_does(house: House) -> None:
    first = await house.create()
    second = await house.desk.rotate(house.person(), "bot", overlap_s=600, reason="r")
    assert isinstance(second, Made)
    now = house.clock.now().timestamp()

    assert matches(house.bot.secret_hash, second.secret)
    assert matches(house.bot.old_hash(now + 599), first.secret)
    assert house.bot.old_hash(now + 600) is None
    assert second.program.old_secret_until is not None

    third = await house.desk.rotate(house.person(), "bot", overlap_s=OVERLAP_S_MAX, reason="r")
    assert isinstance(third, Made)
    assert matches(house.bot.old_hash(now), second.secret)
    await house.desk.rotate(house.person(), "bot", overlap_s=0, reason="r")
    assert house.bot.old_hash(now) is None
    over = await house.desk.rotate(house.person(), "bot", overlap_s=OVERLAP_S_MAX + 1, reason="r")
    assert code(over) is Code.INVALID


async def test_another_tenant_is_not_there(house: House) -> None:
    await house.create()
    stranger = house.person("sue", tenant="other")

    assert house.desk.listed(stranger) == []
    for answer in (
        house.desk.show(stranger, "bot"),
        await house.desk.rotate(stranger, "bot", overlap_s=0, reason="r"),
        await house.desk.publish(stranger, "bot", jwks("k"), reason="r", correlation="t"),
        await house.desk.disable(stranger, "bot", reason="r"),
        await house.widen(stranger),
    ):
        assert answer == Refusal(Code.NOT_FOUND, "there is no client bot")
    assert house.bot.enabled


async def test_a_key_that_could_be_the_other_person_waits_for_another_also_in_paper(house: House) -> None:
    power = frozenset({Scope.ACCESS_WRITE})
    assert code(await house.create(scopes=power)) is Code.KEY_REQUIRED
    change = await house.create(scopes=power, keys=jwks("bot-1"))
    assert isinstance(change, Change)
    assert house.book.client("bot") is None

    assert isinstance(await house.approve(change), Change)
    assert house.bot.scopes == power


@in_live
async def test_in_live_another_person_agrees_to_a_new_program_and_a_wider_one(house: House) -> None:
    assert code(await house.create(keys=None)) is Code.KEY_REQUIRED
    asked = await house.create()
    assert isinstance(asked, Change)
    assert asked.proposed.summary == ("a key for bot: orders:read on L-HERE",)
    assert code(await house.approve(asked, "ann")) is Code.SAME_PERSON
    assert code(await house.approve(asked, "bot")) is Code.SAME_PERSON
    assert isinstance(await house.approve(asked), Change)
    assert house.bot.keys is not None

    wider = await house.widen()
    assert isinstance(wider, Change)
    assert Scope.ORDERS_WRITE not in house.bot.scopes
    assert isinstance(await house.approve(wider), Change)
    assert Scope.ORDERS_WRITE in house.bot.scopes

    other = await house.desk.publish(house.person(), "bot", jwks("bot-2"), reason="r", correlation="t")
    assert isinstance(other, Change)
    assert isinstance(await house.approve(other), Change)
    assert "bot-2" in str(house.bot.keys)
    narrower = await house.widen(scopes=frozenset())
    assert isinstance(narrower, ProgramView)


@in_live
async def test_what_was_asked_for_of_another_program_than_there_is_now_is_outdated(house: House) -> None:
    await house.approve(await house.create())
    wider = await house.widen()
    await house.desk.disable(house.person(), "bot", reason="stolen")

    assert code(await house.approve(wider)) is Code.CHANGE_OUTDATED
    assert not house.bot.enabled


@in_live
async def test_what_was_approved_is_carried_out_once_however_often_it_starts(house: House) -> None:
    await house.approve(await house.create())
    await house.desk.disable(house.person(), "bot", reason="stolen")

    await house.parts.stop()
    await house.open()

    assert not house.bot.enabled


@in_live
async def test_what_was_approved_while_the_store_was_away_is_done_when_it_is_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = await house.create()

    async def away(*_: object) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(house.store, "put_client", away)
        assert code(await house.approve(change)) is Code.UNAVAILABLE
    await house.parts.stop()
    await house.open()

    assert house.bot.enabled
    (found,) = house.access.changes(house.person("ben"), only_pending=False)
    assert found.state is State.APPROVED


@in_live
async def test_what_was_disabled_since_it_was_approved_is_not_let_in_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.approve(await house.create())
    wider = await house.widen()

    async def away(*_: object) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(house.store, "put_client", away)
        assert code(await house.approve(wider)) is Code.UNAVAILABLE
    assert isinstance(await house.desk.disable(house.person(), "bot", reason="stolen"), ProgramView)
    await house.parts.stop()
    await house.open()

    assert Scope.ORDERS_WRITE in house.bot.scopes
    assert not house.bot.enabled


async def test_a_program_that_keeps_no_secret_is_given_none(house: House) -> None:
    page = Client(
        client_id="page",
        tenant="test",
        scopes=frozenset({Scope.ORDERS_READ}),
        accounts=frozenset({house.here}),
        redirect_uris=("https://page.example/back",),
    )
    await house.book.put_client(page)
    assert code(await house.desk.rotate(house.person(), "page", overlap_s=0, reason="r")) is Code.INVALID
    assert isinstance(await house.widen(client_id="page"), ProgramView)
    found = house.book.client("page")
    assert found is not None
    assert found.redirect_uris == page.redirect_uris


async def test_nonsense_is_refused_before_anybody_is_asked(house: House) -> None:
    assert code(await house.create(client_id="a b")) is Code.INVALID
    assert code(await house.create(keys="{}")) is Code.INVALID
    await house.create()
    published = await house.desk.publish(house.person(), "bot", "{}", reason="r", correlation="t")
    assert code(published) is Code.INVALID


async def test_a_store_that_is_away_is_told_as_such(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.create()

    async def away(*_: object) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(house.store, "put_client", away)
    assert code(await house.desk.disable(house.person(), "bot", reason="r")) is Code.UNAVAILABLE
    assert code(await house.desk.rotate(house.person(), "bot", overlap_s=0, reason="r")) is Code.UNAVAILABLE
