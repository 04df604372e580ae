"""The command line at a gateway in live: people with bound tokens get in, and nothing else does."""

from __future__ import annotations

import asyncio
import json
import secrets
import webbrowser
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ordergate.cli import authorizing, following, tokens
from ordergate.cli.client import gateway
from ordergate.cli.private import CLIENT
from tests.cli.asking import Said
from tests.cli.browser import PATIENCE_S, STEP_S
from tests.cli.live import LiveDesk, live_desk

ORDER = ("orders", "place", "ESH4", "buy", "1", "--limit", "4700", "--json")


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LiveDesk]:
    monkeypatch.setattr(authorizing, "WAIT_S_MAX", PATIENCE_S)
    async with live_desk(tmp_path) as made:
        yield made


async def logged_in(desk: LiveDesk, name: str, monkeypatch: pytest.MonkeyPatch, *words: str) -> Said:
    """As somebody does the first time: they show the program's key, it is registered, they log in."""
    browser = await desk.person(name)
    monkeypatch.setattr(webbrowser, "open", browser.open)
    unknown = await desk.login(name)
    assert unknown.code == 3, unknown.out
    assert f"ordergate clients add cli-{name} --cli --account" in unknown.err
    assert not browser.opened
    await desk.register(name)
    said = await desk.login(name, *words)
    assert said.code == 0, said.err
    return said


async def test_a_person_places_an_order_in_live_and_a_stolen_token_does_not(
    desk: LiveDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = (await logged_in(desk, "ann", monkeypatch)).json
    assert (me["env"], me["subject"], me["client_id"]) == ("live", "ann", "cli-ann:ann")
    assert me["account_id"] == desk.account

    placed = await desk.ask("ann", *ORDER)

    assert placed.code == 0, placed.err
    assert placed.json["account_id"] == desk.account
    kept = json.loads((desk.folder / "ann" / "client.json.private" / "login.json").read_bytes())
    assert kept["answer"]["token_type"] == "DPoP"
    async with httpx.AsyncClient(base_url=desk.here.base_url, trust_env=False) as thief:
        for scheme in ("Bearer", "DPoP"):
            headers = {"authorization": f"{scheme} {kept['access_token']}"}
            assert (await thief.get("/v1/orders", headers=headers)).status_code == 401


async def test_a_person_follows_the_stream_and_stays_when_the_token_is_renewed(
    desk: LiveDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await logged_in(desk, "ann", monkeypatch)

    def follow() -> list[Any]:
        with gateway(desk.profile("ann")) as client:
            url, proofs = client.profile.stream_url, client.exchange.proofs
            # The token is one that is kept, so no nonce is known yet.
            first = next(following.follow(client, desk.account, following.Position()))
            with following._opened(client) as socket:
                proofs.hear(url, "a nonce of long ago")
                following._renew(client, socket)
                return [first, *(following._received(client, socket)["type"] for _ in range(2))]

    assert await asyncio.to_thread(follow) == [following.Joined(), "welcome", "authenticated"]


async def test_a_program_with_a_key_places_an_order_in_live_and_with_a_secret_it_does_not(
    desk: LiveDesk,
) -> None:
    await desk.login("bot")  # makes its key
    await desk.register("bot", people=False)
    url = desk.here.base_url
    profile = {
        "base_url": url,
        "stream_url": url.replace("http", "ws") + "/v1/stream",
        "token_url": f"{url}/oauth/token",
        "client_id": "cli-bot",
        "client_key": str(Path("client.json.private") / CLIENT),
        "account_id": desk.account,
    }
    desk.profile("bot").write_text(json.dumps(profile), encoding="utf-8")

    placed = await desk.ask("bot", *ORDER)
    loose = await desk.ask("bot", "token")
    del profile["client_key"]
    with_a_secret = {**profile, "client_secret": secrets.token_hex(20)}
    desk.profile("bot").write_text(json.dumps(with_a_secret), encoding="utf-8")
    refused = await desk.ask("bot", *ORDER)

    assert placed.code == 0, placed.err
    assert loose.code == 3
    assert "bound to their sender" in loose.err
    assert refused.code == 3
    assert refused.json["code"] == "invalid_client"


async def test_whoever_engages_a_stop_cannot_release_it_whatever_they_log_in_with(
    desk: LiveDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await logged_in(desk, "ann", monkeypatch)
    assert (await desk.ask("ann", "kill", "engage", "--level", "account", "--target", desk.account,
                           "--reason", "r")).code == 0  # fmt: skip

    place = ("--level", "account", "--target", desk.account, "--reason", "r", "--json")
    own = await desk.ask("ann", "kill", "release", *place)
    profile = json.loads(desk.profile("ann").read_bytes())
    desk.profile("ann").write_text(json.dumps({**profile, "person": False}), encoding="utf-8")
    as_program = await desk.ask("ann", "kill", "release", *place)
    await logged_in(desk, "ben", monkeypatch)
    by_another = await desk.ask("ben", "kill", "release", *place)

    assert (own.code, own.json["code"]) == (1, "same-person")
    assert (as_program.code, as_program.json["code"]) == (3, "unauthorized_client")
    assert by_another.code == 0, by_another.err
    assert by_another.json["stops"] == []


async def test_what_takes_a_fresh_login_opens_one_where_somebody_is_there(
    desk: LiveDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await logged_in(desk, "ann", monkeypatch)
    browser = await desk.person("ben")
    monkeypatch.setattr(webbrowser, "open", browser.open)
    await desk.login("ben")
    await desk.register("ben")
    await desk.login("ben")
    place = ("--level", "account", "--target", desk.account, "--reason", "r")
    assert (await desk.ask("ann", "kill", "engage", *place)).code == 0
    monkeypatch.setattr(type(desk.here.security.bearer), "stepped_up", lambda _, of: "ben" in stepped)
    stepped: set[str] = set()

    def as_ben(url: str) -> bool:
        stepped.add("ben")
        return browser.open(url)

    ann = await desk.person("ann")
    alone = await desk.ask("ben", "kill", "release", *place)
    monkeypatch.setattr(tokens, "somebody_is_there", lambda: True)
    desk.clock.ahead_s = STEP_S
    monkeypatch.setattr(webbrowser, "open", ann.open)
    as_another = await desk.ask("ben", "kill", "release", *place)
    monkeypatch.setattr(webbrowser, "open", as_ben)
    asked = await desk.ask("ben", "kill", "release", *place, "--json")

    assert alone.code == 1
    assert "`ordergate login` with this profile" in alone.err
    assert as_another.code == 1
    assert "somebody else logged in" in as_another.err
    assert len(ann.opened) == 1
    assert asked.code == 0, asked.err
    assert asked.json["stops"] == []
    assert len(browser.opened) == 2
