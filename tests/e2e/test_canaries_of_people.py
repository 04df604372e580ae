"""SEC-9, of those who are let in by something else than a client's secret.

A person's password, factor and refresh token; what a user granted at a broker, the application's secret; a
hook's passphrase; the database's password before and after it was changed; the private halves of all keys.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from ordergate.journal.embedded import EmbeddedPostgres
from ordergate.security.credentials.documents import OAuthTokens
from ordergate.security.credentials.slots import State
from ordergate.wiring import credentials_desk
from ordergate.wiring.serving import free_port
from ordergate.wiring.settings import load
from tests.cli.browser import Browser
from tests.e2e.canaries import found_in, names_in
from tests.e2e.floor import ACCOUNT, COMMAND_S_MAX, LOGIN_EVERY_S, Floor, floor
from tests.e2e.ground import STORED, with_password
from tests.e2e.pacing import PACE

PASSWORD: Final = "canary-password-of-ann-0001"
PASSPHRASE: Final = "canary-passphrase-of-hook-0002"
DATABASE: Final = "canary-database-password-0003"
APPLICATION: Final = "canary-application-secret-0004"
BACK: Final = "http://127.0.0.1:9/back"
KNOWN_S_MAX: Final = 30.0
ORDER: Final = {
    "symbol": "AAPL",
    "side": "buy",
    "type": "limit",
    "limit_price": "170.00",
    "quantity": {"from": "n"},
}
_PAGE: Final = re.compile(rb"allow it: (\S+)")


@pytest.mark.timeout(420)
async def test_no_secret_of_people_hooks_grants_or_keys_is_anywhere_but_where_it_belongs(
    tmp_path: Path,
) -> None:
    said: list[bytes] = []
    passfile, folder = tmp_path / "pass", tmp_path / "floor"
    passfile.write_text(f"*:*:*:*:{DATABASE}\n", encoding="utf-8")
    passfile.chmod(0o600)
    async with EmbeddedPostgres(tmp_path / "server") as server:
        address = await with_password(server, passfile, DATABASE)
        (tmp_path / "address").write_text(address, encoding="utf-8")
        gateway, venue = plain(folder, tmp_path / "address")

        def plan(it: Floor) -> None:
            url = f"http://127.0.0.1:{it.venue_port}"
            gateway["brokers"]["venue"]["url"] = gateway["brokers"]["venue"]["oauth"]["base_url"] = url

        async def begin(it: Floor) -> None:
            for name, content in (("hook", PASSPHRASE), ("application", APPLICATION), ("ann", PASSWORD)):
                (it.folder / "secrets" / name).write_text(content, encoding="utf-8")
                (it.folder / "secrets" / name).chmod(0o600)
            await it.command("migrate")
            said.append(await linked(it))

        async with floor(folder, plan=plan, before=begin, venue=venue, gateway=gateway) as it:
            planted = {
                "password": PASSWORD.encode(),
                "passphrase": PASSPHRASE.encode(),
                "database": DATABASE.encode(),
                "application": APPLICATION.encode(),
                **await asyncio.to_thread(granted, it),
            }
            planted |= await a_person(it, said)
            await a_hook(it, said)
            said.append(await it.command("secrets", "rotate-database-password"))
            planted["database, new"] = passfile.read_bytes().strip().rpartition(b":")[2]
            said.append(await it.command("keys", "rotate", "tokens"))
            said.append(await it.command("keys", "rotate", "secrets"))
            planted |= private_halves(it.folder / "keys")
            passfile.write_text(f"*:*:*:*:{DATABASE}\n", encoding="utf-8")  # of before: it lets nobody in
            said.append(await complained(it, "keys", "rewrap"))
            for path in ("/metrics", "/readyz"):
                said.append(await asked(it, "GET", path))
            it.signal(signal.SIGABRT)
            await it.until_ended()

        assert len(planted) >= 13
        assert names_in(b"\n".join(said), planted) == []
        # The venue's own files are the broker's side of a grant.
        mine = frozenset({"secrets", "keys", "venue"})
        assert found_in(folder, planted, but=mine, but_files={"venue.yaml", "venue.log"}) == {}
        assert found_in(tmp_path / "server", planted) == {}
        assert not dumps_in(tmp_path)


def dumps_in(folder: Path) -> list[Path]:
    return list(folder.rglob("core*"))


def plain(folder: Path, address: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    redirect = f"http://127.0.0.1:{free_port()}/linked"
    oauth = {
        "client_id": "ordergate",
        "client_secret": {"file": str(folder / "secrets" / "application")},
        "redirect_uri": redirect,
    }
    told = {"field": "word", "time": "at", "secrets": [{"file": str(folder / "secrets" / "hook")}]}
    gateway = {
        "brokers": {"venue": {**STORED, "oauth": oauth}},
        "database_url": {"file": str(address)},
        "hooks": {"trend": {"account": ACCOUNT, "order": ORDER, "passphrase": told}},
        "log_level": "debug",
    }
    client = {"id": "ordergate", "secret": APPLICATION, "redirect_uris": [redirect]}
    return gateway, {"oauth_clients": [client]}


async def linked(it: Floor) -> bytes:
    """`credentials link`, with the user's side of it."""
    config = str(it.folder / "gateway.yaml")
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ordergate", "credentials", "link", "venue", "--config", config,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert running.stdout is not None
    out = b""
    async with asyncio.timeout(COMMAND_S_MAX):
        while (page := _PAGE.search(out)) is None:
            line = await running.stdout.readline()
            assert line, out
            out += line
        form = {"key": "floor-key", "secret": "floor-secret", "decision": "allow"}
        async with it.http.post(page[1].decode(), data=form) as answer:
            await answer.read()
        rest, _ = await running.communicate()
    assert running.returncode == 0, out + rest
    return out.replace(page[1], b"") + rest


def granted(it: Floor) -> dict[str, bytes]:
    """What the user's grant came to; nobody but the gateway can open it."""

    async def ask(office: credentials_desk.Office) -> OAuthTokens:
        (row,) = [one for one in await office.store.rows() if one.state is State.ACTIVE]
        document = await office.desk.open(row)
        assert isinstance(document, OAuthTokens)
        return document

    tokens = credentials_desk.at(load(it.folder / "gateway.yaml"), ask)
    assert isinstance(tokens, OAuthTokens)
    return {
        "granted token": tokens.access_token.reveal().encode(),
        "granted refresh token": tokens.refresh_token.reveal().encode(),
    }


async def a_person(it: Floor, said: list[bytes]) -> dict[str, bytes]:
    """Ann logs in, types her password where it does not belong, and somebody uses an old refresh token."""
    where = ("--account", ACCOUNT)
    file = str(it.folder / "secrets" / "ann")
    made = msgspec.json.decode(await it.command("users", "add", "ann", "--password-file", file, *where))
    factor = parse_qs(urlsplit(made["second_factor"]).query)["secret"][0]
    said.append(await it.command("clients", "add", "app", "--public", "--redirect-uri", BACK, *where))
    page, verifier = await a_page(it)
    ends = await asyncio.to_thread(Browser("ann", made["second_factor"], password=PASSWORD).location, page)
    code = parse_qs(urlsplit(ends).query)["code"][0]
    grant = {"grant_type": "authorization_code", "client_id": "app", "code": code, "redirect_uri": BACK}
    first = json.loads(await asked(it, "POST", "/oauth/token", {**grant, "code_verifier": verifier}))
    renew = {"grant_type": "refresh_token", "client_id": "app", "refresh_token": first["refresh_token"]}
    second = json.loads(await asked(it, "POST", "/oauth/token", renew))
    said.append(await asked(it, "POST", "/oauth/token", renew))  # spent: the whole family ends
    said.append(await asked(it, "POST", "/oauth/token", {**renew, "client_id": PASSWORD}))
    said.append(await asked(it, "GET", f"/v1/orders?account_id={PASSWORD}", token=second["access_token"]))
    wrong = {"visit": PASSWORD, "user": PASSWORD, "password": PASSWORD, "code": factor[:6]}
    said.append(await asked(it, "POST", "/oauth/login", wrong))
    said.append(await it.command("users", "list"))
    reset = msgspec.json.decode(await it.command("users", "reset", "ann"))["code"]
    for path in ("/oauth/login", "/oauth/password/keep"):
        form = {"visit": reset, "user": reset, "password": reset, "new": PASSWORD, "again": PASSWORD}
        said.append(await asked(it, "POST", path, form))
    return {
        "factor": factor.encode(),
        "factor, raw": base64.b32decode(factor + "=" * (-len(factor) % 8)),
        "code": code.encode(),
        "code of a reset": reset.encode(),
        "verifier": verifier.encode(),
        **{f"{name}, {which}": told[name].encode() for which, told in (("first", first), ("second", second))
           for name in ("access_token", "refresh_token")},
    }  # fmt: skip


async def a_page(it: Floor) -> tuple[str, str]:
    """Where the program sends Ann's browser, and the verifier it keeps; once the gateway has heard of it."""
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    form = {
        "client_id": "app",
        "response_type": "code",
        "redirect_uri": BACK,
        "scope": "orders:read orders:write",
        "state": "state",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    give_up_at = time.monotonic() + KNOWN_S_MAX
    while True:
        told = await asked(it, "POST", "/oauth/par", form)
        if b'"request_uri"' in told:
            name = json.loads(told)["request_uri"]
            return f"{it.base_url}/oauth/authorize?client_id=app&request_uri={name}", verifier
        assert time.monotonic() < give_up_at, told
        await PACE.sleep(LOGIN_EVERY_S)


async def a_hook(it: Floor, said: list[bytes]) -> None:
    """Alerts that are right, stale, malformed, for another hook, and the passphrase where none belongs."""
    now = int(time.time())
    right = {"word": PASSPHRASE, "at": now, "n": "1"}
    answer = await asked(it, "POST", "/v1/hooks/trend", json_body=right)
    assert json.loads(answer)["quantity"] == "1"
    said.append(answer)
    for path, body in (
        ("trend", {**right, "at": 1}),
        ("trend", {**right, "n": PASSPHRASE}),
        ("trend", {"word": f"{PASSPHRASE}!", "at": now, "n": "1"}),
        ("other", right),
        (PASSPHRASE, right),
        ("trend", [PASSPHRASE]),
    ):
        said.append(await asked(it, "POST", f"/v1/hooks/{path}", json_body=body))


def private_halves(folder: Path) -> dict[str, bytes]:
    """The secret of every version of every key that is in a file."""
    found = {}
    for file in folder.iterdir():
        for key in json.loads(file.read_bytes()).get("keys", []):
            found[f"{file.name} {key['version']}"] = bytes.fromhex(key["secret"])
    assert len(found) >= 3
    return found


async def asked(
    it: Floor,
    method: str,
    path: str,
    form: Mapping[str, str] | None = None,
    *,
    json_body: object = None,
    token: str = "",
) -> bytes:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    more: dict[str, Any] = {"data": form} if form is not None else {}
    if json_body is not None:
        more["json"] = json_body
    async with it.http.request(method, it.base_url + path, headers=headers, **more) as got:
        return await got.read() + (b"" if got.status < 300 else str(dict(got.headers)).encode())


async def complained(it: Floor, *words: str) -> bytes:
    """A command that cannot get at the database, and all that it says."""
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ordergate", *words, "--config", str(it.folder / "gateway.yaml"),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(running.communicate(), COMMAND_S_MAX)
    assert running.returncode != 0, out
    return out
