"""What an account has, what can be traded, the token and the kill switch."""

from __future__ import annotations

import httpx

from tests.cli.asking import Desk, profile_of, resting


def test_a_fill_moves_position_cash_and_executions(desk: Desk) -> None:
    def held() -> int:
        return sum(int(p["quantity"]) for p in desk.get("positions")["positions"] if p["symbol"] == "MSFT")

    before = held()
    order = desk.filled("MSFT", "buy", "2")
    assert held() == before + 2
    fills = [
        e for e in desk.get("executions", "--limit", "500")["executions"] if e["order_id"] == order["id"]
    ]
    assert sum(int(fill["quantity"]) for fill in fills) == 2
    account = desk.get("accounts", "show")
    assert (account["id"], account["env"], account["breaks"]) == ("P-DEMO", "paper", [])
    balances = desk.get("accounts")["accounts"][0]["balances"]
    assert {balance["currency"] for balance in balances} == {"USD"}
    for words in (("positions",), ("executions",), ("accounts",), ("accounts", "show")):
        said = desk.ask(*words)
        assert (said.code, said.err) == (0, "")
        assert said.out


def test_what_is_held_is_shown_at_the_last_price(desk: Desk) -> None:
    desk.filled("MSFT", "buy", "2")
    (held,) = [one for one in desk.get("accounts", "show")["positions"] if one["symbol"] == "MSFT"]
    assert held["mark"] is not None
    people = desk.ask("accounts", "show").out
    assert all(word in people for word in ("equity", "buying power", "MSFT", held["quantity"]))


def test_the_last_prices_of_an_instrument_are_shown(desk: Desk) -> None:
    told = desk.get("quotes", "MSFT")
    assert float(told["quote"]["bid"]) < float(told["quote"]["ask"])
    said = desk.ask("quotes", "MSFT")
    assert said.code == 0
    assert all(word in said.out for word in ("MSFT", "bid", "ask"))


def test_instruments_are_listed_with_their_grid(desk: Desk) -> None:
    listed = {one["symbol"]: one for one in desk.get("instruments")["instruments"]}
    assert listed.keys() == set(desk.home.running["symbols"])
    assert (listed["ESH4"]["tick"], listed["ESH4"]["multiplier"]) == ("0.25", "50")
    assert "E-mini" in desk.ask("instruments").out


def test_the_token_that_is_printed_opens_the_api(desk: Desk) -> None:
    token = desk.ask("token").out.strip()
    answer = httpx.get(
        desk.home.running["base_url"] + "/v1/accounts",
        headers={"authorization": f"Bearer {token}"},
        timeout=10,
        trust_env=False,
    )
    assert answer.status_code == 200
    told = desk.get("token")
    assert told["token_type"] == "Bearer"
    assert told["expires_in"] > 0


def test_no_command_but_token_shows_a_secret(desk: Desk) -> None:
    secret = profile_of(desk.home)["client_secret"]
    for words in (
        ("accounts",),
        ("instruments",),
        ("orders", "list"),
        ("kill", "status"),
        ("orders", "show", "x"),
    ):
        for said in (desk.ask(*words), desk.ask(*words, "--json")):
            assert secret not in said.out + said.err
    assert secret not in desk.home.said()


def test_the_kill_switch_stops_new_orders_until_it_is_released(desk: Desk) -> None:
    waiting = desk.place(*resting(), "--wait", "10")
    try:
        engaged = desk.get("kill", "engage", "--reason", "a drill")
        assert (engaged["engaged"], engaged["grade"], engaged["reason"]) == (True, "block_new", "a drill")
        refused = desk.ask("orders", "place", *resting(), "--json")
        assert refused.code == 1
        assert refused.json["code"] in ("kill-switch", "risk-denied")
        assert "a drill" in desk.ask("kill", "status").out
        assert desk.get("orders", "cancel", waiting["id"], "--wait", "10")["status"] == "canceled"
    finally:
        released = desk.get("kill", "release", "--reason", "the drill is over")
    assert not released["engaged"]
    assert desk.place(*resting())["status"] in ("accepted", "working")
    assert desk.ask("orders", "cancel-all", "--symbol", "AAPL").code == 0


def test_the_kill_switch_wants_a_reason(desk: Desk) -> None:
    assert desk.ask("kill", "engage").code == 2


def test_a_running_house_agrees_with_its_broker(desk: Desk) -> None:
    desk.filled("AAPL", "buy", "1")
    told = desk.get("reconcile")["run"]
    assert told["result"] == "completed", told
    assert (told["positions_compared"], told["account_id"]) == (True, "P-DEMO")
    assert desk.get("breaks", "list", "--all")["breaks"] == []
    assert desk.ask("breaks", "list").code == 0
