"""The rehearsal of the kill switch on a running house: everything stops, is swept, is flat, and goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.kill import prepare
from tests.cli.asking import Desk, ordergate, resting, wait_until
from tests.fixtures.house import ADMIN_TOKEN, house


def test_a_rehearsal_stops_a_running_gateway_takes_the_times_and_lets_it_go_on(desk: Desk) -> None:
    assert desk.ask("orders", "cancel-all").code == 0
    wait_until(lambda: not desk.get("orders", "list", "--open")["orders"], "a house without open orders")
    told = desk.get("drill", "kill", "--orders", "5", "--hold", "1")
    assert (told["orders"], told["left"], told["failing"], told["accepted_while_stopped"]) == (5, 0, [], 0)
    assert told["refused"] > 0
    assert told["engaged_ms"] <= told["last_cancel_ms"] <= told["flat_ms"]
    assert not desk.get("kill", "show")["engaged"]
    assert desk.place(*resting())["status"] in ("accepted", "working")
    assert desk.ask("orders", "cancel-all").code == 0


@pytest.fixture(scope="module")
def hurt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A house whose venue may be hurt: nothing there trips by itself, so the stop alone is seen."""
    folder = tmp_path_factory.mktemp("hurt")
    prepare(folder / "data")
    with house(folder) as home:
        yield Desk(home)


@pytest.mark.parametrize("scene", ["rate-limited", "broker-down"])
def test_it_stops_as_well_where_the_broker_answers_429_or_is_down(hurt: Desk, scene: str) -> None:
    venue = ("--venue-url", hurt.home.running["venue_url"], "--venue-admin-token", ADMIN_TOKEN)
    said = hurt.ask("drill", "kill", "--orders", "20", "--scene", scene, "--scene-s", "3", *venue, "--json")
    told = said.json
    assert said.code == 0, told
    assert (told["scene"], told["orders"]) == (scene, 20)
    assert (told["left"], told["failing"], told["accepted_while_stopped"]) == (0, [], 0)
    assert told["refused"] > 0
    assert told["engaged_ms"] <= told["last_cancel_ms"] <= told["nothing_left_ms"]
    assert not hurt.get("kill", "show")["engaged"]
    assert not hurt.get("orders", "list", "--open")["orders"]


def test_a_scene_that_hurts_the_venue_needs_its_address(desk: Desk) -> None:
    said = desk.ask("drill", "kill", "--scene", "broker-down")
    assert (said.code, "venue" in said.err) == (1, True)
    assert desk.ask("drill", "kill", "--scene", "earthquake").code == 2
    assert desk.ask("drill", "kill", "--tick", "x").code == 2


def test_a_rehearsal_is_for_paper_only(desk: Desk) -> None:
    assert ordergate("drill", "kill", "--profile", "/nowhere").code != 0
