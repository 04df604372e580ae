"""`orders watch` where the stream cannot go on: it is said, and an order that has ended is seen to have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from ordergate.cli.following import Event, Joined, News, Position, Reset, _news, silence_of
from tests.cli.asking import Said, ordergate
from tests.cli.scripted import stand_in

RESET = {"type": "reset", "account_id": "P-DEMO", "snapshot": {"orders": []}}
MISSED = Reset(RESET, missed=True)


def order(status: str) -> dict[str, Any]:
    stands = {"id": "P-1", "status": status, "side": "buy", "symbol": "AAPL", "quantity": "10"}
    return {**stands, "cum_qty": "0", "updated_at": "2026-01-05T15:00:00Z"}


def event(status: str) -> Event:
    frame = {"type": "event", "seq": 9, "kind": "a_kind", "at": "2026-01-05T15:00:00Z"}
    return Event({**frame, "order": order(status)})


def watch(
    monkeypatch: pytest.MonkeyPatch, news: list[News], *stands: str, words: tuple[str, ...] = ()
) -> Said:
    """A watch over one order until its end; `stands` is its status each time it is asked for."""
    began = {"events": [{"account_id": "P-DEMO", "seq": 1}]}
    asked = [httpx.Response(200, json=told) for told in (began, {"stream_id": "s"}, *map(order, stands))]
    stand_in(monkeypatch, *asked, module="watching")

    def follow(*_: Any) -> Iterator[News]:
        yield from news
        raise AssertionError("it listens on")

    monkeypatch.setattr("ordergate.cli.watching.follow", follow)
    return ordergate("orders", "watch", "P-1", "--until-final", *words)


def test_an_order_that_ended_in_what_was_missed_ends_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert watch(monkeypatch, [MISSED], "filled").code == 0


def test_an_order_that_is_still_open_is_watched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert watch(monkeypatch, [MISSED, event("filled")], "working").code == 0


def test_what_was_missed_is_told_to_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    said = watch(monkeypatch, [MISSED], "filled", words=("--json",))
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert lines == [RESET, {"type": "order", "order": order("filled")}]


def test_what_was_missed_is_said_to_people(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = watch(monkeypatch, [MISSED], "filled").out.splitlines()
    assert first.startswith("the stream could not go on where it ended")
    assert second == "15:00:00 as it stands P-1 buy 10 AAPL filled 0/10"


@pytest.mark.parametrize("news", [[event("rejected")], [MISSED]])
def test_an_order_that_ends_in_rejected_ends_the_watch_with_one(
    news: list[News], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert watch(monkeypatch, news, "rejected").code == 1


@pytest.mark.parametrize(("heartbeat_s", "seconds"), [(0.1, 5.0), (1.0, 5.0), (15.0, 75.0)])
def test_a_stream_is_dead_after_five_heartbeats(heartbeat_s: float, seconds: float) -> None:
    assert silence_of({"type": "welcome", "heartbeat_s": heartbeat_s}) == seconds


def test_a_stream_that_breaks_before_its_reset_has_told_nothing_yet() -> None:
    """It goes on from where it was: what lies between is then missed, and said to be."""
    position = Position("s", 5)
    began = {"type": "subscribed", "account_id": "P-DEMO", "stream_id": "t", "seq": 90, "resumed": False}
    assert list(_news(began, "P-DEMO", position, goes_on=True)) == [Joined()]
    assert position == Position("s", 5)
    reset = {**RESET, "stream_id": "t", "as_of_seq": 90}
    assert list(_news(reset, "P-DEMO", position, goes_on=True)) == [Reset(reset, missed=True)]
    assert position == Position("t", 90)
