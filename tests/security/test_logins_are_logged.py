"""Every login that succeeds is in the log, with who it was and how; and what fails beside it is, too."""

from __future__ import annotations

import io
import json
from typing import Any

from tests.security.test_passkey_login import holder
from tests.security.visitor import PASSWORD, visitor
from tests.security.world import world

_WRONG = {"grant_type": "client_credentials", "client_id": "desk", "client_secret": "not it"}
_HOW = {"logger", "level", "at", "room"}


def lines(logged: io.StringIO, event: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in logged.getvalue().splitlines()]
    return [
        {name: value for name, value in line.items() if name not in _HOW}
        for line in found
        if line["event"] == event
    ]


async def test_a_program_that_gets_a_token_is_logged_by_its_name(logged: io.StringIO) -> None:
    here = await world()
    await here.token()
    told = {"client_id": "desk", "event": "login.succeeded", "path": "/oauth/token", "status": 200}
    assert lines(logged, "login.succeeded") == [told]


async def test_a_person_who_is_let_in_is_logged_with_program_and_means(logged: io.StringIO) -> None:
    alice = await visitor(await world())
    await alice.tokens()
    person = {"client_id": "app", "event": "login.succeeded", "person": "alice", "by": "password"}
    assert [line for line in lines(logged, "login.succeeded") if "person" in line] == [person]
    assert PASSWORD not in logged.getvalue()


async def test_a_passkey_that_lets_somebody_in_is_logged_as_one(logged: io.StringIO) -> None:
    alice = await holder()
    assert (await alice.show()).status == 200
    person = {"client_id": "app", "event": "login.succeeded", "person": "alice", "by": "passkey"}
    assert lines(logged, "login.succeeded")[-1] == person


async def test_who_is_not_let_in_is_logged_as_that_and_as_nothing_else(logged: io.StringIO) -> None:
    here = await world()
    answer = await here.ask("/oauth/token", _WRONG)
    assert answer.status == 401
    assert [line["client_id"] for line in lines(logged, "login.failed")] == ["desk"]
    assert lines(logged, "login.succeeded") == []
