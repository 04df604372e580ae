"""`credentials link`, as a person goes through it: a page at the venue, and its answer on this machine."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from ordergate.core.refusals import Refusal
from ordergate.venue.server import running
from ordergate.venue.settings import AccountSettings, OAuthClient, VenueSettings
from ordergate.venue.words import Listing
from ordergate.wiring import linking
from ordergate.wiring.gateway import migrate_all
from ordergate.wiring.serving import free_port
from ordergate.wiring.settings import CannotStart, Settings, parse

USER = AccountSettings(id="alice", key="alice-key", secret="canary-alice")


def settings(folder: Path, dsn: str, venue: str, redirect: str) -> Settings:
    (folder / "dsn").write_text(dsn, encoding="utf-8")
    (folder / "application").write_text("canary-application", encoding="utf-8")
    oauth = {
        "base_url": venue,
        "client_id": "ordergate",
        "client_secret": {"file": str(folder / "application")},
        "redirect_uri": redirect,
    }
    plain = {
        "environment": "paper",
        "data_dir": str(folder),
        "database_url": {"file": str(folder / "dsn")},
        "instruments": [],
        "brokers": {"venue": {"url": venue, "oauth": oauth}, "plain": {}},
        "accounts": {"P-ONE": {"broker": "venue"}},
    }
    return parse(plain, "test")


async def decide(url: str, decision: str) -> int:
    """The user's side: the page, the decision, and back to where the page sends them."""
    async with httpx.AsyncClient(timeout=20.0) as http:
        form = {"key": USER.key, "secret": USER.secret, "decision": decision}
        answer = await http.post(url, data=form)
        forged = await http.get(answer.headers["location"].replace("state=", "state=x"))
        assert forged.status_code == 400, "an answer to another question"
        return (await http.get(answer.headers["location"])).status_code


@pytest.mark.parametrize("decision", ["allow", "deny"])
async def test_an_account_is_linked_and_unlinked_from_the_command_line(
    tmp_path: Path, database: str, decision: str
) -> None:
    await migrate_all(database)
    redirect = f"http://127.0.0.1:{free_port()}/linked"
    application = OAuthClient(id="ordergate", secret="canary-application", redirect_uris=(redirect,))
    listing = Listing(symbol="AAPL", name="Apple", asset_class="us_equity", tick=Decimal("0.01"))
    loop, deciding = asyncio.get_running_loop(), list[Any]()
    async with running(
        VenueSettings(accounts=(USER,), listings=(listing,), oauth_clients=(application,))
    ) as venue:
        asked = settings(tmp_path, database, venue.base_url, redirect)

        def tell(url: str) -> None:
            deciding.append(asyncio.run_coroutine_threadsafe(decide(url, decision), loop))

        done = await asyncio.to_thread(linking.link, asked, "venue", tell)
        assert await asyncio.wrap_future(deciding[0]) == 200
        if decision == "deny":
            assert isinstance(done, Refusal)
            assert "access_denied" in done.detail
            return
        assert not isinstance(done, Refusal)
        assert (done.kind, done.state) == ("oauth_tokens", "active")
        gone = await asyncio.to_thread(linking.unlink, asked, "venue")
        assert not isinstance(gone, Refusal)
        assert gone.state == "revoked"
        again = await asyncio.to_thread(linking.unlink, asked, "venue")
        assert isinstance(again, Refusal)


def test_a_login_without_an_application_is_a_sentence(tmp_path: Path) -> None:
    here = "http://127.0.0.1:9"
    asked = settings(tmp_path, "postgresql://nobody@127.0.0.1/none", here, f"{here}/")
    for login in ("plain", "nothing"):
        with pytest.raises(CannotStart, match="no `oauth`"):
            linking.link(asked, login, lambda _: None)
