"""`journal verify` and `journal replay` find what was changed by hand, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

import asyncpg
import msgspec
import pytest

from ordergate.core.ids import AccountId, Env
from ordergate.core.instruments import by_any_name
from ordergate.engine.accounts.pictures import lines
from ordergate.engine.accounts.recovery import Recovery
from ordergate.journal.embedded import EmbeddedPostgres
from ordergate.journal.postgres import PostgresJournal
from ordergate.ports.journal import Snapshot
from ordergate.wiring.fold_rules import fold_rules
from ordergate.wiring.settings import Settings, load
from tests.cli.asking import Desk, ordergate, resting
from tests.fixtures.house import House, house


def test_both_checks_pass_beside_a_running_gateway(desk: Desk) -> None:
    order = desk.filled("AAPL", "buy", "4")
    data_dir = str(desk.home.data_dir)
    for check in ("verify", "replay"):
        said = ordergate("journal", check, "--data-dir", data_dir, "--json")
        assert said.code == 0, said.out
        assert said.json["clean"]
        counted = {one["account"]: one["events"] for one in said.json["accounts"]}
        assert counted["P-DEMO"] >= desk.get("orders", "events", order["id"])["events"][-1]["seq"]
        shown = ordergate("journal", check, "--data-dir", data_dir, "--account", "P-DEMO")
        assert shown.code == 0
        assert "holds" in shown.out
        assert "P-CONTROL" not in shown.out


def test_an_order_and_what_one_request_did_are_found(desk: Desk) -> None:
    order = desk.filled("AAPL", "buy", "1")
    data_dir = str(desk.home.data_dir)
    life = ordergate("journal", "find", order["id"], "--data-dir", data_dir, "--json").json["events"]
    told = desk.get("orders", "events", order["id"])["events"]
    assert [(one["seq"], one["kind"]) for one in life] == [(one["seq"], one["kind"]) for one in told]
    said = ordergate("journal", "find", life[0]["correlation"], "--data-dir", data_dir)
    assert said.code == 0
    assert order["id"] in said.out
    assert "order_accepted" in said.out
    nothing = ordergate("journal", "find", "never-there", "--data-dir", data_dir)
    assert (nothing.code, nothing.out.strip()) == (1, "the journal has no event of it")


@pytest.mark.parametrize("which", ["verify", "replay"])
def test_an_account_that_is_not_there_does_not_hold(desk: Desk, which: str) -> None:
    """A slip in the name would look like a proof."""
    where = ("--data-dir", str(desk.home.data_dir), "--account", "P-DEM0")
    said = ordergate("journal", which, *where)
    assert (said.code, said.out) == (5, "")
    assert "the journal has no account P-DEM0" in said.err


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house that has traded and was stopped."""
    folder = tmp_path_factory.mktemp("stopped")
    with house(folder, recorded=str(folder)) as home:
        desk = Desk(home)
        desk.filled("AAPL", "buy", "2")
        waiting = desk.place(*resting(), "--wait", "10")
        desk.get("orders", "cancel", waiting["id"], "--wait", "10")
        assert home.stop() == 0
        yield home


def change(home: House, *statements: str) -> None:
    """What somebody with the database's password could do."""

    async def execute() -> None:
        async with EmbeddedPostgres(home.data_dir / "postgres") as server:
            connection = await asyncpg.connect(server.dsn("ordergate_paper"))
            try:
                for statement in statements:
                    await connection.execute(statement, timeout=30)
            finally:
                await connection.close(timeout=10)

    asyncio.run(execute())


def check(home: House, which: str) -> tuple[int, str]:
    said = ordergate("journal", which, "--data-dir", str(home.data_dir))
    return said.code, said.out


def test_a_stopped_gateway_is_checked_as_well_and_its_database_stopped_again(stopped: House) -> None:
    assert check(stopped, "verify")[0] == 0
    assert check(stopped, "replay")[0] == 0
    assert stopped.leftovers() == []


def test_a_gateway_that_was_stopped_has_signed_for_everything_that_it_wrote(stopped: House) -> None:
    """Or its last records could not be told from some whose checkpoints were cut off."""
    said = ordergate("audit", "verify", "--json", "--data-dir", str(stopped.data_dir))
    assert (said.code, said.json["problems"]) == (0, [])
    assert said.json["signed"] == said.json["records"] > 0


def test_replay_finds_every_kind_of_changed_row(stopped: House) -> None:
    for statement, back, words in (
        (
            'update position_view set body = replace(body, \'"quantity":"2"\', \'"quantity":"3"\')',
            'update position_view set body = replace(body, \'"quantity":"3"\', \'"quantity":"2"\')',
            "positions shows AAPL otherwise",
        ),
        (
            "create table kept as select * from balance_view; delete from balance_view",
            "insert into balance_view select * from kept; drop table kept",
            "balances lacks USD",
        ),
        (
            "insert into break_view select account, 'invented', body from balance_view",
            "delete from break_view",
            "breaks has invented, of which no event tells",
        ),
    ):
        change(stopped, statement)
        code, out = check(stopped, "replay")
        assert (code, words in out) == (4, True), out
        assert check(stopped, "verify")[0] == 0
        change(stopped, back)
        assert check(stopped, "replay")[0] == 0


def test_replay_compares_snapshots_with_the_events_and_they_can_be_dropped(stopped: House) -> None:
    """A snapshot whose seal holds and whose books are wrong: as if the code that made it had been."""
    dsn_told(stopped, wrong_snapshot)
    code, out = check(stopped, "replay")
    assert (code, "shows account otherwise than the events do" in out) == (4, True), out
    assert ordergate("journal", "drop-snapshots", "--data-dir", str(stopped.data_dir), "--json").json == {
        "dropped": 1
    }
    assert check(stopped, "replay")[0] == 0


async def wrong_snapshot(dsn: str, settings: Settings) -> None:
    """The books of the first events, with other cash than they have."""
    instruments = by_any_name(settings.symbols)
    account = AccountId("P-DEMO")
    journal = await PostgresJournal.connect(dsn, Env.PAPER)
    try:
        rules = fold_rules(instruments)
        folded = await Recovery(account, journal, instruments, rules).fold(2, 2, lambda stored: None)
        picture = folded.books.picture()
        assert picture.account is not None
        richer = msgspec.structs.replace(picture.account, cash=picture.account.cash + 1)
        body = b"".join(lines(msgspec.structs.replace(picture, account=richer)))
        epoch = (await journal.take(account)).epoch
        assert await journal.keep(Snapshot(account=account, epoch=epoch, seq=2, rules=rules, body=body))
    finally:
        await journal.close()


def dsn_told(home: House, what: Callable[[str, Settings], Coroutine[None, None, None]]) -> None:
    async def tell() -> None:
        async with EmbeddedPostgres(home.data_dir / "postgres") as server:
            await what(server.dsn("ordergate_paper"), load(home.data_dir / "gateway.yaml"))

    asyncio.run(tell())


def test_verify_finds_an_event_that_was_changed(stopped: House) -> None:
    guard = "alter table event {} trigger event_is_append_only"
    forge = "update event set frame = replace(frame, '{}', '{}') where account = 'P-DEMO' and seq = 2"
    change(stopped, guard.format("disable"), forge.format("order_accepted", "order_accepteD"))
    try:
        for which in ("verify", "replay"):
            code, out = check(stopped, which)
            assert code == 4
            assert "the chain breaks at event 2" in out
    finally:
        change(stopped, forge.format("order_accepteD", "order_accepted"), guard.format("enable"))
    assert check(stopped, "verify")[0] == 0


def test_a_folder_without_a_gateway_is_a_sentence(tmp_path: Path) -> None:
    said = ordergate("journal", "verify", "--data-dir", str(tmp_path))
    assert said.code == 5
    assert "there is no gateway in" in said.err
    assert list(tmp_path.iterdir()) == []
