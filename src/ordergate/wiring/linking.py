"""Lets a user link a brokerage account: a page at the broker, and one answer on the loopback interface.

Listens only while a link is under way, answers one request, and takes no answer to another question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from ordergate.api.stored_credentials import CredentialView
from ordergate.core.refusals import Code, Refusal
from ordergate.security.credentials.grants import Asking, BrokerAway, GrantRefused
from ordergate.security.credentials.slots import Credential
from ordergate.telemetry.secret import Secret
from ordergate.wiring.credentials_desk import Office, at, told
from ordergate.wiring.settings import CannotStart, Settings

DECIDE_S_MAX: Final = 600.0
_DONE: Final = "You may close this page."


def link(settings: Settings, login: str, tell: Callable[[str], None]) -> CredentialView | Refusal:
    """Link the login's account. `tell` is given the page for the user. Raises CannotStart."""
    its = settings.brokers.get(login)
    if its is None or its.oauth is None:
        raise CannotStart(f"the settings name no `oauth` for a broker {login!r}")
    redirect = its.oauth.redirect_uri

    async def ask(office: Office) -> Credential | Refusal:
        grants = office.grants[login]
        asking = grants.ask()
        try:
            code = await _answer(redirect, asking, tell)
            tokens = await grants.redeem(asking, asking.state, code)
        except (GrantRefused, BrokerAway) as fault:
            return Refusal(Code.CREDENTIAL_REFUSED, f"the broker did not let it in: {fault}")
        if (await office.desk.slots(login)).in_use is None:
            return await office.desk.begin(login, tokens)
        return await office.desk.rotate(login, tokens)

    return told(at(settings, ask))


def unlink(settings: Settings, login: str) -> CredentialView | Refusal:
    """Take the grant back at the broker, and destroy what is stored of it. Raises CannotStart."""

    async def ask(office: Office) -> Credential | Refusal:
        grants = office.grants.get(login)
        if grants is None:
            return Refusal(Code.NOT_FOUND, f"the settings name no `oauth` for a broker {login!r}")
        try:
            return await office.desk.unlink(login, grants.revoke)
        except (GrantRefused, BrokerAway) as fault:
            return Refusal(Code.CREDENTIAL_REFUSED, f"the broker did not take it back: {fault}")

    return told(at(settings, ask))


async def _answer(redirect_uri: str, asking: Asking, tell: Callable[[str], None]) -> Secret:
    """The code with which the user came back. Raises GrantRefused and CannotStart."""
    place = urlsplit(redirect_uri)
    came: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()

    async def take(request: web.BaseRequest) -> web.Response:
        said = dict(request.query)
        if request.path != (place.path or "/") or Secret(said.get("state", "")) != Secret(asking.state):
            return web.Response(status=400, text="This is no answer to what was asked.")
        if not came.done():
            came.set_result(said)
        return web.Response(text=_DONE)

    runner = web.ServerRunner(web.Server(take, access_log=None), handle_signals=False)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, place.hostname, place.port or 80).start()
        except OSError as error:
            raise CannotStart(f"cannot listen on {redirect_uri}: {error.strerror}") from error
        tell(asking.url)
        try:
            async with asyncio.timeout(DECIDE_S_MAX):
                said = await came
        except TimeoutError:
            raise GrantRefused("nobody decided in time") from None
    finally:
        await runner.cleanup()
    if "code" not in said:
        raise GrantRefused(said.get("error", "without a word")[:80])
    return Secret(said["code"])
