"""`alarms`, against a whole engine; and what `doctor` says of them."""

from __future__ import annotations

import pytest

from ordergate.cli import doctor
from ordergate.core.accounts.alarms import AlarmNature
from ordergate.engine.accounts.alarms import Alarms
from ordergate.telemetry.metrics import Metrics
from ordergate.wiring.checkup import Finding, Subject, Verdict
from tests.cli.asking import Desk, ordergate
from tests.cli.engine_house import EngineHouse
from tests.engine.stage import ACCOUNT


async def sound(house: EngineHouse, nature: AlarmNature, subject: str) -> None:
    alarms = Alarms(house.stage.clock, Metrics())
    assert alarms.sound(house.stage.seat, nature, subject, "what was seen", {"symbol": "ESH4", "price": ""})
    await house.stage.clock.move(1)


async def test_no_alarm_is_said_in_words(house: EngineHouse) -> None:
    said = await house.ask("alarms")
    assert (said.code, said.out.strip()) == (0, "no alarm stands")


async def test_alarms_are_listed_with_evidence_and_what_to_do(house: EngineHouse) -> None:
    await sound(house, AlarmNature.ORDER_NOT_SHOWN, "b1")
    await sound(house, AlarmNature.ORDER_DOUBLED, "b2")
    said = await house.ask("alarms")
    assert (said.code, said.err) == (0, "")
    for word in ("order_not_shown", "b1", "b2", "what was seen", "symbol ESH4", "ask the broker", "never"):
        assert word in said.out
    told = (await house.ask("alarms", "--json")).json
    assert [alarm["subject"] for alarm in told["alarms"]] == ["b2", "b1"]
    assert told["unread"] == []


async def test_alarms_are_chosen_by_account_nature_and_number(house: EngineHouse) -> None:
    await sound(house, AlarmNature.ORDER_NOT_SHOWN, "b1")
    await sound(house, AlarmNature.ORDER_DOUBLED, "b2")
    for words, found in (
        (("--account", ACCOUNT), ["b2", "b1"]),
        (("--nature", "order_not_shown"), ["b1"]),
        (("--limit", "1"), ["b2"]),
    ):
        told = (await house.ask("alarms", *words, "--json")).json
        assert [alarm["subject"] for alarm in told["alarms"]] == found


async def test_anothers_account_is_a_problem_and_an_exit_code(house: EngineHouse) -> None:
    said = await house.ask("alarms", "--account", "P-OTHER", "--json")
    assert (said.code, said.json["code"]) == (1, "not-found")


async def test_an_account_that_is_not_read_is_no_all_clear(house: EngineHouse) -> None:
    house.stage.lane.ready.clear()
    said = await house.ask("alarms")
    assert said.code == 1
    assert f"not read just now, so nobody can tell: {ACCOUNT}" in said.out
    assert (await house.ask("alarms", "--json")).json == {"alarms": [], "unread": [ACCOUNT]}


@pytest.mark.parametrize(
    ("natures", "verdict", "words"),
    [
        ([], Verdict.GOOD, "none stands"),
        (
            [AlarmNature.ORDER_NOT_SHOWN],
            Verdict.GOOD,
            "1 stand: 1 order_not_shown; see `ordergate alarms`",
        ),
        (
            [AlarmNature.QUARANTINED_ORDER, AlarmNature.ORDER_NOT_SHOWN],
            Verdict.DOUBTFUL,
            "2 stand: 1 order_not_shown, 1 quarantined_order; see `ordergate alarms`",
        ),
    ],
)
def test_the_doctor_says_how_many_stand(natures: list[AlarmNature], verdict: Verdict, words: str) -> None:
    alarms = [{"nature": str(one), "lasting": one is AlarmNature.QUARANTINED_ORDER} for one in natures]
    assert doctor.of_alarms(alarms, []) == Finding("alarms", verdict, words)


def test_the_doctor_calls_no_all_clear_for_an_account_that_was_not_read() -> None:
    found = doctor.of_alarms([], ["P-A"])
    assert (found.verdict, found.words) == (Verdict.DOUBTFUL, "none stands; not read just now: P-A")


def test_the_doctor_asks_a_gateway_that_runs(desk: Desk) -> None:
    said = ordergate("doctor", "--data-dir", str(desk.home.data_dir), "--json")
    assert {"part": "alarms", "verdict": "good", "words": "none stands"} in said.json["findings"]


def test_the_doctor_asks_nobody_whom_the_profile_does_not_name(desk: Desk) -> None:
    subject = Subject(data_dir=desk.home.data_dir, base_url="http://127.0.0.1:1", ports=(), place=None)
    assert doctor.alarms(subject) == []
