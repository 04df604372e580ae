"""Groups of orders and flatten from the command line, against a real house."""

from __future__ import annotations

import pytest

from tests.cli.asking import Desk, ordergate, wait_until

SYMBOL = "AAPL"
FLATTENED = "MSFT"  # nobody else here holds any
GUARDED = "MSFT"
OCO = ("oco", SYMBOL, "sell", "1", "--profit", "199", "--stop", "170")
TRAIL = ("trailing_stop", SYMBOL, "sell", "1", "--trail", "2")


def test_a_trailing_stop_is_placed_listed_shown_and_canceled(desk: Desk) -> None:
    group = desk.get("groups", "place", "trailing_stop", SYMBOL, "sell", "3", "--trail", "25")
    assert group["status"] == "active"
    assert [leg["role"] for leg in group["legs"]] == ["trail"]
    shown = desk.get("groups", "show", group["id"])
    assert shown["id"] == group["id"]
    assert group["id"] in {one["id"] for one in desk.get("groups", "list", "--active")["groups"]}
    kinds = [event["kind"] for event in desk.get("groups", "events", group["id"])["events"]]
    assert kinds[0] == "group_accepted"
    for words in (("show", group["id"]), ("list",), ("events", group["id"])):
        said = desk.ask("groups", *words)
        assert said.code == 0
        assert group["id"] in said.out or "group_accepted" in said.out
    assert desk.get("groups", "cancel", group["id"])["cancel_requested"] is True


def test_a_bracket_places_its_entry_and_ends_when_it_is_canceled(desk: Desk) -> None:
    group = desk.get(
        "groups",
        "place",
        "bracket",
        SYMBOL,
        "buy",
        "2",
        "--limit",
        "182.37",
        "--profit",
        "199",
        "--stop",
        "170",
    )
    entry = group["orders"][0]
    assert (entry["role"], entry["quantity"]) == ("entry", "2")
    desk.get("orders", "cancel", entry["order_id"], "--wait", "10")
    assert desk.get("groups", "show", group["id"])["to_exit"] == "0"


def test_a_position_is_flattened_as_one_command(desk: Desk) -> None:
    desk.place(FLATTENED, "buy", "3", "--wait", "10")
    done = desk.get("flatten", "--symbol", FLATTENED, "--wait", "60")
    assert (done["status"], done["reason"]) == ("ended", "completed")
    assert all(one["result"] in ("canceled", "filled", "ended") for one in done["orders"])
    held = {one["symbol"]: one["quantity"] for one in desk.get("positions")["positions"]}
    assert held.get(FLATTENED, "0") == "0"


def test_a_filled_entry_is_guarded_at_the_broker_until_all_is_flattened(desk: Desk) -> None:
    words = ("bracket", GUARDED, "buy", "2", "--profit", "384", "--stop", "352")
    group = desk.get("groups", "place", *words)

    def is_guarded() -> bool:
        legs = desk.get("groups", "show", group["id"])["legs"]
        return [leg["role"] for leg in legs if leg["live"]] == ["stop_loss"]

    wait_until(is_guarded, "the stop to rest at the broker")
    done = desk.get("flatten", "--symbol", GUARDED, "--wait", "60")
    assert (done["status"], done["reason"]) == ("ended", "completed")
    ended = desk.get("groups", "show", group["id"])
    assert (ended["status"], ended["reason"]) == ("ended", "canceled")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("bracket", SYMBOL, "buy", "1", "--profit", "199"), "a bracket needs"),
        (("trailing_stop", SYMBOL, "sell", "1", "--stop", "170"), "a trailing_stop needs"),
        (("oto", SYMBOL, "buy", "1"), "an oto needs"),
        (("bracket", SYMBOL, "buy", "1", "--stop", "170", "--trail", "2"), "give one of"),
        ((*OCO, "--limit", "190"), "an oco has no entry: take --limit out"),
        ((*OCO, "--tif", "day"), "an oco has no entry: take --tif out"),
        ((*TRAIL, "--limit", "190", "--tif", "gtc"), "a trailing_stop has no entry: take --limit, --tif out"),
    ],
)
def test_prices_that_make_no_group_are_a_usage_error(words: tuple[str, ...], said: str) -> None:
    nowhere = ("--profile", "no-profile.json")  # nothing is asked of any gateway
    ended = ordergate("groups", "place", *words, *nowhere)
    assert ended.code == 2
    assert said in ended.err
