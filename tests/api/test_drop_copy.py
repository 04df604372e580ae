"""The drop copy by REST and on the stream: in order, by number, resumable, and to whom it may be shown."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest

from ordergate.api.app import ApiDeps, create_app
from ordergate.api.cursors import cursor_of
from ordergate.api.stream import frames
from ordergate.api.stream.actions import FollowCopy, LeaveCopy, Send
from ordergate.core.access import Scope
from ordergate.core.ids import AccountId
from ordergate.journal.memory_surveillance import MemorySurveillance
from ordergate.ports.surveillance import Notice
from tests.api.books import Books
from tests.api.ledger import ACCOUNT, OTHER_ACCOUNT
from tests.api.people import EVERYTHING, READER, TRADER, Directory, StillClock, deps_of, principal
from tests.api.served import serving
from tests.api.sessions import a_session

CONTROL, LIMITS = AccountId("P-CONTROL"), AccountId("P-LIMITS")
CHIEF = "token-of-the-chief"


@pytest.fixture
def copies() -> MemorySurveillance:
    return MemorySurveillance()


@pytest.fixture
def deps(books: Books, clock: StillClock, identity: Directory, copies: MemorySurveillance) -> ApiDeps:
    every = frozenset({ACCOUNT, OTHER_ACCOUNT})
    identity.principals[CHIEF] = msgspec.structs.replace(principal("chief", EVERYTHING), accounts=every)
    return deps_of(books, clock=clock, identity=identity, copies=copies)


async def keep(copies: MemorySurveillance, account: AccountId, *seqs: int) -> None:
    told = [
        Notice(
            account=account,
            seq=seq,
            kind="order_filled",
            frame=b'{"type":"event","account_id":"%b","seq":%d,"kind":"order_filled","at":"2024-03-01T14:30:00Z"}'
            % (account.encode(), seq),
        )
        for seq in seqs
    ]
    await copies.keep({}, told, [], StillClock().now())


def seen(entries: list[dict[str, Any]]) -> list[tuple[int, str, int]]:
    return [(one["number"], one["event"]["account_id"], one["event"]["seq"]) for one in entries]


async def page(client: httpx.AsyncClient, query: str = "", token: str = TRADER) -> dict[str, Any]:
    answer = await client.get(f"/v1/drop-copy{query}", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_pages_go_on_where_the_last_ended_also_when_more_comes_later(
    deps: ApiDeps, copies: MemorySurveillance
) -> None:
    transport = httpx.ASGITransport(create_app(deps))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        await keep(copies, ACCOUNT, 1, 2, 3)
        first = await page(client, "?limit=2")
        assert [one["number"] for one in first["entries"]] == [1, 2]
        second = await page(client, f"?limit=2&cursor={first['next']}")
        assert [one["number"] for one in second["entries"]] == [3]
        nothing = await page(client, f"?cursor={second['next']}")
        assert nothing["entries"] == []
        await keep(copies, ACCOUNT, 4)
        assert seen((await page(client, f"?cursor={nothing['next']}"))["entries"]) == [(4, "P-DEMO", 4)]
        assert [one["number"] for one in (await page(client, "?after=2"))["entries"]] == [3, 4]


async def test_it_is_shown_with_its_scope_and_of_ones_accounts(
    deps: ApiDeps, copies: MemorySurveillance
) -> None:
    transport = httpx.ASGITransport(create_app(deps))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        for account in (ACCOUNT, OTHER_ACCOUNT, CONTROL, LIMITS):
            await keep(copies, account, 1)
        assert [one[1] for one in seen((await page(client))["entries"])] == ["P-DEMO", "P-CONTROL"]
        assert len((await page(client, token=CHIEF))["entries"]) == 4
        no = await client.get("/v1/drop-copy", headers={"authorization": f"Bearer {READER}"})
        assert (no.status_code, no.json()["code"]) == (403, "forbidden")


async def test_whose_roles_differ_is_shown_the_accounts_of_the_role_that_may_alone(
    deps: ApiDeps, copies: MemorySurveillance, identity: Directory
) -> None:
    """By REST and on the stream alike: a trader of one account is no compliance officer of it."""
    chief = identity.principals[CHIEF]
    pairs = {(OTHER_ACCOUNT, scope) for scope in EVERYTHING - {Scope.SURVEILLANCE_READ}}
    mixed = frozenset({(ACCOUNT, Scope.SURVEILLANCE_READ), *pairs})
    identity.principals[CHIEF] = msgspec.structs.replace(chief, by_account=mixed)
    for account in (OTHER_ACCOUNT, LIMITS, CONTROL, ACCOUNT):
        await keep(copies, account, 1)
    async with serving(deps) as served:
        async with served.client(CHIEF) as client:
            by_rest = [one[0] for one in seen((await page(client, token=CHIEF))["entries"])]
        async with served.stream(CHIEF) as talk:
            await talk.until("authenticated")
            await talk.send(type="drop_copy.subscribe", id="1", after=0)
            told = [(await talk.until("drop_copy"))["number"] for _ in range(2)]
    assert by_rest == told == [3, 4]


async def test_the_stream_tells_the_past_and_the_present_without_a_gap(
    deps: ApiDeps, copies: MemorySurveillance
) -> None:
    await keep(copies, ACCOUNT, *range(1, 251))
    async with serving(deps) as served, served.stream() as talk:
        await talk.until("authenticated")
        await talk.send(type="drop_copy.subscribe", id="1", after=10)
        told = await talk.until("subscribed")
        assert (told["channel"], told["after"], told["id"]) == ("drop_copy", 10, "1")
        numbers = [await talk.until("drop_copy") for _ in range(240)]
        assert [one["number"] for one in numbers] == list(range(11, 251))
        await keep(copies, OTHER_ACCOUNT, 1)
        await keep(copies, ACCOUNT, 251)
        last = await talk.until("drop_copy")
        assert (last["prev_number"], last["number"]) == (250, 252)
        await talk.send(type="drop_copy.unsubscribe", id="2")
        assert (await talk.until("unsubscribed"))["channel"] == "drop_copy"
        await keep(copies, ACCOUNT, 252)
        await talk.send(type="drop_copy.subscribe", id="3")
        assert (await talk.until("subscribed"))["after"] == 253
        await keep(copies, ACCOUNT, 253)
        assert (await talk.until("drop_copy"))["number"] == 254


async def test_a_number_that_was_never_given_is_said_and_so_is_a_store_that_is_away(
    deps: ApiDeps, copies: MemorySurveillance
) -> None:
    async with serving(deps) as served, served.stream() as talk:
        await talk.until("authenticated")
        await talk.send(type="drop_copy.subscribe", id="1", after=1)
        assert (await talk.until("error"))["code"] == "invalid"
        copies.away = True
        await talk.send(type="drop_copy.subscribe", id="2")
        assert (await talk.until("error", id="2"))["code"] == "unavailable"


@pytest.mark.parametrize(
    "query",
    [
        "after=2",
        f"cursor={cursor_of('drop-copy', '2')}",
        f"cursor={cursor_of('drop-copy', 'two')}",
        f"cursor={cursor_of('drop-copy', '9' * 200)}",
    ],
)
async def test_whoever_goes_on_after_a_number_that_was_never_given_is_refused(
    deps: ApiDeps, copies: MemorySurveillance, query: str
) -> None:
    """As after a restore from an older backup: what is given that number next must not be passed over."""
    await keep(copies, ACCOUNT, 1)
    transport = httpx.ASGITransport(create_app(deps))
    headers = {"authorization": f"Bearer {TRADER}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
        assert (await client.get("/v1/drop-copy?after=1")).status_code == 200
        answer = await client.get(f"/v1/drop-copy?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


def test_the_stream_wants_the_scope_and_a_token_that_lost_it_hears_no_more() -> None:
    session = a_session()
    asked = msgspec.json.encode({"type": "drop_copy.subscribe", "id": "1", "after": 7})
    assert session.received(asked, 1.0) == [FollowCopy(after=7, frame_id="1")]
    less = principal("trader", EVERYTHING - {Scope.SURVEILLANCE_READ})
    lost = session.logged_in(less, None)
    assert LeaveCopy() in lost
    (no,) = session.received(asked, 1.0)
    assert isinstance(no, Send)
    assert no.refused == "forbidden"
    assert b"surveillance:read" in no.payload


def test_a_frame_of_the_drop_copy_is_whole() -> None:
    decoded = frames.decoder.decode(b'{"type":"drop_copy.subscribe"}')
    assert decoded == frames.DropCopySubscribe(after=None)
