"""An engine whose broker's books can be bent, with its gateway on a port and a profile that leads there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from ordergate.api.deps import Asked, AuthorizationEndpoint, Told
from ordergate.api.stream.hub import Hub
from tests.api.books import Books
from tests.api.people import TRADER, Directory, deps_of
from tests.api.served import serving
from tests.cli.asking import Said, ordergate
from tests.engine.settling import drift, natures
from tests.engine.stage import ACCOUNT, Stage


async def _token(_: Asked) -> Told:
    body = msgspec.json.encode({"access_token": TRADER, "token_type": "Bearer", "expires_in": 3600})
    return Told(status=200, body=body, headers={"Content-Type": "application/json"})


class EngineHouse:
    """An engine with its gateway on a port, and a profile that leads there."""

    def __init__(self, stage: Stage, profile: Path) -> None:
        self.stage = stage
        self._profile = profile

    async def ask(self, *words: str) -> Said:
        return await asyncio.to_thread(ordergate, *words, "--profile", str(self._profile))

    async def broken(self) -> str:
        """The id of an open position break."""
        drift(self.stage, 2)
        await self.stage.until(lambda: natures(self.stage) == ["position"])
        account = self.stage.lane.books.account
        assert account is not None
        return next(iter(account.breaks))


@asynccontextmanager
async def engine_house(folder: Path) -> AsyncIterator[EngineHouse]:
    async with Stage() as stage:
        identity = Directory()
        trader = identity.principals[TRADER]
        identity.principals[TRADER] = msgspec.structs.replace(trader, accounts=frozenset({ACCOUNT}))
        token = AuthorizationEndpoint(path="/oauth/token", methods=("POST",), summary="A token", call=_token)
        deps = msgspec.structs.replace(
            deps_of(Books(), identity=identity),
            gate=stage.gate,
            breaks=stage.node.breaks,
            alarms=stage.node.alarms,
            views=stage.views,
            hub=Hub(stage.views),
            clock=stage.clock,
            authorization=(token,),
        )
        async with serving(deps) as served:
            base = f"http://127.0.0.1:{served.port}"
            profile = folder / "client.json"
            told = {
                "base_url": base,
                "stream_url": f"ws://127.0.0.1:{served.port}/v1/stream",
                "token_url": f"{base}/oauth/token",
                "client_id": "trader",
                "client_secret": "secret",
                "account_id": ACCOUNT,
            }
            profile.write_text(json.dumps(told), encoding="utf-8")
            profile.chmod(0o600)
            yield EngineHouse(stage, profile)
