"""`limits`, against a whole engine, as two people."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from ordergate.api.deps import Asked, AuthorizationEndpoint, Told
from ordergate.api.stream.hub import Hub
from tests.api.books import Books
from tests.api.people import Directory, deps_of
from tests.api.served import serving
from tests.cli.asking import Said, ordergate
from tests.engine.limit_people import ANNA, BEN
from tests.engine.stage import ACCOUNT, Stage

FILE = """
rules:
  - id: firm
    scope: firm
    owner: risk
    limits: {max_open_orders: %d}
"""


async def _token(asked: Asked) -> Told:
    """The token of whoever logs in; the name is the client id of the login."""
    login = asked.headers["authorization"].removeprefix("Basic ")
    name = base64.b64decode(login).decode().partition(":")[0]
    body = msgspec.json.encode({"access_token": name, "token_type": "Bearer", "expires_in": 3600})
    return Told(status=200, body=body, headers={"Content-Type": "application/json"})


class Office:
    """An engine with its gateway on a port, and a profile for each person."""

    def __init__(self, stage: Stage, folder: Path, identity: Directory) -> None:
        self.stage = stage
        self.folder = folder
        self.identity = identity

    def log_in_anew(self) -> None:
        """Whatever tokens they have now are fresh."""
        now = int(self.stage.clock.now().timestamp())
        for token, known in self.identity.principals.items():
            self.identity.principals[token] = msgspec.structs.replace(known, auth_time=now)

    async def ask(self, who: str, *words: str) -> Said:
        return await self.ask_of("limits", who, *words)

    async def ask_of(self, group: str, who: str, *words: str) -> Said:
        profile = ("--profile", str(self.folder / f"{who}.json"))
        return await asyncio.to_thread(ordergate, group, *words, *profile)

    def file(self, orders: int) -> str:
        file = self.folder / "limits.yaml"
        file.write_text(FILE % orders, encoding="utf-8")
        return str(file)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with Stage(limits={"soft": ["R06"]}) as stage:
        identity = Directory()
        identity.principals = {"anna": ANNA, "ben": BEN}
        token = AuthorizationEndpoint(path="/oauth/token", methods=("POST",), summary="A token", call=_token)
        deps = msgspec.structs.replace(
            deps_of(Books(), identity=identity),
            gate=stage.gate,
            limits=stage.node.limits,
            views=stage.views,
            hub=Hub(stage.views),
            clock=stage.clock,
            authorization=(token,),
        )
        async with serving(deps) as served:
            base = f"http://127.0.0.1:{served.port}"
            for who in ("anna", "ben"):
                profile = tmp_path / f"{who}.json"
                told = {
                    "base_url": base,
                    "stream_url": f"ws://127.0.0.1:{served.port}/v1/stream",
                    "token_url": f"{base}/oauth/token",
                    "client_id": who,
                    "client_secret": "secret",
                    "account_id": ACCOUNT,
                }
                profile.write_text(json.dumps(told), encoding="utf-8")
                profile.chmod(0o600)
            yield Office(stage, tmp_path, identity)


async def test_a_file_is_compared_applied_loosened_and_approved(office: Office) -> None:
    differs = await office.ask("anna", "diff", office.file(5))
    assert differs.code == 1, differs.err
    assert "+ max_open_orders: 5" in differs.out
    applied = await office.ask("anna", "apply", office.file(5), "--reason", "calm")
    assert (applied.code, applied.out.strip()) == (0, "firm: version 1 is in force")
    same = await office.ask("anna", "diff", office.file(5))
    assert (same.code, same.out.strip()) == (0, "nothing differs")

    looser = await office.ask("anna", "diff", office.file(9))
    assert "waits for another person" in looser.out
    assert "- max_open_orders: 5" in looser.out
    waits = (await office.ask("anna", "apply", office.file(9), "--reason", "busy", "--json")).json
    change = waits["change"]["id"]
    assert change in (await office.ask("ben", "pending")).out
    own = await office.ask("anna", "approve", change, "--reason", "mine", "--json")
    assert (own.code, own.json["code"]) == (1, "same-person")
    yes = await office.ask("ben", "approve", change, "--reason", "fine")
    assert "approved" in yes.out
    assert office.stage.seat.limits is not None
    assert office.stage.seat.limits.max_open_orders == 9
    assert (await office.ask("ben", "pending")).out.strip() == "nothing waits"
    assert change in (await office.ask("ben", "pending", "--all")).out


RATES = """
base: USD
rates:
  EUR: {rate: "%s", as_of: "2026-01-05T08:00:00Z", source: desk}
  BTC: {symbol: BTC/USD}
"""


async def test_rates_are_loaded_by_one_person_and_in_force_when_another_has_approved(office: Office) -> None:
    file = office.folder / "rates.yaml"
    file.write_text(RATES % "1.25", encoding="utf-8")
    load = ("load", str(file), "--owner", "treasury", "--reason", "of this morning")
    waits = (await office.ask_of("rates", "anna", *load, "--json")).json
    before = office.stage.seat.limits
    assert before is not None
    assert before.fx_rates is None
    yes = await office.ask("ben", "approve", waits["change"]["id"], "--reason", "compared")
    assert "approved" in yes.out
    after = office.stage.seat.limits
    assert after is not None
    table = after.fx_rates
    assert table is not None
    assert (table.base, str(table.rates["EUR"].rate)) == ("USD", "1.25")
    shown = await office.ask_of("rates", "ben", "show")
    for word in ("EUR/USD", "1.25", "desk", "BTC/USD"):
        assert word in shown.out
    file.write_text("base: USD", encoding="utf-8")
    lacking = await office.ask_of("rates", "anna", *load)
    assert (lacking.code, "`base` and `rates`" in lacking.err) == (2, True)


async def test_what_is_in_force_is_shown_with_its_rules(office: Office) -> None:
    await office.ask("anna", "apply", office.file(5), "--reason", "calm")
    shown = await office.ask("ben", "show")
    for word in (ACCOUNT, "max_open_orders", "instruments.ESH4.max_long", "firm", f"settings:{ACCOUNT}"):
        assert word in shown.out
    one = await office.ask("ben", "show", "firm")
    for word in ("anna", "calm", "max_open_orders"):
        assert word in one.out
    missing = await office.ask("ben", "show", "nobody", "--json")
    assert (missing.code, missing.json["code"]) == (1, "not-found")


async def test_a_change_can_be_rejected_and_taken_back(office: Office) -> None:
    await office.ask("anna", "apply", office.file(5), "--reason", "calm")
    waits = (await office.ask("anna", "apply", office.file(9), "--reason", "busy", "--json")).json
    back = await office.ask("anna", "reject", waits["change"]["id"], "--reason", "not so busy")
    assert (back.code, "rejected" in back.out) == (0, True)


@pytest.mark.parametrize("text", ["rules: 5", "[]", "rules: [{scope: firm}]", "rules: [", None])
async def test_a_file_without_rules_is_refused_with_a_sentence(office: Office, text: str | None) -> None:
    file = office.folder / "wrong.yaml"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    said = await office.ask("anna", "apply", str(file), "--reason", "r")
    assert said.code == 2
    assert "ordergate: " in said.err


async def test_a_rule_that_cannot_be_read_is_named(office: Office) -> None:
    file = office.folder / "wrong.yaml"
    file.write_text("rules: [{id: x, scope: firm, owner: r, limits: {max_open_orderz: 1}}]", encoding="utf-8")
    said = await office.ask("anna", "apply", str(file), "--reason", "r", "--json")
    assert (said.code, said.json["code"]) == (1, "invalid")
    assert "max_open_orderz" in said.json["detail"]


async def test_a_dry_run_tells_which_orders_the_file_would_have_refused(office: Office) -> None:
    order = await office.stage.accepted(quantity=7)
    told = await office.ask("anna", "dry-run", office.file(0))
    assert told.code == 0, told.err
    assert "of the last 1 orders 1 would be refused" in told.out
    assert order in told.out
    assert "R14" in told.out


async def test_a_dry_run_tells_what_it_could_not_judge(office: Office) -> None:
    await office.stage.accepted(limit=None)
    file = office.folder / "spread.yaml"
    its = "{instruments: {ESH4: {market_spread_percent: '5'}}}"
    file.write_text(f"rules: [{{id: firm, scope: firm, owner: risk, limits: {its}}}]", encoding="utf-8")
    told = await office.ask("anna", "dry-run", str(file))
    assert told.code == 0, told.err
    assert "of the last 1 orders 0 would be refused" in told.out
    assert "R10 not judged for 1: the journal does not say" in told.out


async def test_an_override_is_asked_for_by_one_and_granted_by_another(office: Office) -> None:
    order = ("ESH4", "buy", "101", "--limit", "4700")
    why = ("--control", "R06", "--reason", "a large client order", "--json")
    await office.stage.clock.move(311)  # it is long since they logged in
    asked = await office.ask("anna", "override", *order, *why)
    assert (asked.code, asked.json["code"]) == (1, "step-up-required")
    office.log_in_anew()
    asked = await office.ask("anna", "override", *order, *why)
    assert asked.code == 0, asked.err
    assert asked.json["content"]["terms"]["quantity"] == "101"
    yes = await office.ask("ben", "approve", asked.json["id"], "--reason", "seen")
    assert yes.code == 0, yes.err
    profile = ("--profile", str(office.folder / "anna.json"))
    placed = await asyncio.to_thread(ordergate, "orders", "place", *order, *profile)
    assert placed.code == 0, placed.err


async def test_the_use_of_every_limit_is_shown_with_its_rule(office: Office) -> None:
    await office.stage.accepted(quantity=3)
    shown = await office.ask("anna", "use")
    assert shown.code == 0, shown.err
    for word in (ACCOUNT, "max_long", "997", "message_windows 1 s", f"settings:{ACCOUNT}"):
        assert word in shown.out
    profile = ("--profile", str(office.folder / "anna.json"))
    preview = ("orders", "preview", "ESH4", "buy", "998", "--limit", "4700", *profile)
    said = await asyncio.to_thread(ordergate, *preview)
    assert said.code == 1
    assert "997" in said.out
