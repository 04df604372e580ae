"""Whose key a broker has to show where the settings pin it; whoever has another one is told nothing."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import httpx
import pytest
import uvloop
from yarl import URL

from ordergate.brokers._shared.http import Answer, HttpClient, Reply
from ordergate.brokers._shared.rate import Allowance
from ordergate.brokers._shared.trust import context, pin_of
from ordergate.brokers.alpaca.access import Access, paper
from ordergate.brokers.alpaca.client import AlpacaBroker
from ordergate.core.ids import Env, Paper
from ordergate.ports.broker import StreamDown, StreamUp, Unsent
from ordergate.security.credentials.grants import BrokerAway, Grants, GrantSettings
from ordergate.telemetry.secret import Secret
from tests.brokers.alpaca_account import KEYS
from tests.brokers.authorities import Authority
from tests.brokers.sockets import all_ended
from tests.brokers.streams import stream_server
from tests.brokers.test_alpaca_stream import welcomes
from tests.brokers.test_http import LIMITS, ask
from tests.brokers.world import ACCOUNT, WAIT_S, FixedChance, HandClock, our_id, terms
from tests.security.world import SetClock

ANSWER: Final = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"id":"1"}'
UNPINNED: Final = "no connection: no key of localhost is pinned"


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


@pytest.fixture
def others(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "others")


@pytest.fixture(autouse=True)
def _the_machine_trusts_both(
    ours: Authority, others: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = tmp_path / "machine.pem"
    both.write_bytes(ours.root.pem + others.root.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(both))


@asynccontextmanager
async def broker(tls: ssl.SSLContext, heard: list[bytes]) -> AsyncIterator[str]:
    """Answers requests, and keeps every byte of them; tells where it is."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(OSError):
            while said := await reader.read(65_536):
                heard.append(said)
                writer.write(ANSWER)
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}"
        for writer in writers:
            writer.transport.abort()
        await all_ended(server)


def trusted(*pins: str, authorities: Path | None = None) -> ssl.SSLContext:
    return context(authorities=authorities, pins=frozenset(map(pin_of, pins)))


def client_of(url: str, tls: ssl.SSLContext) -> HttpClient:
    allowance = Allowance(per_minute=600, clock=HandClock())
    return HttpClient(URL(url), headers={"X-Key": "value"}, allowance=allowance, limits=LIMITS, tls=tls)


async def asked(shown: ssl.SSLContext, tls: ssl.SSLContext) -> tuple[Reply, list[bytes]]:
    """What a request comes to, and every byte that the server was told."""
    heard: list[bytes] = []
    async with broker(shown, heard) as url:
        http = client_of(url, tls)
        said = await ask(http)
        await http.close()
    return said, heard


WHOSE: Final[dict[str, Callable[[Authority], str]]] = {
    "the host": lambda one: one.host.pin,
    "the intermediate": lambda one: one.between.pin,
    "the root": lambda one: one.root.pin,
}
LOOPS: Final = {"asyncio": asyncio.run, "uvloop": uvloop.run}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("whose", WHOSE)
def test_a_key_of_the_chain_that_is_pinned_is_believed(ours: Authority, whose: str, loop: str) -> None:
    said, heard = LOOPS[loop](asked(ours.serving(), trusted(WHOSE[whose](ours))))
    assert isinstance(said, Answer)
    assert heard


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("whose", WHOSE)
def test_a_trusted_name_without_a_pinned_key_is_told_nothing(
    ours: Authority, others: Authority, whose: str, loop: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = LOOPS[loop](asked(ours.serving(), trusted(WHOSE[whose](others))))
    assert said == (Unsent(UNPINNED), [])
    logged = capsys.readouterr()
    assert "broker.key_not_pinned" in logged.out + logged.err
    assert all(one(ours) in logged.out + logged.err for one in WHOSE.values())


async def test_a_second_pin_is_believed_so_that_one_can_be_replaced(
    ours: Authority, others: Authority
) -> None:
    said, _ = await asked(ours.serving(), trusted(others.host.pin, ours.host.pin))
    assert isinstance(said, Answer)


async def test_a_pinned_certificate_that_is_merely_sent_along_counts_for_nothing(
    ours: Authority, others: Authority
) -> None:
    """Whoever has a name of theirs signed can send anybody's certificates behind it."""
    shown = others.serving(ours.between, ours.root, ours.host)
    assert await asked(shown, trusted(ours.between.pin, ours.root.pin, ours.host.pin)) == (
        Unsent(UNPINNED),
        [],
    )


async def test_only_the_authorities_that_are_given_vouch(ours: Authority, others: Authority) -> None:
    tls = trusted(authorities=ours.file)
    assert isinstance((await asked(ours.serving(), tls))[0], Answer)
    said, heard = await asked(others.serving(), tls)
    assert isinstance(said, Unsent)
    assert heard == []


async def test_an_intermediate_is_authority_enough(ours: Authority, tmp_path: Path) -> None:
    alone = tmp_path / "intermediate.pem"
    alone.write_bytes(ours.between.pem)
    assert isinstance((await asked(ours.serving(), trusted(authorities=alone)))[0], Answer)


async def test_authorities_and_keys_must_both_be_right(ours: Authority, others: Authority) -> None:
    said, _ = await asked(ours.serving(), trusted(ours.host.pin, authorities=ours.file))
    assert isinstance(said, Answer)
    for tls in (
        trusted(ours.host.pin, authorities=others.file),
        trusted(others.host.pin, authorities=ours.file),
    ):
        assert (await asked(ours.serving(), tls))[1] == []


async def test_a_connection_is_looked_at_once_and_used_again(
    ours: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls, looks = trusted(ours.host.pin), list[int]()
    handshake = ssl.SSLObject.do_handshake

    def counted(self: ssl.SSLObject) -> None:
        handshake(self)
        looks.append(1)

    heard: list[bytes] = []
    async with broker(ours.serving(), heard) as url:
        http = client_of(url, tls)
        await ask(http)
        monkeypatch.setattr(ssl.SSLObject, "do_handshake", counted)
        for _ in range(3):
            assert isinstance(await ask(http), Answer)
        await http.close()
    assert (len(heard), looks) == (4, [])


async def test_what_does_not_look_at_keys_gets_no_connection(ours: Authority) -> None:
    heard: list[bytes] = []
    async with broker(ours.serving(), heard) as url:
        blocking = httpx.Client(verify=trusted(ours.host.pin), trust_env=False)
        with blocking, pytest.raises(httpx.ConnectError):
            await asyncio.to_thread(blocking.get, url)
    assert heard == []


def alpaca(url: str, tls: ssl.SSLContext) -> AlpacaBroker[Paper]:
    there = paper(KEYS, trading_url=url)
    access: Access[Paper] = Access(
        env=Env.PAPER, trading=there.trading, data=there.data, credentials=KEYS, tls=tls
    )
    return AlpacaBroker(access, ACCOUNT, clock=HandClock(), chance=FixedChance())


async def test_an_order_and_its_credentials_stay_here(ours: Authority, others: Authority) -> None:
    heard: list[bytes] = []
    async with broker(ours.serving(), heard) as url:
        account = alpaca(url, trusted(others.host.pin))
        assert await account.place(our_id(1), terms(), lambda: None) == Unsent(UNPINNED)
        async with asyncio.timeout(WAIT_S):
            assert await anext(aiter(account.news())) == StreamDown(UNPINNED)
        await account.close()
    assert heard == []


async def test_a_stream_is_opened_to_whoever_has_a_pinned_key(ours: Authority, others: Authority) -> None:
    async with stream_server(welcomes(), tls=ours.serving()) as server:
        for pins, first in (((others.host.pin,), StreamDown(UNPINNED)), ((ours.root.pin,), StreamUp())):
            account = alpaca(server.url, trusted(*pins))
            async with asyncio.timeout(WAIT_S):
                assert await anext(aiter(account.news())) == first
            await account.close()
    assert server.connections == 1


async def test_the_secret_of_an_application_is_told_to_a_pinned_key_only(
    ours: Authority, others: Authority
) -> None:
    heard: list[bytes] = []
    async with broker(ours.serving(), heard) as url:
        described = GrantSettings(
            base_url=url,
            client_id="ordergate",
            client_secret=lambda: Secret("application"),
            redirect_uri="http://127.0.0.1:8799/linked",
        )
        for pin, told in ((others.host.pin, False), (ours.host.pin, True)):
            grants = Grants(described, SetClock(), FixedChance(), tls=trusted(pin))
            asking = grants.ask()
            with pytest.raises(BrokerAway):
                await grants.redeem(asking, asking.state, Secret("code"))
            assert bool(heard) is told


@pytest.mark.parametrize(
    "text", ["", "x", "AAAA", "sha256/" + "A" * 43 + "=", "A" * 43, "A" * 42 + "==", "é"]
)
def test_what_is_no_pin_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no pin"):
        pin_of(text)
