"""The authorisation matrix of the WebSocket: frame x role x target x environment, and every token state.

Every kind of frame that a client may send is in the table, or the test fails.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Final, NamedTuple, get_args

import msgspec
import pytest
import pytest_asyncio
from websockets.exceptions import InvalidStatus

from ordergate.api.stream import frames
from ordergate.api.stream.channels import Channel
from ordergate.core.access import SCOPES_OF, Role, Scope
from ordergate.core.ids import Env
from tests.api.served import Served, Talk, serving
from tests.security.floor import MISSING, OWN, SISTER, TARGETS, THEIRS, Floor, Things, floor
from tests.security.inside import with_certificate

Frame = Callable[[Floor, Things], dict[str, Any]]


class Row(NamedTuple):
    scope: Scope | None
    of_account: bool
    frame: Frame


def _place(here: Floor, thing: Things) -> dict[str, Any]:
    order = {
        "account_id": thing["account"],
        "symbol": "ESH4",
        "side": "buy",
        "type": "limit",
        "quantity": "1",
        "limit_price": "4700",
        "time_in_force": "day",
    }
    return {"type": "place", "idempotency_key": here.key(), "order": order}


def _place_group(here: Floor, thing: Things) -> dict[str, Any]:
    leg = {"role": "trail", "side": "sell", "type": "trailing_stop", "trail_amount": "5"}
    group = {
        "account_id": thing["account"],
        "type": "trailing_stop",
        "symbol": "ESH4",
        "quantity": "1",
        "legs": [leg],
    }
    return {"type": "place_group", "idempotency_key": here.key(), "group": group}


def _on_order(kind: str, **more: str) -> Frame:
    return lambda here, thing: {
        "type": kind,
        "idempotency_key": here.key(),
        "order_id": thing["order"],
        **more,
    }


def _following(channel: Channel) -> Frame:
    return lambda _, thing: {"type": "subscribe", "account_id": thing["account"], "channels": [channel.value]}


WRITE, READ, SEE = Scope.ORDERS_WRITE, Scope.ORDERS_READ, Scope.ACCOUNTS_READ
MATRIX: Final[dict[str, Row]] = {
    "place": Row(WRITE, True, _place),
    "replace": Row(WRITE, True, _on_order("replace", limit_price="4701")),
    "cancel": Row(WRITE, True, _on_order("cancel")),
    "place_group": Row(WRITE, True, _place_group),
    "cancel_group": Row(
        WRITE,
        True,
        lambda here, thing: {
            "type": "cancel_group",
            "idempotency_key": here.key(),
            "group_id": thing["group"],
        },
    ),
    "subscribe orders": Row(READ, True, _following(Channel.ORDERS)),
    "subscribe executions": Row(READ, True, _following(Channel.EXECUTIONS)),
    "subscribe positions": Row(SEE, True, _following(Channel.POSITIONS)),
    "subscribe balances": Row(SEE, True, _following(Channel.BALANCES)),
    "subscribe account": Row(SEE, True, _following(Channel.ACCOUNT)),
    "subscribe risk": Row(Scope.RISK_READ, True, _following(Channel.RISK)),
    "subscribe quotes": Row(
        Scope.MARKET_DATA_READ,
        False,
        lambda *_: {"type": "subscribe", "channel": "quotes", "symbols": ["ESH4"]},
    ),
    "unsubscribe": Row(None, False, lambda _, thing: {"type": "unsubscribe", "account_id": thing["account"]}),
    "ping": Row(None, False, lambda *_: {"type": "ping"}),
    "dead_man.arm": Row(WRITE, False, lambda *_: {"type": "dead_man.arm", "gtc": "keep"}),
    "dead_man.refresh": Row(WRITE, False, lambda *_: {"type": "dead_man.refresh"}),
    "dead_man.disarm": Row(WRITE, False, lambda *_: {"type": "dead_man.disarm"}),
    "drop_copy.subscribe": Row(Scope.SURVEILLANCE_READ, False, lambda *_: {"type": "drop_copy.subscribe"}),
    "drop_copy.unsubscribe": Row(None, False, lambda *_: {"type": "drop_copy.unsubscribe"}),
}
ABOUT_TOKENS: Final = {"authenticate", "auth.refresh"}


@pytest_asyncio.fixture(params=[Env.PAPER, Env.LIVE], ids=str)
async def house(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Floor, Floor, Served]]:
    env: Env = request.param
    async with floor(env) as here, serving(here.deps, wrap=with_certificate) as served:
        elsewhere = Floor(Env.LIVE if env is Env.PAPER else Env.PAPER)
        await elsewhere.open_identity()
        yield here, elsewhere, served


def test_every_frame_of_a_client_is_in_the_matrix() -> None:
    kinds = {kind.__struct_config__.tag for kind in get_args(frames.AnyClientFrame)}

    assert {name.partition(" ")[0] for name in MATRIX} | ABOUT_TOKENS == kinds
    assert {f"subscribe {channel}" for channel in Channel} <= MATRIX.keys()


async def test_every_cell_answers_as_the_matrix_says(house: tuple[Floor, Floor, Served]) -> None:
    here, elsewhere, served = house
    wrong: list[str] = []
    cells = 0
    for role in Role:
        token = (await here.tokens(role, elsewhere))["good"]
        async with served.stream(token) as talk:
            for name, row in MATRIX.items():
                answers: dict[str, Any] = {}
                for target in TARGETS:
                    cells += 1
                    frame_id = f"{name} {target}".replace(" ", "-")
                    await talk.send(id=frame_id, **row.frame(here, here.things[target]))
                    code, told = await _answer(talk, frame_id)
                    answers[target] = _shape(told, frame_id, here.things[target])
                    judged = _judged(here, row, role, target, code)
                    if judged is not None:
                        wrong.append(f"{name} {role} {target}: {told} is {judged}")
                for target in (SISTER, THEIRS):
                    hidden = row.of_account and not here.has(role, target)
                    if hidden and answers[target] != answers[MISSING]:
                        wrong.append(f"{name} {role} {target}: {answers[target]} is no {answers[MISSING]}")
    assert not wrong, "\n".join(wrong[:40])
    assert cells == len(MATRIX) * len(Role) * len(TARGETS)
    assert here.untouched()


async def test_no_state_of_a_token_but_the_good_one_opens_a_stream(
    house: tuple[Floor, Floor, Served],
) -> None:
    here, elsewhere, served = house
    for role in Role:
        for state, token in (await here.tokens(role, elsewhere)).items():
            if token is None:
                continue
            if state == "good":
                async with served.stream(token) as talk:
                    assert (await talk.until("authenticated"))["client_id"] == f"app:{role.value}"
                async with served.stream(None) as talk:
                    await talk.send(type="authenticate", id="a", token=token)
                    await talk.until("authenticated", id="a")
                continue
            with pytest.raises(InvalidStatus) as turned_away:
                async with served.stream(token):
                    pass
            assert turned_away.value.response.status_code == 401, state
            async with served.stream(None) as talk:
                await talk.send(type="authenticate", id="a", token=token)
                assert (await talk.until("error", id="a"))["code"] == "unauthenticated", state
                assert (await talk.closed())[0] == 4001


async def test_without_a_token_nothing_is_listened_to(house: tuple[Floor, Floor, Served]) -> None:
    here, _, served = house
    for name, row in MATRIX.items():
        if name == "ping":
            continue
        async with served.stream(None) as talk:
            await talk.send(id="a", **row.frame(here, here.things[OWN]))
            assert (await talk.until("error", id="a"))["code"] == "unauthenticated", name


async def test_a_demotion_ends_an_open_stream_and_what_it_may_do(house: tuple[Floor, Floor, Served]) -> None:
    here, elsewhere, served = house
    token = (await here.tokens(Role.TRADER, elsewhere))["good"]
    (role,) = [one for one in here.access._book.access.assignments if one.subject == Role.TRADER.value]
    async with served.stream(token) as talk:
        await talk.until("authenticated")
        await here.store.withdraw(role)  # by another process
        await here.security.directory.refresh()  # as it does every two seconds
        status, _ = await here.ask("GET", "/v1/accounts", token=token)  # the same token, read again meanwhile
        assert status == 403

        await talk.send(id="late", **_place(here, here.things[OWN]))

        assert (await talk.closed())[0] == 4001


async def _answer(talk: Talk, frame_id: str) -> tuple[str | None, dict[str, Any]]:
    """The code of what is said to the frame, None where it is no refusal, and all of it."""
    while True:
        told = await talk.next()
        if told.get("id") == frame_id:
            problem = told.get("problem") or {}
            return problem.get("code") or told.get("code"), told


def _judged(here: Floor, row: Row, role: Role, target: str, code: str | None) -> str | None:
    if row.scope is not None and row.scope not in SCOPES_OF[role]:
        return None if code == "forbidden" else "let in without the scope"
    if not row.of_account:
        return "kept out" if code in ("forbidden", "unauthenticated") else None
    if here.has(role, target):
        return "kept out" if code in ("forbidden", "unauthenticated", "not-found") else None
    return None if code == "not-found" else "let in"


def _shape(told: dict[str, Any], frame_id: str, thing: Things) -> str:
    plain = msgspec.json.encode(told).decode().replace(frame_id, "<id>")
    for kind, name in thing.items():
        plain = plain.replace(name, f"<{kind}>")
    problem = told.get("problem") or {}
    return plain.replace(str(problem.get("correlation_id")), "<correlation>")
