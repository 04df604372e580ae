"""The authorisation matrix: route x role x target x environment x state of the token, every cell executed.

The rows are the operations of the OpenAPI document; one that is not in the table (`matrix`) fails, and so
does one that is there and not served. Whoever may is let in, and what another tenant's object answers is
compared with what a missing one does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from ordergate.core.access import SCOPES_OF, Role, Scope
from ordergate.core.ids import Env
from ordergate.core.risk.trading_state import Grade, Level
from tests.security.doors import Doors
from tests.security.floor import MISSING, OWN, SISTER, TARGETS, THEIRS, Floor, Things, floor
from tests.security.inside import asked
from tests.security.matrix import BY_SECRET, MATRIX, OPERATE, ORDER, PUBLIC, Row

TOKENS: Final = (
    "none",
    "expired",
    "wrong audience",
    "revoked",
    "foreign issuer",
    "other environment",
    "good",
)


@pytest_asyncio.fixture(params=[Env.PAPER, Env.LIVE], ids=str)
async def house(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Floor, Floor]]:
    """The gateway that is asked, and one of the other environment."""
    env: Env = request.param
    async with floor(env) as here:
        elsewhere = Floor(Env.LIVE if env is Env.PAPER else Env.PAPER)
        await elsewhere.open_identity()
        yield here, elsewhere


async def test_every_operation_is_in_the_matrix(house: tuple[Floor, Floor]) -> None:
    paths: dict[str, dict[str, Any]] = house[0].app.openapi()["paths"]
    served = {f"{method.upper()} {path}" for path, operations in paths.items() for method in operations}

    resource = f"GET /.well-known/oauth-protected-resource/{house[0].env}"
    assert served == MATRIX.keys() | PUBLIC | BY_SECRET | {resource}
    assert sorted(ORDER) == sorted(MATRIX)


async def test_every_cell_answers_as_the_matrix_says(house: tuple[Floor, Floor]) -> None:
    here, elsewhere = house
    await _stopped(here, THEIRS)
    before = here.node.gate.kill_state().stops
    tokens = {role: await here.tokens(role, elsewhere) for role in Role}
    wrong: list[str] = []
    cells = 0
    for name in ORDER:
        for role in Role:
            answers: dict[str, tuple[int, Any]] = {}
            for target in TARGETS:
                for state in TOKENS:
                    cells += 1
                    status, body = await _asked(here, name, target, tokens[role][state])
                    if state == "good":
                        answers[target] = status, _shape(body, here.things[target])
                        told = _judged(here, name, role, target, (status, body.get("code")))
                    else:
                        told = None if (status, body.get("code")) == (401, "unauthenticated") else "let in"
                    if told is not None:
                        wrong.append(f"{name} {role} {target} {state}: {status} {body} is {told}")
            wrong += _told_apart(here, name, role, answers)
    assert not wrong, "\n".join(wrong[:40])
    assert cells == len(MATRIX) * len(Role) * len(TARGETS) * len(TOKENS)
    assert here.untouched()
    assert here.node.gate.kill_state().stops == before, "the stop of others, as it was"


async def test_each_listener_has_its_own_routes_and_no_other(house: tuple[Floor, Floor]) -> None:
    """Whoever asks at the wrong door finds nothing there, whatever they may do at the right one."""
    here, _ = house
    doors = Doors(here.app)
    apart = {name for name in MATRIX if doors.is_apart(MATRIX[name].path.format(**here.things[OWN]))}
    gives = {Scope.ACCESS_READ, Scope.ACCESS_WRITE, Scope.CREDENTIALS_WRITE}
    assert apart == {name for name, row in MATRIX.items() if row.scope in gives}
    apart.add("GET /metrics")
    for name in [*MATRIX, *PUBLIC, *BY_SECRET, "GET /openapi.json", "GET /docs", "GET /metrics"]:
        wrong = doors.app if name in apart else doors.administration
        row, thing = MATRIX.get(name), here.things[OWN]
        method, path = name.split(" ")
        for role in Role:
            status, body = await asked(
                wrong,
                method,
                path if row is None else row.path.format(**thing),
                token=here.signed(here.claims(role)),
                body=None if row is None or row.body is None else row.body(thing),
                headers={"idempotency-key": here.key()},
            )
            assert (status, body["code"]) == (404, "not-found"), (name, role, body)


async def test_what_needs_no_token_is_not_changed_by_one(house: tuple[Floor, Floor]) -> None:
    here, elsewhere = house
    tokens = await here.tokens(Role.ADMINISTRATOR, elsewhere)
    for name in sorted(PUBLIC):
        method, path = name.split(" ")
        for token in tokens.values():
            status, _ = await here.ask(method, path, token=token)
            assert status == 200, (name, status)
    for name in sorted(BY_SECRET):
        method, path = name.split(" ")
        for token in tokens.values():
            status, _ = await here.ask(method, path, token=token)
            assert status in (400, 401, 415), (name, status)


async def _stopped(here: Floor, target: str) -> None:
    """A stop of everything on the target's account, as whoever may release it would find it."""
    await here.node.gate.engage_kill(
        here.owner(target),
        grade=Grade.CANCEL_ALL,
        reason="matrix",
        correlation="matrix",
        level=Level.ACCOUNT,
        target=here.accounts[target],
    )
    await here.until(lambda: not any(stop.orders_left for stop in here.node.gate.kill_state().stops))
    here.look_again()


async def _asked(here: Floor, name: str, target: str, token: str | None) -> tuple[int, dict[str, Any]]:
    row, thing = MATRIX[name], here.things[target]
    headers = {"idempotency-key": here.key(), **row.headers}
    return await here.ask(
        name.partition(" ")[0],
        row.path.format(**thing),
        token=token,
        body=None if row.body is None else row.body(thing),
        headers=headers,
    )


def _judged(here: Floor, name: str, role: Role, target: str, answer: tuple[int, str | None]) -> str | None:
    """What is wrong with the answer to a good token, if anything."""
    row, (status, code) = MATRIX[name], answer
    if status >= 500:
        return "a defect"
    if row.scope is not None and not _grants(role, row.scope):
        return None if (status, code) == (403, "forbidden") else "let in without the scope"
    if row.about == "nobody" or _reaches(here, row, role, target):
        return None if status < 300 or (status >= 400 and code == row.reason) else "kept out"
    return None if answer == row.hidden else "let in"


def _grants(role: Role, scope: Scope) -> bool:
    return scope in SCOPES_OF[role] or (scope is OPERATE and Scope.RISK_WRITE in SCOPES_OF[role])


def _reaches(here: Floor, row: Row, role: Role, target: str) -> bool:
    if row.about == "tenant":
        return target in (OWN, SISTER)
    return here.has(role, target)


def _told_apart(here: Floor, name: str, role: Role, answers: dict[str, tuple[int, Any]]) -> list[str]:
    """Targets that are not theirs to see must answer exactly as one that is not there."""
    row = MATRIX[name]
    hidden = [
        target
        for target in (SISTER, THEIRS)
        if row.about != "nobody" and not _reaches(here, row, role, target)
    ]
    return [
        f"{name} {role}: {target} answers {answers[target]}, and a missing one {answers[MISSING]}"
        for target in hidden
        if answers[target] != answers[MISSING]
    ]


def _shape(body: dict[str, Any], thing: Things) -> str:
    """The answer without what must differ: the correlation, and the names that were asked for."""
    plain = str({name: value for name, value in body.items() if name != "correlation_id"})
    for kind, name in thing.items():
        plain = plain.replace(name, f"<{kind}>")
    return plain.replace("<role_change>", "<change>")
