"""A real browser, spoken to by its own protocol (CDP), with an authenticator of its own making in it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import aiohttp

ANSWER_S_MAX: Final = 30.0
EVENTS_MAX: Final = 1_000
NAMES: Final = ("chromium", "chromium-browser", "google-chrome")

# It reaches no other machine either, and no service of its maker's.
OPTIONS: Final = (
    "--headless=new",
    "--no-sandbox",  # the pages are ours, and not every machine lets it have one
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
)


class Broken(AssertionError):
    """The browser says that what it was asked for cannot be."""


class Browser:
    """One page of it. `refused` is what pages were kept from by their own policy."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loads: asyncio.Queue[str] = asyncio.Queue(EVENTS_MAX)
        self._session: dict[str, str] = {}
        self.refused: list[str] = []

    async def begin(self) -> None:
        target = await self.call("Target.createTarget", url="about:blank")
        attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Log", "WebAuthn"):
            await self.call(f"{domain}.enable")

    async def add_authenticator(self) -> None:
        """Built in, with room for passkeys; a finger is always there, and the right one."""
        options = {
            "protocol": "ctap2",
            "ctap2Version": "ctap2_1",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        await self.call("WebAuthn.addVirtualAuthenticator", options=options)

    async def go(self, url: str) -> None:
        """Open the page, and wait until it is there."""
        found = await self.call("Page.navigate", url=url)
        assert "errorText" not in found, found
        await self.until("location.href !== 'about:blank'")

    async def until(self, expression: str) -> None:
        """Wait for a page on which it is true, scripts and all; looked at anew whenever one has loaded."""
        whole = f"document.readyState === 'complete' && ({expression})"
        async with asyncio.timeout(ANSWER_S_MAX):
            while not await self._is_true(whole):
                await self._loads.get()

    async def evaluate(self, expression: str) -> Any:
        found = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in found:
            raise Broken(found["exceptionDetails"])
        return found["result"].get("value")

    async def type(self, **fields: str) -> None:
        for name, text in fields.items():
            await self.evaluate(f"document.querySelector('[name={name}]').value = {json.dumps(text)}")

    async def press(self, words: str) -> None:
        """The button that says so."""
        wanted = json.dumps(words)
        await self.evaluate(
            f"[...document.querySelectorAll('button')].find(one => one.textContent === {wanted}).click()"
        )

    async def text(self) -> str:
        return str(await self.evaluate("document.body.innerText"))

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters, **self._session})
        async with asyncio.timeout(ANSWER_S_MAX):
            told = await answer
        if "error" in told:
            raise Broken(f"{method}: {told['error']['message']}")
        found: dict[str, Any] = told["result"]
        return found

    async def read(self) -> None:
        """Until the socket ends."""
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" in told:
                self._answers.pop(told["id"]).set_result(told)
            elif told["method"] == "Page.loadEventFired":
                self._loads.put_nowait(told["method"])
            elif told["method"] == "Log.entryAdded" and told["params"]["entry"]["source"] == "security":
                self.refused.append(told["params"]["entry"]["text"])

    async def _is_true(self, expression: str) -> bool:
        try:
            return await self.evaluate(expression) is True
        except Broken:
            return False  # between two pages there is none to ask


def find() -> str | None:
    return next((found for name in NAMES if (found := shutil.which(name)) is not None), None)


@asynccontextmanager
async def browser(program: str, folder: Path) -> AsyncIterator[Browser]:
    """Nothing of it is left running afterwards."""
    process = await asyncio.create_subprocess_exec(
        program, *OPTIONS, f"--user-data-dir={folder}", "about:blank",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE, start_new_session=True, env={**os.environ, "HOME": str(folder)},
    )  # fmt: skip
    assert process.stderr is not None
    said: list[str] = []
    try:
        async with asyncio.timeout(ANSWER_S_MAX):
            while (found := re.search(r"DevTools listening on (ws://\S+)", "".join(said[-1:]))) is None:
                line = await process.stderr.readline()
                assert line, "".join(said)
                said.append(line.decode(errors="replace"))
        drain = asyncio.create_task(process.stderr.read())
        async with aiohttp.ClientSession() as http, http.ws_connect(found[1], max_msg_size=0) as socket:
            page = Browser(socket)
            reading = asyncio.create_task(page.read())
            try:
                await page.begin()
                yield page
            finally:
                reading.cancel()
        drain.cancel()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
