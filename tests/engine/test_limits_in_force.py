"""A change of limits reaches whom it concerns, and leaves alone whoever has the rules that they had."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

import msgspec
import pytest

from ordergate.core.ids import AccountId
from ordergate.core.risk.compiling import Subject
from ordergate.core.risk.limits import mapping_of
from ordergate.core.risk.policy import Policy
from ordergate.core.risk.rules import Reach, Rule
from ordergate.engine.accounts.books import Books
from ordergate.engine.accounts.lanes import Lanes, Seat
from ordergate.engine.limits import in_force
from tests.engine.stage import ES, INSTRUMENT, LIMITS, START, HandClock, Stage

LEFT, RIGHT = AccountId("P-LEFT"), AccountId("P-RIGHT")


class Room:
    """Two accounts of one tenant, and who was told of limits that changed."""

    def __init__(self, stage: Stage) -> None:
        self.told: list[AccountId] = []
        self.lanes = Lanes()
        for account in (LEFT, RIGHT):
            lane = cast("Any", SimpleNamespace(account=account, books=Books({})))
            self.lanes.add(Seat(lane, stage.seat.broker, None, stage.seat.freshness))
        subjects = {account: Subject(account, "default") for account in (LEFT, RIGHT)}
        self.clock = HandClock()
        self.in_force = in_force.LimitsInForce(
            self.lanes,
            subjects,
            {ES: INSTRUMENT},
            self.clock,
            on_change=lambda seat: self.told.append(seat.lane.account),
        )

    def follow(self, *rules: Rule) -> list[AccountId]:
        """Who is told once these are the rules."""
        self.told.clear()
        self.in_force.follow(Policy({rule.id: rule for rule in rules}), ())
        return list(self.told)


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    async with Stage() as stage:
        yield Room(stage)


def own(account: AccountId, **more: Any) -> Rule:
    limits = {name: value for name, value in mapping_of(LIMITS).items() if name != "version"}
    return Rule(id=f"own:{account}", scope=Reach.ACCOUNT, of=account, limits={**limits, **more}, owner="risk")


def firm(**limits: Any) -> Rule:
    return Rule(id="firm", scope=Reach.FIRM, of="", limits=limits, owner="risk")


def user(**limits: Any) -> Rule:
    return Rule(id="ann", scope=Reach.USER, of="ann", limits=limits, owner="risk")


async def test_a_user_who_looks_further_back_lengthens_the_memory_of_the_account(room: Room) -> None:
    room.follow(own(LEFT, drift_window_s="10"), own(RIGHT))
    assert room.follow(own(LEFT, drift_window_s="10"), own(RIGHT), user(drift_window_s="60")) == [LEFT, RIGHT]
    assert [seat.drift_window for seat in room.lanes] == [timedelta(seconds=60)] * 2
    assert room.follow(own(LEFT, drift_window_s="10"), own(RIGHT)) == [LEFT, RIGHT]
    assert [seat.drift_window for seat in room.lanes] == [timedelta(seconds=10), timedelta()]


async def test_one_accounts_change_compiles_no_other_account_again(room: Room) -> None:
    assert room.follow(own(LEFT), own(RIGHT)) == [LEFT, RIGHT]
    left, right = room.in_force.of(LEFT), room.in_force.of(RIGHT)
    assert room.follow(own(LEFT, max_open_orders=1), own(RIGHT)) == [LEFT]
    assert room.in_force.of(LEFT) is not left
    assert room.in_force.of(RIGHT) is right


async def test_what_is_said_for_all_reaches_all(room: Room) -> None:
    room.follow(own(LEFT), own(RIGHT))
    assert room.follow(own(LEFT), own(RIGHT), firm(max_open_orders=1)) == [LEFT, RIGHT]
    assert room.follow(own(LEFT), own(RIGHT)) == [LEFT, RIGHT]


async def test_what_could_not_be_compiled_is_tried_again(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.follow(own(LEFT), own(RIGHT))
    with monkeypatch.context() as broken, pytest.raises(ArithmeticError):
        broken.setattr(in_force, "compiled", Mock(side_effect=ArithmeticError))
        room.follow(own(LEFT, max_open_orders=1), own(RIGHT))
    assert room.follow(own(LEFT, max_open_orders=1), own(RIGHT)) == [LEFT]


async def test_who_loses_the_only_rule_of_the_accounts_own_has_no_limits(room: Room) -> None:
    room.follow(own(LEFT), own(RIGHT))
    assert room.follow(own(RIGHT)) == [LEFT]
    assert room.in_force.of(LEFT).limits is None
    assert room.in_force.of(RIGHT).limits is not None


async def test_a_rule_that_a_clock_set_forward_had_ended_holds_again_once_it_is_set_back(room: Room) -> None:
    ends = START + timedelta(minutes=30)
    tight = msgspec.structs.replace(firm(max_open_orders=0), effective_to=ends)
    room.follow(own(LEFT), own(RIGHT), tight)
    room.clock.wrong_by = timedelta(hours=1)
    room.in_force.tick()
    room.clock.wrong_by = timedelta(0)
    room.in_force.tick()
    limits = room.in_force.of(LEFT).limits
    assert limits is not None
    assert limits.max_open_orders == 0


async def test_a_rule_on_a_person_narrows_while_it_is_there(room: Room) -> None:
    room.follow(own(LEFT), own(RIGHT))
    seat = room.lanes.get(LEFT)
    assert seat is not None
    room.follow(own(LEFT), own(RIGHT), user(far_passive_refused=True))
    narrowed = seat.limits_for("ann", None)
    assert narrowed is not None
    assert narrowed.far_passive_refused
    room.follow(own(LEFT), own(RIGHT))
    assert seat.limits_for("ann", None) == seat.limits


def test_how_far_back_prices_count_is_said_by_the_accounts_own_rules_alone(room: Room) -> None:
    rules = [own(LEFT, drift_window_s="60"), own(RIGHT, drift_window_s="3600")]
    found = [room.in_force.by_who_asks(LEFT, some).drift_window for some in (rules, ())]
    assert found == [timedelta(seconds=60), timedelta(0)]
