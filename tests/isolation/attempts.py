"""Six ways in which an order for practice has reached real money elsewhere, each gone as far as it gets.

An attempt walks through the product's own code, in the order in which a mishap would, and tells how many
orders the real venue has got. `STOPS` says which barriers stand in its way, each of which is enough.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import msgspec

from ordergate.brokers.alpaca.access import Keys, paper
from ordergate.core.ids import AccountId, Env
from ordergate.core.refusals import Refusal
from ordergate.journal import postgres
from ordergate.journal.postgres import PostgresJournal
from ordergate.journal.writer import Limits
from ordergate.ports.keys import Purpose
from ordergate.security.sealing.envelope import About, Envelope
from ordergate.telemetry.secret import Secret
from ordergate.wiring import declaration
from ordergate.wiring.gateway import migrate_all
from ordergate.wiring.settings import Settings, parse
from tests.engine.stage import TRADER, Stage, let_run
from tests.fixtures import network
from tests.isolation import barriers
from tests.isolation.live import ACCOUNT as LIVE
from tests.isolation.live import person, place, terms
from tests.security.world import SetClock, keys_of, world

LIVE_HOST: Final = "https://api.alpaca.markets"
ELSEWHERE: Final = ("192.0.2.1", 9)  # of TEST-NET-1, where nobody is
PAPER: Final = AccountId("P-TEST")
SETTLE_S: Final = 5.0
RECOVERY_S: Final = 60.0


class Ground:
    """What lies about: a paper database, both environments' keys, settings and signed files."""

    def __init__(self, folder: Path, dsn: str) -> None:
        self.folder = folder
        self.dsn = dsn

    async def begin(self) -> None:
        await migrate_all(self.dsn)
        journal = await PostgresJournal.connect(self.dsn, Env.PAPER)
        await journal.close()

    def settings(self, env: str, account: str, *, declared: str) -> Settings:
        """Settings that say `env`, beside a signed file that says `declared`."""
        file, key = self.folder / f"declared-{declared}", self.folder / "operator.key"
        of_other = parse(self._plain(declared, "L-X" if declared == "live" else "P-X"), "test")
        public = declaration.declare(of_other, key, file)
        return parse({**self._plain(env, account), "declaration": {"file": str(file), "key": public}}, "test")

    def _plain(self, env: str, account: str) -> dict[str, Any]:
        return {
            "environment": env,
            "data_dir": str(self.folder),
            "audit": {"origin": "one-origin"},
            "instruments": [],
            "brokers": {"venue": {}},
            "accounts": {account: {"broker": "venue"}},
        }

    async def unseal(self, *, sealed_in: Env, opened_in: Env) -> Secret:
        """A broker's secret that one environment has sealed, opened by a process of the other."""
        clock, secret = SetClock(), Secret("a broker's secret")
        keys = {env: keys_of(env, lambda: clock.epoch) for env in Env}
        for each in keys.values():
            await each.rotate(Purpose.SECRETS)
        about = About(
            env=sealed_in, tenant="t", account="x", broker="venue", secret_type="api_keys", row_id="1"
        )
        sealed = barriers.keep(await Envelope(keys[sealed_in], clock.monotonic).seal(secret, about), secret)
        found = msgspec.structs.replace(about, env=opened_in)
        return await Envelope(keys[opened_in], clock.monotonic).open(sealed, found)


async def copied_credentials(ground: Ground) -> int:
    """PL1, PL5: live's credentials, signed file and address were copied to a paper machine."""
    declaration.check(ground.settings("paper", PAPER, declared="live"), {})
    secret = await ground.unseal(sealed_in=Env.LIVE, opened_in=Env.PAPER)
    paper(Keys(Env.PAPER, Secret("key"), secret), trading_url=LIVE_HOST)
    return await _placed_in_paper_that_is_live()


async def wrong_address(ground: Ground) -> int:
    """PL2, PL11: a paper client, or a person in the wrong console, sends to the live gateway."""
    practice, real = await world(Env.PAPER), await world(Env.LIVE)
    token = practice.sign(practice.claims(acct=[PAPER], scope="orders:read orders:write"))
    principal = await real.bearer.authenticate(token)
    if isinstance(principal, Refusal):
        raise PermissionError(principal.detail)
    async with Stage(env=Env.LIVE) as stage:
        seat = stage.node.lanes.get(PAPER)
        known_as = PAPER if seat is None else seat.lane.account  # the name as this gateway reads it
        principal = msgspec.structs.replace(principal, accounts=frozenset({known_as}))
        answer = await stage.gate.place(principal, terms(known_as), key=stage.key(), correlation="test")
        if isinstance(answer, Refusal):
            raise PermissionError(answer.detail)
        if answer.failed:
            raise PermissionError(answer.failed[0].detail)
        await settled(stage)
        return stage.placed_at_exchange()


async def flipped_word(ground: Ground) -> int:
    """PL4, PL5: the settings of a paper machine say `live` by now; everything else is paper's."""
    declaration.check(ground.settings("live", PAPER, declared="paper"), {})
    await postgres._check(ground.dsn, Env.LIVE, Limits())
    await ground.unseal(sealed_in=Env.PAPER, opened_in=Env.LIVE)
    return await placed_in_live()


async def replayed_outbox(ground: Ground) -> int:
    """PL3, PL9: paper's database, with an order that was never sent, is opened by a live process."""
    await postgres._check(ground.dsn, Env.LIVE, Limits())
    stage = Stage()
    await stage.start()
    try:
        with patch.object(stage.node._dispatcher, "ask", lambda seat, order_id, question: question.close()):
            answer = await stage.gate.place(TRADER, terms(PAPER), key=stage.key(), correlation="test")
            await let_run()
            await stage.crash()  # it is durable, and was not sent
        if isinstance(answer, Refusal):
            raise PermissionError(answer.detail)
        assert stage.placed_at_exchange() == 0
        stage.env = Env.LIVE
        await stage.start(ready=False)
        for _ in range(int(RECOVERY_S / SETTLE_S)):
            await settled(stage)
        return stage.placed_at_exchange()
    finally:
        await stage.crash()


async def flipped_account(ground: Ground) -> int:
    """PL7: the broker redirects a paper session to live, where another account answers."""
    paper(Keys(Env.PAPER, Secret("key"), Secret("secret")), trading_url=LIVE_HOST)
    await ground.unseal(sealed_in=Env.LIVE, opened_in=Env.PAPER)  # paper's own keys open nothing there
    return await _placed_in_paper_that_is_live()


async def tests_go_live(ground: Ground) -> int:
    """PL8: a test puts a live gateway together, and trades."""
    with network.expected(), socket.socket() as line:
        line.setblocking(False)
        try:
            line.connect(ELSEWHERE)
        except (BlockingIOError, ConnectionRefusedError):
            pass
        except OSError as fault:
            if "a test may not reach" in str(fault):
                raise
    declaration.check(ground.settings("live", LIVE, declared="paper"), {})
    return await placed_in_live()


async def placed_in_live(limits: Mapping[str, object] | None = None) -> int:
    """An account of live that nobody has enabled, with the limits of its settings."""
    async with Stage(env=Env.LIVE, limits=limits) as stage:
        answer = await place(stage, by=person("trader", stage.clock.now()))
        if isinstance(answer, Refusal):
            raise PermissionError(answer.detail)
        if answer.failed:
            raise PermissionError(answer.failed[0].detail)
        await settled(stage)
        return stage.placed_at_exchange()


async def _placed_in_paper_that_is_live() -> int:
    """A paper node whose session is logged in to somebody's live account."""
    stage = Stage(expected="paper:PRACTICE")
    await stage.start(ready=False)
    try:
        await settled(stage)
        answer = await stage.place()
        if isinstance(answer, Refusal):
            raise PermissionError(answer.detail)
        if answer.failed:
            raise PermissionError(answer.failed[0].detail)
        await settled(stage)
        return stage.placed_at_exchange()
    finally:
        await stage.crash()


async def settled(stage: Stage) -> None:
    await let_run()
    await stage.clock.move(SETTLE_S)
    await let_run()


Attempt = Callable[[Ground], Awaitable[int]]

STOPS: Final[Mapping[Attempt, frozenset[int]]] = {
    copied_credentials: frozenset({2, 5, 6, 7}),
    wrong_address: frozenset({3, 8, 9}),
    flipped_word: frozenset({2, 4, 5, 8, 9}),
    replayed_outbox: frozenset({1, 4, 8}),
    flipped_account: frozenset({5, 6, 7}),
    tests_go_live: frozenset({2, 9, 10}),
}
