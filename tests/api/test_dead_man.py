"""Dead man's switches by REST and on the stream, against the engine's own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import msgspec
import pytest

from ordergate.api.stream import frames
from ordergate.api.stream.actions import DeadManAsked, Send
from ordergate.api.stream.dead_man import DeadManOfStream
from ordergate.core.access import Principal
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.trading_state import Remaining
from ordergate.engine.answering.answers import DeadManView
from tests.api.people import EVERYTHING, NobodyArmed, principal
from tests.api.served import Served
from tests.api.sessions import a_session

TRADER = principal("trader", EVERYTHING)


class Remembering(NobodyArmed):
    """Notes whose connection was lost."""

    def __init__(self) -> None:
        self.lost: list[tuple[str, str]] = []
        self.connections: list[object] = []
        self.writes = asyncio.Event()
        self.writes.set()

    async def arm(
        self,
        principal: Principal,
        session: str,
        *,
        timeout_s: int,
        gtc: Remaining,
        correlation: str,
        connection: object = None,
    ) -> DeadManView | Refusal:
        self.connections.append(connection)
        await self.writes.wait()
        return await super().arm(principal, session, timeout_s=timeout_s, gtc=gtc, correlation=correlation)

    def refresh(self, principal: Principal, session: str, connection: object = None) -> DeadManView | Refusal:
        self.connections.append(connection)
        return super().refresh(principal, session)

    def gone(self, principal: Principal, session: str, why: str, connection: object = None) -> None:
        self.lost.append((principal.client_id, session))
        self.connections.append(connection)


async def asked(stream: DeadManOfStream, frame: frames.AnyDeadManFrame) -> dict[str, Any]:
    told = await stream.answer_to(TRADER, DeadManAsked(frame=frame, correlation="c"))
    decoded: dict[str, Any] = msgspec.json.decode(told.payload)
    return decoded


async def test_arming_is_answered_with_when_to_refresh() -> None:
    stream = DeadManOfStream(Remembering())
    told = await asked(stream, frames.DeadManArm(id="1", gtc="cancel", timeout_s=30))
    assert (told["type"], told["id"], told["state"], told["refresh_s"]) == ("dead_man", "1", "armed", 10)


@pytest.mark.parametrize("on_disconnect", [True, False])
async def test_a_lost_stream_counts_at_once_only_where_the_client_said_so(on_disconnect: bool) -> None:
    dead_man = Remembering()
    stream = DeadManOfStream(dead_man)
    await asked(stream, frames.DeadManArm(gtc="keep", session="algo", on_disconnect=on_disconnect))
    stream.disconnected()
    stream.disconnected()
    assert dead_man.lost == ([("trader", "algo")] if on_disconnect else [])


async def test_a_stream_says_which_it_is_whenever_it_is_heard_or_lost() -> None:
    dead_man = Remembering()
    stream = DeadManOfStream(dead_man)
    await asked(stream, frames.DeadManArm(gtc="keep", on_disconnect=True))
    await asked(stream, frames.DeadManRefresh())
    stream.disconnected()
    assert dead_man.connections == [stream, stream, stream]


async def test_whether_a_lost_stream_counts_is_what_the_client_said_last() -> None:
    dead_man = Remembering()
    stream = DeadManOfStream(dead_man)
    for on_disconnect in (True, False):
        await asked(stream, frames.DeadManArm(gtc="keep", on_disconnect=on_disconnect))
    stream.disconnected()
    assert dead_man.lost == []


@pytest.mark.parametrize("gateway_leaves", [True, False])
async def test_a_stream_that_is_lost_while_it_arms_counts_once_that_is_armed(gateway_leaves: bool) -> None:
    dead_man = Remembering()
    stream = DeadManOfStream(dead_man)
    dead_man.writes.clear()
    arming = asyncio.create_task(
        asked(stream, frames.DeadManArm(gtc="keep", session="a", on_disconnect=True))
    )
    await asyncio.sleep(0)
    if gateway_leaves:
        stream.forget()
    stream.disconnected()
    dead_man.writes.set()
    await arming
    assert dead_man.lost == ([] if gateway_leaves else [("trader", "a")])


class Disarming(Remembering):
    """Disarms, once it can be written down, unless there is a reason why not."""

    no: Code | None = None

    async def disarm(self, *_: object, **__: object) -> DeadManView | Refusal:
        await self.writes.wait()
        if self.no is not None:
            return Refusal(self.no, "still armed: it could not be written down")
        view = await super().arm(TRADER, "a", timeout_s=60, gtc=Remaining.KEEP, correlation="c")
        assert isinstance(view, DeadManView)
        return msgspec.structs.replace(view, state="disarmed")


@pytest.mark.parametrize("no", [None, Code.UNAVAILABLE, Code.FORBIDDEN])
async def test_a_lost_stream_counts_for_what_could_not_be_disarmed(no: Code | None) -> None:
    dead_man = Disarming()
    stream = DeadManOfStream(dead_man)
    await asked(stream, frames.DeadManArm(gtc="keep", session="a", on_disconnect=True))
    dead_man.no = no
    await asked(stream, frames.DeadManDisarm(session="a"))
    stream.disconnected()
    assert dead_man.lost == ([] if no is None else [("trader", "a")])


async def test_a_stream_that_is_lost_while_it_disarms_does_not_count() -> None:
    dead_man = Disarming()
    stream = DeadManOfStream(dead_man)
    await asked(stream, frames.DeadManArm(gtc="keep", session="a", on_disconnect=True))
    dead_man.writes.clear()
    disarming = asyncio.create_task(asked(stream, frames.DeadManDisarm(session="a")))
    await asyncio.sleep(0)
    stream.disconnected()
    dead_man.writes.set()
    await disarming
    assert dead_man.lost == []


async def test_a_stream_that_is_lost_while_it_disarms_counts_once_that_is_refused() -> None:
    dead_man = Disarming()
    stream = DeadManOfStream(dead_man)
    await asked(stream, frames.DeadManArm(gtc="keep", session="a", on_disconnect=True))
    dead_man.no = Code.UNAVAILABLE
    dead_man.writes.clear()
    disarming = asyncio.create_task(asked(stream, frames.DeadManDisarm(session="a")))
    await asyncio.sleep(0)
    stream.disconnected()
    assert dead_man.lost == []
    dead_man.writes.set()
    await disarming
    assert dead_man.lost == [("trader", "a")]


async def test_a_gateway_that_goes_away_is_no_client_that_did() -> None:
    dead_man = Remembering()
    stream = DeadManOfStream(dead_man)
    await asked(stream, frames.DeadManArm(gtc="keep", on_disconnect=True))
    stream.forget()
    stream.disconnected()
    assert dead_man.lost == []


async def test_a_refusal_is_an_error_frame() -> None:
    stream = DeadManOfStream(Remembering())
    for frame in (frames.DeadManRefresh(id="1"), frames.DeadManDisarm(id="1")):
        told = await asked(stream, frame)
        assert (told["type"], told["code"], told["id"]) == ("error", "not-found", "1")


def test_a_session_asks_in_the_background_and_within_its_bound() -> None:
    session = a_session()
    text = msgspec.json.encode({"type": "dead_man.arm", "id": "1", "gtc": "cancel", "on_disconnect": True})
    actions: Sequence[object] = session.received(text, 1.0)
    assert [type(one) for one in actions] == [DeadManAsked]
    wrong = session.received(msgspec.json.encode({"type": "dead_man.arm", "timeout_s": 1}), 1.0)
    assert [type(one) for one in wrong] == [Send]


async def test_the_stream_arms_over_a_real_socket(served: Served) -> None:
    async with served.stream() as talk:
        await talk.until("authenticated")
        await talk.send(type="dead_man.arm", id="7", gtc="keep", timeout_s=60)
        told = await talk.until("dead_man")
        assert (told["id"], told["gtc"], told["refresh_s"]) == ("7", "keep", 20)


async def test_rest_arms_shows_and_refuses_what_is_not_armed(client: httpx.AsyncClient) -> None:
    armed = await client.put("/v1/dead-man", json={"gtc": "cancel", "timeout_s": 30})
    assert (armed.status_code, armed.json()["state"], armed.json()["session"]) == (200, "armed", "default")
    assert (await client.get("/v1/dead-man")).json() == {"sessions": []}
    assert (await client.delete("/v1/dead-man/default")).status_code == 404
    wrong = await client.put("/v1/dead-man", json={"timeout_s": 1})
    assert wrong.status_code == 400
    assert {one["field"] for one in wrong.json()["errors"]} == {"gtc", "timeout_s"}
