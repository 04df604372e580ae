"""SEC-9, of secrets that a command makes and shows once, and of those that live for minutes.

A hook's signing secret and a webhook's, before and after they were rotated; a client's, before and after it
was replaced; a stream's ticket; the cookie and the form's name of a login that has begun.
"""

from __future__ import annotations

import base64
import json
import re
import signal
import time
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from ordergate.core.webhook_signatures import secret_of, signature
from ordergate.security.people.visits import COOKIE
from tests.e2e.canaries import found_in, names_in
from tests.e2e.floor import ACCOUNT, LOGIN_EVERY_S, Floor, floor
from tests.e2e.pacing import PACE
from tests.e2e.test_canaries_of_people import BACK, ORDER, a_page, asked, dumps_in

HOOK: Final = "whsec_" + base64.b64encode(b"canary-hooks-signing-secret-0001").decode()
WEBHOOK: Final = "whsec_" + base64.b64encode(b"canary-webhooks-own-secret-00002").decode()
KNOWN_S_MAX: Final = 30.0
ORIGIN: Final = "https://desk.example"
_VISIT: Final = re.compile(rb'name="visit" value="([^"]+)"')


@pytest.mark.timeout(300)
async def test_no_secret_that_is_made_anew_or_lives_for_minutes_is_anywhere_but_where_it_belongs(
    tmp_path: Path,
) -> None:
    said: list[bytes] = []
    folder = tmp_path / "floor"

    async def begin(it: Floor) -> None:
        for name, secret in (
            ("hook", HOOK),
            ("hook-before", HOOK),
            ("web", WEBHOOK),
            ("web-before", WEBHOOK),
        ):
            (it.folder / "secrets" / name).write_text(secret, encoding="utf-8")
            (it.folder / "secrets" / name).chmod(0o600)
        await it.command("migrate")

    async with floor(folder, before=begin, gateway=plain(folder)) as it:
        planted = {"hook": HOOK.encode(), "webhook": WEBHOOK.encode()}
        await alerts(it, HOOK, said)
        planted["hook, new"] = shown(await it.command("secrets", "rotate-hook", "trend"), "secret")
        await alerts(it, planted["hook, new"].decode(), said)
        planted["webhook, new"] = shown(await it.command("secrets", "rotate-webhook", "nobody"), "secret")
        planted |= await a_client(it, said)
        planted |= await a_ticket(it, said)
        planted |= await a_login(it, said)
        for path in ("/metrics", "/readyz"):
            said.append(await asked(it, "GET", path))
        exported = tmp_path / "exported"
        said.append(await it.command("audit", "export", "--to", str(exported)))
        it.signal(signal.SIGABRT)
        await it.until_ended()

    planted |= {f"{name}, raw": secret_of(planted[name].decode())
                for name in ("hook", "hook, new", "webhook", "webhook, new")}  # fmt: skip
    assert len(planted) == len(set(planted.values())) == 16
    assert names_in(b"\n".join(said), planted) == []
    assert found_in(folder, planted) == {}
    assert found_in(exported, planted) == {}
    assert not dumps_in(tmp_path)


def plain(folder: Path) -> dict[str, Any]:
    of = {name: [{"file": str(folder / "secrets" / one)} for one in (name, f"{name}-before")]
          for name in ("hook", "web")}  # fmt: skip
    return {
        "hooks": {"trend": {"account": ACCOUNT, "order": ORDER, "signed": of["hook"]}},
        "surveillance": [{"name": "nobody", "url": "http://127.0.0.1:9/in", "secrets": of["web"]}],
        "origins": [ORIGIN],
        "log_level": "debug",
    }


def shown(told: bytes, name: str) -> bytes:
    """What a command shows this once, which is where it belongs."""
    secret: str = msgspec.json.decode(told)[name]
    return secret.encode()


async def alerts(it: Floor, secret: str, said: list[bytes]) -> None:
    """One that is right, as soon as the secret is accepted; and the secret wherever it does not belong."""
    give_up_at = time.monotonic() + KNOWN_S_MAX
    number = 0
    while True:
        number += 1
        answer = await an_alert(it, "trend", b'{"n": "1"}', secret, name=f"right-{number}")
        said.append(answer)
        if b'"quantity"' in answer:
            break
        assert time.monotonic() < give_up_at, answer
        await PACE.sleep(LOGIN_EVERY_S)
    body = json.dumps({"n": secret}).encode()
    said.append(await an_alert(it, "trend", body, secret, name="in the body"))
    said.append(await an_alert(it, "trend", b"{" + secret.encode(), secret, name="in what is no JSON"))
    said.append(await an_alert(it, "trend", b'{"n": "1"}', secret, name="as the signature", signed=secret))
    said.append(await an_alert(it, "other", b'{"n": "1"}', secret, name="at another door"))


async def an_alert(
    it: Floor, hook: str, body: bytes, secret: str, *, name: str, signed: str | None = None
) -> bytes:
    at = int(time.time())
    given = signature(name, at, body, secret_of(secret)) if signed is None else signed
    headers = {
        "content-type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(at),
        "webhook-signature": given,
    }
    async with it.http.post(f"{it.base_url}/v1/hooks/{hook}", data=body, headers=headers) as got:
        return await got.read() + str(dict(got.headers)).encode()


async def a_client(it: Floor, said: list[bytes]) -> dict[str, bytes]:
    """A program whose secret is replaced; each is used, mistyped, and given where a name belongs."""
    words = ("clients", "add", "bot", "--account", ACCOUNT)
    first = shown(await it.command(*words), "client_secret")
    second = shown(await it.command(*words, "--replace", "--overlap", "60"), "client_secret")
    grant = {"grant_type": "client_credentials"}
    for secret in (first.decode(), second.decode()):
        login = {**grant, "client_id": "bot", "client_secret": secret}
        give_up_at = time.monotonic() + KNOWN_S_MAX
        while b"access_token" not in (told := await asked(it, "POST", "/oauth/token", login)):
            said.append(told)
            assert time.monotonic() < give_up_at, told
            await PACE.sleep(LOGIN_EVERY_S)
        said.append(await asked(it, "POST", "/oauth/token", {**login, "client_secret": f"{secret}!"}))
        said.append(await asked(it, "POST", "/oauth/token", {**login, "client_id": secret}))
        said.append(await asked(it, "GET", f"/v1/orders?account_id={secret}", token=secret))
    said.append(await it.command("clients", "list"))
    return {"client": first, "client, new": second}


async def a_ticket(it: Floor, said: list[bytes]) -> dict[str, bytes]:
    """One that opens a stream, and is shown again: by a page, in the address, and as a token."""
    token = await it.token()
    answer = await asked(it, "POST", "/v1/stream/tickets", json_body={"origin": ORIGIN}, token=token)
    ticket: str = json.loads(answer)["ticket"]
    unused = json.loads(
        await asked(it, "POST", "/v1/stream/tickets", json_body={"origin": ORIGIN}, token=token)
    )["ticket"]
    told: list[str] = []
    for _ in range(2):
        async with it.http.ws_connect(f"{it.base_url}/v1/stream", origin=ORIGIN) as socket:
            await socket.send_json({"type": "authenticate", "ticket": ticket})
            told = [str(await socket.receive(timeout=KNOWN_S_MAX)) for _ in range(2)]
            said += [one.encode() for one in told]
    assert "the ticket is not valid" in told[-1], "it is good once"
    said.append(await asked(it, "GET", f"/v1/stream?ticket={unused}"))
    said.append(await asked(it, "GET", f"/v1/orders/{unused}", token=ticket))
    return {"ticket": ticket.encode(), "ticket, unused": unused.encode(), "token": token.encode()}


async def a_login(it: Floor, said: list[bytes]) -> dict[str, bytes]:
    """One that has begun: its cookie is sent with a wrong password, twice, and where none belongs."""
    words = ("clients", "add", "app", "--public", "--redirect-uri", BACK, "--account", ACCOUNT)
    said.append(await it.command(*words))
    page, verifier = await a_page(it)
    async with it.http.get(page) as got:
        cookie = got.headers["set-cookie"].partition(";")[0].removeprefix(f"{COOKIE}=")
        found = _VISIT.search(await got.read())
    assert found is not None
    visit = found[1].decode()
    form = {"visit": visit, "user": "ann", "password": "not it at all", "code": "000000"}
    for sent in (f"{COOKIE}={cookie}", f"{COOKIE}={cookie}; {COOKIE}={cookie}", cookie):
        headers = {"cookie": sent, "origin": it.base_url}
        async with it.http.post(f"{it.base_url}/oauth/login", data=form, headers=headers) as got:
            # The page that asks again is where the form's name belongs, and a cookie never is.
            said.append((await got.read()).replace(visit.encode(), b""))
    said.append(await asked(it, "GET", f"/v1/orders?account_id={cookie}", token=visit))
    return {"cookie": cookie.encode(), "visit": visit.encode(), "verifier": verifier.encode()}
