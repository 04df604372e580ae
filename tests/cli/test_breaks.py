"""`breaks` and `reconcile`, against a whole engine whose broker's books can be bent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from ordergate.api.deps import Asked, AuthorizationEndpoint, Told
from ordergate.api.stream.hub import Hub
from ordergate.cli import tables
from tests.api.books import Books
from tests.api.people import TRADER, Directory, deps_of
from tests.api.served import serving
from tests.cli.asking import Said, ordergate
from tests.engine.settling import drift, natures
from tests.engine.stage import ACCOUNT, ES, Stage


async def _token(_: Asked) -> Told:
    body = msgspec.json.encode({"access_token": TRADER, "token_type": "Bearer", "expires_in": 3600})
    return Told(status=200, body=body, headers={"Content-Type": "application/json"})


class House:
    """An engine with its gateway on a port, and a profile that leads there."""

    def __init__(self, stage: Stage, profile: Path) -> None:
        self.stage = stage
        self._profile = profile

    async def ask(self, *words: str) -> Said:
        return await asyncio.to_thread(ordergate, *words, "--profile", str(self._profile))

    async def broken(self) -> str:
        """The id of an open position break."""
        drift(self.stage, 2)
        await self.stage.until(lambda: natures(self.stage) == ["position"])
        account = self.stage.lane.books.account
        assert account is not None
        return next(iter(account.breaks))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with Stage() as stage:
        identity = Directory()
        trader = identity.principals[TRADER]
        identity.principals[TRADER] = msgspec.structs.replace(trader, accounts=frozenset({ACCOUNT}))
        token = AuthorizationEndpoint(path="/oauth/token", methods=("POST",), summary="A token", call=_token)
        deps = msgspec.structs.replace(
            deps_of(Books(), identity=identity),
            gate=stage.gate,
            breaks=stage.node.breaks,
            views=stage.views,
            hub=Hub(stage.views),
            clock=stage.clock,
            authorization=(token,),
        )
        async with serving(deps) as served:
            base = f"http://127.0.0.1:{served.port}"
            profile = tmp_path / "client.json"
            told = {
                "base_url": base,
                "stream_url": f"ws://127.0.0.1:{served.port}/v1/stream",
                "token_url": f"{base}/oauth/token",
                "client_id": "trader",
                "client_secret": "secret",
                "account_id": ACCOUNT,
            }
            profile.write_text(json.dumps(told), encoding="utf-8")
            profile.chmod(0o600)
            yield House(stage, profile)


async def test_an_open_break_is_listed_with_both_sides(house: House) -> None:
    broken = await house.broken()
    said = await house.ask("breaks", "list")
    assert (said.code, said.err) == (0, "")
    for word in (broken, "severe", "position", "ESH4", "0", "2"):
        assert word in said.out
    told = (await house.ask("breaks", "list", "--json")).json
    assert [item["id"] for item in told["breaks"]] == [broken]
    assert (await house.ask("breaks", "list", "--severity", "info", "--json")).json == {"breaks": []}
    assert (await house.ask("breaks", "list", "--state", "healed", "--json")).json == {"breaks": []}


async def test_a_break_of_cash_is_shown_with_its_currency(house: House) -> None:
    house.stage.exchange.ledger.foreign["EUR"] += Decimal("5.50")
    await house.stage.until(lambda: natures(house.stage) == ["cash"])
    said = await house.ask("breaks", "list")
    for word in ("warning", "cash", "EUR", "5.5"):
        assert word in said.out
    (told,) = (await house.ask("breaks", "list", "--json")).json["breaks"]
    assert (told["subject"], told["ours"], told["theirs"]) == ("EUR", "0", "5.5")
    resolved = await house.ask("breaks", "resolve", told["id"], "adopt", "--reason", "interest")
    assert resolved.code == 0, resolved.err
    assert "EUR" in (await house.ask("breaks", "show", told["id"])).out


async def test_a_break_is_assigned_resolved_and_shown_with_its_history(house: House) -> None:
    broken = await house.broken()
    assigned = await house.ask("breaks", "assign", broken, "anna", "--note", "your desk", "--json")
    assert (assigned.code, assigned.json["owner"]) == (0, "anna")
    resolved = await house.ask("breaks", "resolve", broken, "adopt", "--reason", "assigned overnight")
    assert resolved.code == 0, resolved.err
    assert house.stage.held(ES) == Decimal(2)
    shown = await house.ask("breaks", "show", broken)
    for word in ("resolved", "adopt", "assigned overnight", "your desk", "trader"):
        assert word in shown.out
    assert (await house.ask("breaks", "list", "--json")).json == {"breaks": []}
    every = (await house.ask("breaks", "list", "--all", "--json")).json["breaks"]
    assert [item["state"] for item in every] == ["resolved"]


async def test_a_refusal_is_a_problem_and_an_exit_code(house: House) -> None:
    broken = await house.broken()
    refused = await house.ask("breaks", "resolve", broken, "close_order", "--reason", "r", "--json")
    assert (refused.code, refused.json["code"]) == (1, "action-not-allowed")
    missing = await house.ask("breaks", "show", "brk-000000000000-00000000", "--json")
    assert (missing.code, missing.json["code"]) == (1, "not-found")
    assert (await house.ask("breaks", "resolve", broken, "adopt")).code == 2  # without a reason
    assert (await house.ask("breaks", "resolve", broken, "guess", "--reason", "r")).code == 2


async def test_the_same_key_settles_once(house: House) -> None:
    broken = await house.broken()
    words = ("breaks", "resolve", broken, "adopt", "--reason", "r", "--key", "the-key-of-this-test", "--json")
    first, again = await house.ask(*words), await house.ask(*words)
    assert (first.code, again.code) == (0, 0)
    assert first.json == again.json
    assert house.stage.held(ES) == Decimal(2)


async def test_reconcile_says_what_was_compared_and_what_differed(house: House) -> None:
    said = await house.ask("reconcile", "--json")
    assert said.code == 0, said.err
    assert (said.json["run"]["result"], said.json["run"]["differences"]) == ("completed", [])
    assert "completed" in (await house.ask("reconcile")).out
    assert (await house.ask("reconcile", "--wait", "0")).out.strip() == "asked for"


async def test_reconcile_fails_when_the_session_is_another_accounts(house: House) -> None:
    house.stage.broker.account_number = "SOMEBODY-ELSE"
    asked = asyncio.create_task(house.ask("reconcile", "--json"))
    while not asked.done():
        await house.stage.clock.move(0.25)
        await asyncio.sleep(0.01)
    assert (asked.result().code, asked.result().json["run"]["result"]) == (1, "wrong_account")


async def test_an_accounts_breaks_are_shown_with_the_account(house: House) -> None:
    assert "no open breaks" in (await house.ask("accounts", "show")).out
    broken = await house.broken()
    assert broken in (await house.ask("accounts", "show")).out


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min 0 s"), (3_725, "1 h 2 min"), (90_061, "1 d 1 h")],
)
def test_an_age_is_said_in_its_two_largest_units(seconds: int, words: str) -> None:
    assert tables.age(seconds) == words
