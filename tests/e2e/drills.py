"""Every secret replaced as the runbook says, on a ground under load; each tells how long it took.

A drill asserts that the new secret serves and that the old one does not, once it should not any more. That no
order failed is the ground's to say.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import aiohttp
import asyncpg

from ordergate.wiring import demo
from tests.e2e.floor import ACCOUNT, CLIENT_ID
from tests.e2e.ground import PASSPHRASE, ROLE, Ground, pair
from tests.e2e.pacing import PACE

EMERGENCY_S_MAX: Final = 300.0
LOOK_S: Final = 0.02
BACK_S_MAX: Final = 60.0
RETRY_S: Final = 0.25

Told = dict[str, Any]


async def broker_credentials(here: Ground) -> Told:
    old, new = "floor-key", "drill-key"
    made = {"account": demo.VENUE_ACCOUNT, "key": new, "secret": "drill-secret"}
    await here.it.admin("POST", "keys", made)
    source = pair(here.it, new, made["secret"])
    began = time.monotonic()
    told = await here.told("credentials", "rotate", "venue", "--from", source)
    took = time.monotonic() - began
    assert told["state"] == "revoked"
    await here.it.admin("DELETE", f"keys/{old}")
    return {"s": took}


async def database_password(here: Ground) -> Told:
    """And a pool whose connections are all ended comes back with the new one."""
    before = here.passfile.read_text(encoding="utf-8")
    began = time.monotonic()
    await here.told("secrets", "rotate-database-password")
    took = time.monotonic() - began
    assert here.passfile.read_text(encoding="utf-8") != before
    old = here.passfile.with_name("old")
    old.write_text(before, encoding="utf-8")
    old.chmod(0o600)
    try:
        await (await asyncpg.connect(here.address, passfile=str(old))).close()
    except asyncpg.InvalidPasswordError:
        pass
    else:
        raise AssertionError("the old password still lets somebody in")
    connection = await asyncpg.connect(here.address)
    ours = f"from pg_stat_activity where usename = '{ROLE}' and application_name = 'ordergate identity'"
    try:
        ended = [row["pid"] for row in await connection.fetch(f"select pid {ours}")]
        assert ended
        await connection.execute(f"select pg_terminate_backend(pid) {ours}")
        async with asyncio.timeout(BACK_S_MAX):
            while not await connection.fetchval(f"select count(*) {ours} and pid <> all($1)", ended):
                await PACE.sleep(LOOK_S)
    finally:
        await connection.close()
    return {"s": took}


async def client_secret(here: Ground) -> Told:
    """Both serve; then, at a rotation without an overlap, only the newest."""
    secrets = [here.it.client_secret]
    began = time.monotonic()
    secrets.append(await _replaced(here, overlap_s=3_600))
    took = time.monotonic() - began
    for secret in secrets[::-1]:
        here.it.client_secret = secret
        await here.rest.log_in()
    secrets.append(await _replaced(here, overlap_s=0))
    here.it.client_secret = secrets[-1]
    await here.rest.log_in()
    assert await _token_status(here, secrets[1]) == 401
    return {"s": took}


async def webhook_secret(here: Ground) -> Told:
    """The receiver knows one secret at a time, and learns of the next a while after it was made."""
    took = 0.0
    for _ in range(2):
        await here.receiver.more()
        began = time.monotonic()
        made = (await here.told("secrets", "rotate-webhook", "desk"))["secret"]
        took = max(took, time.monotonic() - began)
        await here.receiver.more()
        here.receiver.secret = made
    await here.receiver.more()
    assert here.receiver.refused == 0
    return {"s": took, "messages": here.receiver.believed}


async def hook_secret(here: Ground) -> Told:
    """Both are accepted; then, at a rotation without an overlap, only the newest."""
    words = [PASSPHRASE]
    began = time.monotonic()
    words.append((await here.told("secrets", "rotate-hook", "trend"))["secret"])
    await _until_alerted(here, words[1])
    took = time.monotonic() - began
    assert await _alerted(here, words[0]) == 201
    words.append((await here.told("secrets", "rotate-hook", "trend", "--overlap", "0"))["secret"])
    await _until_alerted(here, words[2])
    assert [await _alerted(here, word) for word in words[:2]] == [401, 401]
    return {"s": took}


async def signing_key(here: Ground) -> Told:
    old = dict(here.rest.headers)
    began = time.monotonic()
    told = await here.told("keys", "rotate", "tokens")
    await _until_signed_by_another(here, old)
    took = time.monotonic() - began
    assert await _status(here, old) == 200, "old tokens stay good as long as they live"
    return {"s": took, "version": told["version"]}


async def signing_key_in_an_emergency(here: Ground) -> Told:
    """From the command to the first refusal of an old token, and to the first order under a new one."""
    old = dict(here.rest.headers)
    logins, began = here.load.logins, time.monotonic()
    rotating = asyncio.create_task(here.told("keys", "rotate", "tokens", "--emergency"))
    async with asyncio.timeout(EMERGENCY_S_MAX):
        while await _status(here, old) != 401:
            await PACE.sleep(LOOK_S)
        refused_s = time.monotonic() - began
        taken = here.load.answers["201"]
        while here.load.logins == logins or here.load.answers["201"] == taken:
            await PACE.sleep(LOOK_S)
    flowing_s = time.monotonic() - began
    await rotating
    return {"s": flowing_s, "old_tokens_refused_s": refused_s, "orders_again_s": flowing_s}


async def wrapping_key(here: Ground) -> Told:
    began = time.monotonic()
    told = await here.told("keys", "rotate", "secrets")
    took = time.monotonic() - began
    assert told["left"] == 0
    assert told["disabled"] != []
    return {"s": took, "rows": told["done"]}


DRILLS: Final[Mapping[str, Callable[[Ground], Awaitable[Told]]]] = {
    "broker_credentials": broker_credentials,
    "database_password": database_password,
    "client_secret": client_secret,
    "webhook_secret": webhook_secret,
    "hook_secret": hook_secret,
    "signing_key": signing_key,
    "signing_key_in_an_emergency": signing_key_in_an_emergency,
    "wrapping_key": wrapping_key,
}


async def _replaced(here: Ground, *, overlap_s: int) -> str:
    words = ("clients", "add", CLIENT_ID, "--account", ACCOUNT, "--replace", "--overlap", str(overlap_s))
    return str((await here.told(*words))["client_secret"])


async def _token_status(here: Ground, secret: str) -> int:
    headers = {"Authorization": aiohttp.encode_basic_auth(CLIENT_ID, secret)}
    form = {"grant_type": "client_credentials"}
    async with here.it.http.post(f"{here.it.base_url}/oauth/token", data=form, headers=headers) as answer:
        return answer.status


async def _alerted(here: Ground, word: str) -> int:
    """The answer to an alert that is proved by the passphrase."""
    alert = {"word": word, "at": int(time.time()), "id": time.monotonic_ns()}
    async with here.it.http.post(f"{here.it.base_url}/v1/hooks/trend", json=alert) as answer:
        return answer.status


async def _until_alerted(here: Ground, word: str) -> None:
    async with asyncio.timeout(BACK_S_MAX):
        while await _alerted(here, word) != 201:
            await PACE.sleep(RETRY_S)


async def _status(here: Ground, headers: dict[str, str]) -> int:
    async with here.it.http.get(f"{here.it.base_url}/v1/accounts", headers=headers) as answer:
        return answer.status


async def _until_signed_by_another(here: Ground, old: dict[str, str]) -> None:
    """Log in until the token is signed by another key than the old one's."""
    async with asyncio.timeout(BACK_S_MAX):
        while True:
            await here.rest.log_in()
            if _header(here.rest.headers) != _header(old):
                return
            await PACE.sleep(1.0)


def _header(headers: dict[str, str]) -> str:
    """The token's first part, which names the key that signed it."""
    return headers["Authorization"].partition(".")[0]
