"""An account of the venue may have several key pairs; what is revoked opens nothing any more."""

import aiohttp
import httpx
import pytest

from ordergate.venue.faces.alpaca.access import Doorkeeper, Keyring, RateLimiter
from ordergate.venue.server import Venue, running
from tests.venue_alpaca import floor

SECOND = {"account": "alice", "key": "alice-second", "secret": "alice-second-secret"}


def account(venue: Venue, key: str, secret: str) -> int:
    headers = {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret}
    return httpx.get(f"{venue.base_url}/v2/account", headers=headers, timeout=20.0).status_code


def test_both_pairs_open_the_account_until_one_is_revoked(venue: Venue, admin: httpx.Client) -> None:
    assert account(venue, SECOND["key"], SECOND["secret"]) == 401
    assert admin.post("/keys", json=SECOND).status_code == 201
    assert account(venue, SECOND["key"], SECOND["secret"]) == 200
    assert account(venue, floor.ALICE.key, floor.ALICE.secret) == 200

    assert admin.delete(f"/keys/{floor.ALICE.key}").json() == {"streams_ended": 0}
    assert account(venue, floor.ALICE.key, floor.ALICE.secret) == 401
    assert account(venue, SECOND["key"], SECOND["secret"]) == 200


@pytest.mark.parametrize(
    ("asked", "status"),
    [(SECOND | {"account": "nobody"}, 404), (SECOND | {"key": floor.BOB.key}, 422), ({"key": "x"}, 422)],
)
def test_a_key_that_cannot_be_is_refused(admin: httpx.Client, asked: dict[str, str], status: int) -> None:
    assert admin.post("/keys", json=asked).status_code == status


def test_a_key_that_is_not_there_cannot_be_revoked(admin: httpx.Client) -> None:
    assert admin.delete("/keys/nothing").status_code == 404


def test_a_token_that_is_dismissed_opens_nothing() -> None:
    door = Doorkeeper([Keyring(account="alice", key="k", secret="s")])
    door.admit("token", "alice")
    assert door.by_token("token") == "alice"
    door.dismiss("token")
    assert door.by_token("token") is None
    assert door.by_token("") is None


def test_a_clock_that_is_set_back_locks_nobody_out() -> None:
    limiter, noon = RateLimiter(1), 1_700_000_000.0
    taken = [limiter.take("alice", at) for at in (noon, noon + 1, noon - 3_600, noon - 3_599)]
    assert [one is not None and one.allowed for one in taken] == [True, False, True, False]


async def test_the_stream_of_a_revoked_key_ends_and_that_of_another_does_not() -> None:
    async with running(floor.SETTINGS) as venue, aiohttp.ClientSession() as http:
        venue.add_key("alice", SECOND["key"], SECOND["secret"])
        streams = []
        for key, secret in ((floor.ALICE.key, floor.ALICE.secret), (SECOND["key"], SECOND["secret"])):
            stream = await http.ws_connect(f"{venue.base_url}/stream")
            await stream.send_json({"action": "auth", "key": key, "secret": secret})
            told = await stream.receive(timeout=20)
            assert b"authorized" in (told.data if isinstance(told.data, bytes) else told.data.encode())
            streams.append(stream)

        assert venue.revoke_key(floor.ALICE.key) == 1

        ended = await streams[0].receive(timeout=20)
        assert ended.type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}
        assert not streams[1].closed
        assert venue.revoke_key(floor.ALICE.key) is None
