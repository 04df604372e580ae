"""Orders from the command line, against a real house: what is told, and how a no is told."""

from __future__ import annotations

import secrets
from decimal import Decimal
from pathlib import Path

import pytest

from tests.cli.asking import Desk, ordergate, resting

ORDER_FIELDS = {"id", "account_id", "symbol", "side", "type", "quantity", "status", "cum_qty", "leaves_qty"}


def test_a_placed_order_comes_back_as_json_and_can_be_shown_listed_and_canceled(desk: Desk) -> None:
    terms = resting()
    placed = desk.place(*terms, "--client-order-id", f"mine-{secrets.token_hex(4)}", "--wait", "10")
    assert placed.keys() >= ORDER_FIELDS
    assert (placed["type"], placed["quantity"], placed["limit_price"]) == (
        "limit",
        "10",
        str(Decimal(terms[-1]).normalize()),
    )
    assert desk.get("orders", "show", placed["id"])["id"] == placed["id"]
    found = desk.get("orders", "list", "--client-order-id", placed["client_order_id"])["orders"]
    assert [order["id"] for order in found] == [placed["id"]]
    assert placed["id"] in {order["id"] for order in desk.get("orders", "list", "--open")["orders"]}

    canceled = desk.get("orders", "cancel", placed["id"], "--wait", "10")

    assert canceled["status"] == "canceled"
    kinds = [event["kind"] for event in desk.get("orders", "events", placed["id"])["events"]]
    assert kinds == ["order_accepted", "order_acknowledged", "cancel_requested", "order_canceled"]


def test_an_order_is_shown_to_people_with_its_id_and_status(desk: Desk) -> None:
    placed = desk.place(*resting())
    for words in (("show", placed["id"]), ("list",), ("events", placed["id"]), ("cancel", placed["id"])):
        said = desk.ask("orders", *words)
        assert said.code == 0
        assert placed["id"] in said.out or "order_accepted" in said.out
        assert said.err == ""


def test_the_type_follows_from_the_prices(desk: Desk) -> None:
    prices = {
        "market": (),
        "limit": ("--limit", "184.00"),
        "stop": ("--stop", "196.00"),
        "stop_limit": ("--stop", "196.00", "--limit", "196.50"),
    }
    for kind, options in prices.items():
        order = desk.place("AAPL", "buy", "1", *options)
        assert order["type"] == kind


def test_an_order_may_work_outside_the_regular_session_and_is_previewed_so(desk: Desk) -> None:
    terms = (*resting(), "--extended-hours")
    assert desk.get("orders", "preview", *terms)["would_be_accepted"]
    order = desk.place(*terms)
    assert (order["extended_hours"], order["time_in_force"]) == (True, "gtc")


def test_a_replacement_changes_the_order(desk: Desk) -> None:
    placed = desk.place(*resting(), "--wait", "10")
    changed = desk.get(
        "orders", "replace", placed["id"], "--limit", "184.50", "--quantity", "7", "--wait", "10"
    )
    assert (changed["status"], changed["limit_price"], changed["quantity"]) == ("working", "184.5", "7")
    assert desk.ask("orders", "cancel", placed["id"]).code == 0


def test_an_order_that_has_moved_on_is_left_alone(desk: Desk) -> None:
    placed = desk.place(*resting(), "--wait", "10")
    seen = ("--if-match", str(placed["revision"]))
    changed = desk.get("orders", "replace", placed["id"], "--quantity", "7", "--wait", "10", *seen)
    assert changed["revision"] > placed["revision"]
    for words in (("replace", placed["id"], "--quantity", "8"), ("cancel", placed["id"])):
        told = desk.ask("orders", *words, *seen, "--json")
        assert (told.code, told.json["code"]) == (1, "change-outdated")
        assert told.json["errors"] == [{"field": "revision", "message": str(changed["revision"])}]
    assert desk.ask("orders", "cancel", placed["id"], "--if-match", "*").code == 0


def test_a_replacement_that_changes_nothing_is_a_usage_error(desk: Desk) -> None:
    said = desk.ask("orders", "replace", "P-000000000000000000")
    assert said.code == 2
    assert "--quantity, --limit or --stop" in said.err


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("place", "ESH4", "buy", "abc"), "the quantity"),
        (("preview", "ESH4", "buy", "1,5"), "the quantity"),
        (("place", "ESH4", "buy", "1", "--limit", "4 700"), "--limit"),
        (("replace", "P-D20KD24E6PC56ZWEJH", "--quantity", "1e3"), "--quantity"),
    ],
)
def test_what_is_no_decimal_number_is_said_without_asking(
    words: tuple[str, ...], name: str, tmp_path: Path
) -> None:
    said = ordergate("orders", *words, "--profile", str(tmp_path / "nobody-is-there"))
    assert said.code == 2
    assert f"{name} must be a decimal number such as 1 or 0.5, not '{words[-1]}'" in said.err


def test_cancel_all_asks_for_every_open_order_of_a_symbol(desk: Desk) -> None:
    placed = {
        desk.place("MSFT", "buy", "1", "--limit", price, "--wait", "10")["id"] for price in ("360", "361")
    }
    told = desk.get("orders", "cancel-all", "--symbol", "MSFT")
    assert {result["order_id"] for result in told["results"]} == placed
    assert {result["code"] for result in told["results"]} == {"cancel-requested"}


def test_the_same_key_never_orders_twice(desk: Desk) -> None:
    key = secrets.token_hex(16)
    terms = resting()
    first = desk.place(*terms, "--key", key)
    again = desk.place(*terms, "--key", key)
    assert again["id"] == first["id"]
    other = desk.ask("orders", "place", "AAPL", "buy", "11", "--limit", "184.00", "--key", key, "--json")
    assert (other.code, other.json["code"]) == (1, "idempotency-key-reused")
    assert desk.ask("orders", "cancel", first["id"]).code == 0


def test_a_denial_by_risk_names_every_control_that_failed(desk: Desk) -> None:
    told = desk.ask("orders", "place", "AAPL", "buy", "100000", "--limit", "300.005")
    assert told.code == 1
    assert told.out == ""
    lines = told.err.splitlines()
    assert lines[0].startswith("ordergate: risk-denied: denied by ")
    named = lines[0].removeprefix("ordergate: risk-denied: denied by ").split(", ")
    assert len(named) > 2
    assert [line.split()[0] for line in lines[1:]] == named


def test_a_refusal_is_json_for_programs(desk: Desk) -> None:
    told = desk.ask("orders", "place", "AAPL", "buy", "100000", "--limit", "300.005", "--json")
    assert told.code == 1
    assert told.json["code"] == "risk-denied"
    assert told.json["status"] == 422
    assert told.json["failed_controls"]


def test_refusals_end_with_one_and_say_the_code(desk: Desk) -> None:
    for words, code in (
        (("orders", "place", "NOPE", "buy", "1"), "unknown-instrument"),
        (("orders", "place", "AAPL", "buy", "1", "--client-order-id", "not a label"), "invalid"),
        (("orders", "show", "P-000000000000000000"), "not-found"),
        (("orders", "events", "P-000000000000000000"), "not-found"),
        (("orders", "cancel", "P-000000000000000000"), "not-found"),
        (("orders", "watch", "P-000000000000000000"), "not-found"),
        (("orders", "watch", "--account", "P-OTHER"), "not-found"),
        (("orders", "list", "--status", "strange"), "invalid"),
        (("positions", "--account", "P-OTHER"), "not-found"),
    ):
        said = desk.ask(*words)
        assert said.code == 1, words
        assert said.err.startswith(f"ordergate: {code}: "), words
        assert "Traceback" not in said.err


def test_a_preview_shows_every_control_and_sends_nothing(desk: Desk) -> None:
    before = desk.get("orders", "list", "--limit", "1")
    good = desk.get("orders", "preview", "AAPL", "buy", "1", "--limit", "184.00")
    assert good["would_be_accepted"]
    bad = desk.ask("orders", "preview", "AAPL", "buy", "100000", "--limit", "184.00", "--json")
    assert bad.code == 1
    assert not bad.json["would_be_accepted"]
    assert {row["control"] for row in bad.json["controls"]} == {row["control"] for row in good["controls"]}
    assert desk.get("orders", "list", "--limit", "1") == before


def test_a_long_listing_is_put_together_from_pages(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ordergate.cli.client.PAGE", 2)
    placed = [desk.place(*resting())["id"] for _ in range(6)]
    listed = [order["id"] for order in desk.get("orders", "list", "--limit", "5")["orders"]]
    assert listed == sorted(placed, reverse=True)[:5]
    assert desk.ask("orders", "cancel-all", "--symbol", "AAPL").code == 0


def test_an_order_that_the_broker_has_answered_is_no_question_for_a_person(desk: Desk) -> None:
    placed = desk.place(*resting(), "--wait", "10")
    said = desk.ask(
        "orders", "resolve", placed["id"], "--as", "never-arrived", "--reason", "just to see", "--json"
    )
    assert said.code == 1
    assert said.json["code"] == "order-not-unknown"
    assert desk.get("orders", "list", "--status", "unknown")["orders"] == []
