"""`orders watch`: every event, live, and none missed when the gateway goes away and comes back."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.asking import Desk, ended, process, resting
from tests.cli.watching import Watching
from tests.fixtures.house import house


def test_watch_prints_every_event_of_an_order_from_accepted_to_filled(desk: Desk) -> None:
    order = desk.place("AAPL", "buy", "3")
    watched = ended(
        process(
            "orders", "watch", order["id"], "--until-final", "--json", "--profile", str(desk.home.profile)
        )
    )
    assert watched.code == 0, watched.err
    events = [json.loads(line) for line in watched.out.splitlines()]
    assert events[0]["kind"] == "order_accepted"
    assert events[-1]["kind"] == "order_filled"
    assert events[-1]["order"]["status"] == "filled"
    stored = desk.get("orders", "events", order["id"])["events"]
    assert [event["seq"] for event in events] == [event["seq"] for event in stored]
    assert [{k: v for k, v in event.items() if k != "prev_seq"} for event in events] == stored


def test_watch_shows_people_one_line_for_each_event(desk: Desk) -> None:
    order = desk.filled("AAPL", "buy", "1")
    said = desk.ask("orders", "watch", order["id"], "--until-final")
    assert said.code == 0
    stored = desk.get("orders", "events", order["id"])["events"]
    lines = said.out.splitlines()
    assert [line.split()[2] for line in lines] == [event["kind"] for event in stored]
    assert all(order["id"] in line for line in lines)


def test_until_final_needs_an_order(desk: Desk) -> None:
    assert desk.ask("orders", "watch", "--until-final").code == 2


def test_watch_says_that_it_cannot_begin_where_it_was_asked_to(desk: Desk) -> None:
    watching = Watching(desk, "--json", "--after", "999999999")
    try:
        first = watching.line()
    finally:
        code, _ = watching.stop()
    assert (first["type"], code) == ("reset", 0)


def test_watch_goes_on_after_the_gateway_was_killed_and_misses_nothing(tmp_path: Path) -> None:
    with house(tmp_path, recorded=str(tmp_path)) as home:
        desk = Desk(home)
        first = desk.place(*resting(), "--wait", "10")
        watching = Watching(desk, "--json", "--after", "0")
        try:
            watching.event("order_acknowledged", first["id"])

            home.kill()
            home.restart()
            second = desk.place(*resting(2), "--wait", "10")
            desk.get("orders", "cancel", first["id"], "--wait", "10")

            accepted = watching.event("order_accepted", second["id"])
            canceled = watching.event("order_canceled", first["id"])
        finally:
            code, said = watching.stop()
        assert code == 0
        assert "Traceback" not in said
        assert "the stream broke" in said
        assert accepted["seq"] < canceled["seq"]
