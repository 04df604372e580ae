"""The rehearsal of the kill switch on a running house: everything stops, is swept, is flat, and goes on."""

from __future__ import annotations

from tests.cli.asking import Desk, ordergate, resting, wait_until


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


def test_a_scene_that_hurts_the_venue_needs_its_address(desk: Desk) -> None:
    said = desk.ask("drill", "kill", "--scene", "broker-down")
    assert (said.code, "venue" in said.err) == (1, True)
    assert desk.ask("drill", "kill", "--scene", "earthquake").code == 2
    assert desk.ask("drill", "kill", "--tick", "x").code == 2


def test_a_rehearsal_is_for_paper_only(desk: Desk) -> None:
    assert ordergate("drill", "kill", "--profile", "/nowhere").code != 0
