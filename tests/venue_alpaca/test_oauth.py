"""An application that an owner let in is out again when its token's time is over, whoever asks for what."""

import base64
import hashlib
from typing import Final
from urllib.parse import parse_qs, urlsplit

import aiohttp
from msgspec.structs import replace

from ordergate.venue.server import Venue, running
from ordergate.venue.settings import OAuthClient
from tests.venue_alpaca import floor

REDIRECT: Final = "http://127.0.0.1:8799/linked"
APPLICATION: Final = OAuthClient(id="app", secret="app-secret", redirect_uris=(REDIRECT,))
VERIFIER: Final = "v" * 43
# A machine with much else to do must get in, and onto the stream, before it is over.
TOKEN_S: Final = 5.0


async def let_in(venue: Venue, http: aiohttp.ClientSession) -> str:
    """The access token that the owner's consent leads to."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "client_id": APPLICATION.id,
        "redirect_uri": REDIRECT,
        "response_type": "code",
        "code_challenge_method": "S256",
        "code_challenge": challenge,
    }
    consent = {"key": floor.ALICE.key, "secret": floor.ALICE.secret, "decision": "allow"}
    url = f"{venue.base_url}/oauth/authorize"
    async with http.post(url, params=asked, data=consent, allow_redirects=False) as answer:
        [code] = parse_qs(urlsplit(answer.headers["Location"]).query)["code"]
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "code_verifier": VERIFIER,
        "redirect_uri": REDIRECT,
        "client_id": APPLICATION.id,
        "client_secret": APPLICATION.secret,
    }
    async with http.post(f"{venue.base_url}/oauth/token", data=form) as answer:
        token: str = (await answer.json())["access_token"]
    return token


async def status(venue: Venue, http: aiohttp.ClientSession, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    async with http.get(f"{venue.base_url}/v2/account", headers=headers) as answer:
        return answer.status


async def test_a_token_and_its_streams_end_when_its_time_is_over() -> None:
    settings = replace(floor.SETTINGS, oauth_clients=(APPLICATION,), oauth_token_s=TOKEN_S)
    async with running(settings) as venue, aiohttp.ClientSession() as http:
        token = await let_in(venue, http)
        assert await status(venue, http, token) == 200
        stream = await http.ws_connect(f"{venue.base_url}/stream")
        await stream.send_json({"action": "authenticate", "data": {"oauth_token": token}})
        assert b'"authorized"' in (await stream.receive(timeout=20)).data

        ended = await stream.receive(timeout=20)
        assert ended.type is aiohttp.WSMsgType.CLOSE
        assert await status(venue, http, token) == 401
