"""A person makes a passkey and logs in with it, in a real browser, at a real gateway."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
import yaml
from aiohttp import web
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from ordergate.security.people.pages import WRONG
from ordergate.security.people.passkey_login import MADE, NOT_ACCEPTED
from ordergate.security.people.password_change import CHANGED
from ordergate.wiring import demo
from ordergate.wiring.serving import kept_port
from tests.cli.asking import ordergate
from tests.e2e.browser import Browser, browser, find
from tests.e2e.pacing import PACE
from tests.fixtures.house import House, house

PASSWORD: Final = "a password that is long"
ANOTHER: Final = "another one that is long"
WAIT_S_MAX: Final = 30.0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house that is called by a name, since no passkey is for an address."""
    if find() is None:
        pytest.skip("passkeys were not tried in a browser: there is no chromium on this machine")
    folder = tmp_path_factory.mktemp("named-house")
    data_dir = folder / "data"
    data_dir.mkdir(mode=0o700)
    with kept_port() as port:
        plain = demo.gateway_plain(data_dir, port=port, venue_url="http://127.0.0.1:1")
        plain["public_url"] = f"http://localhost:{port}"
        (data_dir / "gateway.yaml").write_text(yaml.safe_dump(plain), encoding="utf-8")
        with house(folder, port=str(port), recorded=str(folder)) as running:
            yield running


class Desk:
    """Ann, a program that acts for her, and where it has her sent back to."""

    def __init__(self, home: House, back: str) -> None:
        self.home = home
        self.issuer = f"http://localhost:{urlsplit(home.running['base_url']).port}"
        self.back = back
        self.led_to: asyncio.Queue[dict[str, str]] = asyncio.Queue(10)
        self.client_id = f"app-{secrets.token_hex(4)}"
        self.name = f"ann-{secrets.token_hex(4)}"
        self.factor = ""
        self.verifier = secrets.token_urlsafe(48)

    async def command(self, *words: str) -> Any:
        whole = (*words, "--data-dir", str(self.home.data_dir), "--json")
        said = await asyncio.to_thread(ordergate, *whole)
        assert said.code == 0, said.err
        return said.json

    async def register(self, folder: Path) -> None:
        """The person, and then the program, so that whoever knows of it knows of both."""
        file = folder / "password"
        file.write_text(PASSWORD, encoding="utf-8")
        person, program = ("users", "add", self.name), ("clients", "add", self.client_id)
        told = await self.command(*person, "--account", "P-DEMO", "--password-file", str(file))
        self.factor = parse_qs(urlsplit(told["second_factor"]).query)["secret"][0]
        await self.command(*program, "--public", "--redirect-uri", self.back, "--account", "P-DEMO")

    async def page(self) -> str:
        """Where the program sends a browser."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        asked = {
            "client_id": self.client_id,
            "response_type": "code",
            "redirect_uri": self.back,
            "scope": "orders:read",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        async with (
            httpx.AsyncClient(trust_env=False, timeout=WAIT_S_MAX) as http,
            asyncio.timeout(WAIT_S_MAX),
        ):
            pushed = await http.post(f"{self.issuer}/oauth/par", data=asked)
            # A running gateway reads every two seconds who there is.
            while pushed.status_code == 401:
                await PACE.sleep(1)
                pushed = await http.post(f"{self.issuer}/oauth/par", data=asked)
        assert pushed.status_code == 201, pushed.text
        named = {"client_id": self.client_id, "request_uri": pushed.json()["request_uri"]}
        return f"{self.issuer}/oauth/authorize?{urlencode(named)}"

    async def claims(self) -> dict[str, Any]:
        """Of the token that the program gets for what it was sent back with."""
        async with asyncio.timeout(WAIT_S_MAX):
            told = await self.led_to.get()
        asked = {
            "grant_type": "authorization_code",
            "client_id": self.client_id,
            "code": told["code"],
            "redirect_uri": self.back,
            "code_verifier": self.verifier,
        }
        async with httpx.AsyncClient(trust_env=False, timeout=WAIT_S_MAX) as http:
            answer = await http.post(f"{self.issuer}/oauth/token", data=asked)
        assert answer.status_code == 200, answer.text
        part = answer.json()["access_token"].split(".")[1]
        found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return found


@pytest.fixture
async def desk(home: House, tmp_path: Path) -> AsyncIterator[Desk]:
    made: list[Desk] = []

    async def back(request: web.Request) -> web.Response:
        made[0].led_to.put_nowait(dict(request.query))
        return web.Response(text="back")

    app = web.Application()
    app.router.add_get("/back", back)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    desk = Desk(home, f"http://127.0.0.1:{port}/back")
    made.append(desk)
    await desk.register(tmp_path)
    yield desk
    await runner.cleanup()


@pytest.fixture
async def page(home: House, tmp_path: Path) -> AsyncIterator[Browser]:
    program = find()
    assert program is not None
    async with browser(program, tmp_path / "browser") as found:
        yield found


def code(factor: str) -> str:
    secret = base64.b32decode(factor + "=" * (-len(factor) % 8))
    return TOTP(secret, 6, SHA1(), 30).generate(int(time.time())).decode()


def has(words: str) -> str:
    return f"document.body.innerText.includes({json.dumps(words)})"


async def log_in(page: Browser, desk: Desk) -> None:
    """A code that has run out on its way is followed by the one that is shown now."""
    inside = has(f"You are {desk.name}")
    await page.go(await desk.page())
    given = await give_code(page, desk)
    await page.until(f"{inside} || {has(WRONG)}")
    if WRONG in await page.text() and code(desk.factor) != given:
        await give_code(page, desk)
    await page.until(inside)


async def give_code(page: Browser, desk: Desk) -> str:
    given = code(desk.factor)
    await page.type(user=desk.name, password=PASSWORD, code=given)
    await page.press("Log in")
    return given


@pytest.mark.timeout(240)
async def test_a_passkey_is_made_used_and_taken_away(page: Browser, desk: Desk) -> None:
    await page.add_authenticator()
    await log_in(page, desk)
    await page.press("Make a passkey")
    await page.until(has("What you call it"))
    await page.press("Make a passkey")
    await page.until(has(MADE))
    await page.press("Allow")
    assert (await desk.claims())["sub"] == desk.name

    await page.go(await desk.page())
    await page.press("Use a passkey")
    await page.until(has(f"You are {desk.name}"))
    await page.press("Allow")
    claims = await desk.claims()
    assert (claims["sub"], claims["acr"]) == (desk.name, "urn:ordergate:two-factors")
    assert abs(time.time() - claims["auth_time"]) < 60

    await page.go(await desk.page())
    await page.press("Change the password")
    await page.until(has("Password of now"))
    await page.press("Use a passkey in the place of a code")
    await page.until(has("Your passkey is asked for"))
    await page.type(user=desk.name, password=PASSWORD, new=ANOTHER, again=ANOTHER)
    await page.press("Change the password")
    await page.until(has(CHANGED))

    (kept,) = (await desk.command("users", "passkeys", "list", desk.name))["passkeys"]
    assert (kept["label"], kept["state"]) == ("passkey 1", "good")
    assert kept["used_at"] is not None
    await desk.command("users", "passkeys", "remove", desk.name, "passkey 1")
    await page.go(await desk.page())
    await page.press("Use a passkey")
    await page.until(has(NOT_ACCEPTED))
    assert page.refused == [], "their own policy lets the pages do all they do"


@pytest.mark.timeout(240)
async def test_without_scripts_a_password_is_enough(page: Browser, desk: Desk) -> None:
    await page.call("Emulation.setScriptExecutionDisabled", value=True)

    await log_in(page, desk)
    await page.press("Make a passkey")
    await page.until(has("This browser runs no scripts"))
    await page.press("Allow")

    assert (await desk.claims())["sub"] == desk.name
