"""Roles are given by two and taken by one, within one tenant, and an approved one is given once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import msgspec
import pytest

from ordergate.core.access import Principal, Role
from ordergate.core.approvals import Change, State
from ordergate.core.ids import AccountId
from ordergate.core.refusals import Code, Refusal
from ordergate.core.tenancy import AccountPlace, Assignment, Reach
from ordergate.engine.desks.access_desk import SubjectView
from ordergate.security.clients import StoreUnavailable
from tests.engine.access_house import AccessHouse
from tests.engine.stage import TRADER

HERE, THERE = AccountId("P-HERE"), AccountId("P-THERE")
CAROL = Assignment("test", "carol", Role.TRADER, Reach.ACCOUNT, HERE)


class House(AccessHouse):
    async def open(self) -> None:
        await super().open()
        self.desk = self.access

    def person(self, name: str, ago_s: float = 0, **changes: object) -> Principal:
        since = int(self.clock.now().timestamp() - ago_s)
        plain = msgspec.structs.replace(TRADER, subject=name, client_id=name, auth_time=since)
        return msgspec.structs.replace(plain, **changes)

    async def asked(self, who: str = "ann", role: Assignment = CAROL) -> Change:
        change = await self.desk.ask(self.person(who), role, reason="new here", correlation="t")
        assert isinstance(change, Change), change
        return change

    async def approved(self, who: Principal, change: Change) -> Change | Refusal:
        return await self.desk.approve(who, change.id, reason="seen", correlation="t")

    def roles(self) -> list[Assignment]:
        return list(self.book.access.assignments)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    await made.store.place_accounts([AccountPlace(HERE, "test", "east"), AccountPlace(THERE, "other")])
    await made.open()
    yield made
    await made.parts.stop()


def code(answer: object) -> Code | None:
    return answer.code if isinstance(answer, Refusal) else None


async def test_a_role_waits_for_another_person_and_holds_when_it_is_answered(house: House) -> None:
    change = await house.asked()
    assert house.roles() == []
    assert change.proposed.summary == ("carol trader of account P-HERE",)

    assert code(await house.approved(house.person("ann"), change)) is Code.SAME_PERSON
    assert code(await house.approved(house.person("ann", client_id="other"), change)) is Code.SAME_PERSON
    assert code(await house.approved(house.person("carol"), change)) is Code.SAME_PERSON
    done = await house.approved(house.person("ben"), change)

    assert isinstance(done, Change)
    assert done.state is State.APPROVED
    assert house.roles() == [CAROL]


async def test_two_people_who_use_one_application_are_two(house: House) -> None:
    change = await house.desk.ask(
        house.person("ann", client_id="console"), CAROL, reason="r", correlation="t"
    )
    assert isinstance(change, Change)

    program = house.person("console")
    assert code(await house.approved(program, change)) is Code.SAME_PERSON
    assert isinstance(await house.approved(house.person("ben", client_id="console"), change), Change)


async def test_both_have_logged_in_a_moment_ago(house: House) -> None:
    stale = await house.desk.ask(house.person("ann", ago_s=301), CAROL, reason="r", correlation="t")
    assert code(stale) is Code.STEP_UP_REQUIRED
    change = await house.asked()

    assert code(await house.approved(house.person("ben", ago_s=301), change)) is Code.STEP_UP_REQUIRED
    assert house.roles() == []


async def test_without_the_scope_nothing_is_given_or_taken(house: House) -> None:
    viewer = house.person("eve", scopes=frozenset())
    change = await house.asked()

    assert code(await house.desk.ask(viewer, CAROL, reason="r", correlation="t")) is Code.FORBIDDEN
    assert code(await house.approved(viewer, change)) is Code.FORBIDDEN
    assert code(await house.desk.reject(viewer, change.id, reason="r", correlation="t")) is Code.FORBIDDEN
    assert code(await house.desk.withdraw(viewer, CAROL, reason="r")) is Code.FORBIDDEN
    assert code(await house.desk.keep_out(viewer, "carol", reason="r")) is Code.FORBIDDEN


async def test_another_tenant_is_not_there(house: House) -> None:
    stranger = house.person("sue", tenant="other")
    change = await house.asked()

    assert house.desk.changes(stranger, only_pending=True) == []
    missing = house.desk.change(stranger, "chg-0")
    assert msgspec.structs.replace(
        house.desk.change(stranger, change.id), detail=""
    ) == msgspec.structs.replace(missing, detail="")
    assert code(await house.approved(stranger, change)) is Code.NOT_FOUND
    assert code(await house.desk.ask(stranger, CAROL, reason="r", correlation="t")) is Code.NOT_FOUND
    assert code(await house.desk.withdraw(stranger, CAROL, reason="r")) is Code.NOT_FOUND
    assert [one.account_id for one in house.desk.tenant(stranger).accounts] == [THERE]


async def test_a_role_is_taken_at_once_by_one(house: House) -> None:
    await house.approved(house.person("ben"), await house.asked())

    shown = await house.desk.withdraw(house.person("ann"), CAROL, reason="moved")

    assert isinstance(shown, SubjectView)
    assert (shown.version, shown.roles) == (3, ())
    out = await house.desk.keep_out(house.person("ann"), "carol", reason="gone")
    assert isinstance(out, SubjectView)
    assert not out.enabled


async def test_what_was_given_and_taken_again_is_not_given_anew_at_the_next_start(house: House) -> None:
    await house.approved(house.person("ben"), await house.asked())
    await house.desk.withdraw(house.person("ann"), CAROL, reason="moved")

    await house.parts.stop()
    await house.open()

    assert house.roles() == []


async def test_what_was_approved_while_the_store_was_away_is_given_when_it_is_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = await house.asked()

    async def away(*_: object) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(house.store, "assign", away)
        assert code(await house.approved(house.person("ben"), change)) is Code.UNAVAILABLE
    await house.parts.stop()
    await house.open()

    assert house.roles() == [CAROL]


async def test_what_nobody_approves_expires(house: House) -> None:
    change = await house.asked()

    await house.clock.move(timedelta(days=1, seconds=5).total_seconds())

    (found,) = house.desk.changes(house.person("ben"), only_pending=False)
    assert found.state is State.EXPIRED
    assert code(await house.approved(house.person("ben"), change)) is Code.CHANGE_SETTLED


async def test_a_role_must_name_what_there_is_when_it_is_asked_and_when_it_is_approved(house: House) -> None:
    for wrong in (
        msgspec.structs.replace(CAROL, of=THERE),
        msgspec.structs.replace(CAROL, reach=Reach.DESK, of="west"),
    ):
        assert code(await house.desk.ask(house.person("ann"), wrong, reason="r", correlation="t")) in (
            Code.NOT_FOUND,
            Code.INVALID,
        )
    await house.approved(house.person("ben"), await house.asked())
    again = await house.desk.ask(house.person("ann"), CAROL, reason="r", correlation="t")
    assert code(again) is Code.NOTHING_TO_CHANGE
