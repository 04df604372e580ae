"""The directory stays fresh by itself and never unlearns a revocation."""

import asyncio
import io
import json

import msgspec
import pytest

from ordergate.core.access import SCOPES_OF, Role, Scope
from ordergate.core.ids import AccountId, Env
from ordergate.core.tenancy import AccountPlace, Assignment, Reach
from ordergate.security.clients import Client, Snapshot, StoreUnavailable
from ordergate.security.directory import REFRESH_S, STALE_S_MAX, Directory
from ordergate.security.memory import MemoryStore
from ordergate.security.persons import Person
from ordergate.security.profile import Profile, profile
from tests.security.world import SetClock, World, world


class Counted(MemoryStore):
    """Counts reads, and can stop in the middle of one."""

    def __init__(self) -> None:
        super().__init__(Env.PAPER)
        self.loads = 0
        self.read = asyncio.Event()
        self.hold: asyncio.Event | None = None
        self.cut = False

    async def revoke(self, token_id: str, expires_at: int) -> None:
        if self.cut:
            raise StoreUnavailable("cut off")
        await super().revoke(token_id, expires_at)

    async def load(self, now: int) -> Snapshot:
        if self.cut:
            self.read.set()
            raise StoreUnavailable("cut off")
        snapshot = await super().load(now)
        self.loads += 1
        self.read.set()
        if self.hold is not None:
            await self.hold.wait()
        return snapshot


def desk_of(directory: Directory) -> Client:
    found = directory.client("desk")
    assert found is not None
    return found


def enabled(directory: Directory) -> bool:
    return desk_of(directory).enabled


async def disable_elsewhere(here: World) -> None:
    """As the command line does, or another gateway of the same database."""
    desk = desk_of(here.security.directory)
    await here.store.put_client(msgspec.structs.replace(desk, enabled=False))


async def next_read(clock: SetClock, store: Counted) -> None:
    store.read.clear()
    await clock.advance_and_wake(REFRESH_S)
    await asyncio.wait_for(store.read.wait(), 10)


async def test_it_reads_the_store_again_well_within_five_seconds() -> None:
    assert REFRESH_S <= 5
    clock, store = SetClock(), Counted()
    directory = Directory(Env.PAPER, store, clock)
    running = asyncio.create_task(directory.run())
    await asyncio.sleep(0)

    await store.revoke("a", clock.epoch + 100)
    await next_read(clock, store)
    await asyncio.sleep(0)

    assert directory.is_revoked("a")
    running.cancel()


async def test_it_goes_on_after_the_store_was_away() -> None:
    clock, store = SetClock(), Counted()
    directory = Directory(Env.PAPER, store, clock)
    running = asyncio.create_task(directory.run())
    await asyncio.sleep(0)

    store.cut = True
    await next_read(clock, store)
    assert directory.stale_s() == float("inf")
    store.cut = False
    await next_read(clock, store)
    await asyncio.sleep(0)

    assert directory.stale_s() == 0
    running.cancel()


async def test_a_read_that_a_write_overtook_does_not_undo_the_write() -> None:
    clock, store = SetClock(), Counted()
    here = await world(store=store, clock=clock)
    directory = here.security.directory
    store.hold = asyncio.Event()
    store.read.clear()

    reading = asyncio.create_task(directory.refresh())
    await asyncio.wait_for(store.read.wait(), 10)
    await here.security.register("late", tenant="acme", scopes=(), accounts=())
    await directory.revoke("token", clock.epoch + 100)
    store.hold.set()
    await reading

    assert directory.client("late") is not None
    assert directory.is_revoked("token")


async def test_what_was_written_elsewhere_is_learned_however_much_is_revoked_here_meanwhile() -> None:
    clock, store = SetClock(), Counted()
    here = await world(store=store, clock=clock)
    directory = here.security.directory
    await disable_elsewhere(here)
    store.hold = asyncio.Event()
    store.read.clear()

    reading = asyncio.create_task(directory.refresh())
    await asyncio.wait_for(store.read.wait(), 10)
    await directory.revoke("token", clock.epoch + 100)
    store.hold.set()
    await reading

    assert not enabled(directory)


async def test_a_client_that_is_written_here_hides_no_other_that_was_written_elsewhere() -> None:
    clock, store = SetClock(), Counted()
    here = await world(store=store, clock=clock)
    directory = here.security.directory
    await disable_elsewhere(here)
    store.hold = asyncio.Event()
    store.read.clear()

    reading = asyncio.create_task(directory.refresh())
    await asyncio.wait_for(store.read.wait(), 10)
    await here.security.register("late", tenant="acme", scopes=(), accounts=())
    store.hold.set()
    await reading

    assert not enabled(directory)


async def test_a_client_that_was_written_here_is_another_again_once_the_store_says_so() -> None:
    here = await world()
    directory = here.security.directory
    await here.security.directory.put_client(desk_of(directory))
    await directory.refresh()

    await disable_elsewhere(here)
    await directory.refresh()

    assert not enabled(directory)


async def test_whoever_reads_again_knows_what_was_written_before_and_not_what_an_older_read_brought() -> None:
    clock, store = SetClock(), Counted()
    here = await world(store=store, clock=clock)
    directory = here.security.directory
    store.hold = asyncio.Event()
    store.read.clear()
    reading = asyncio.create_task(directory.refresh())
    await asyncio.wait_for(store.read.wait(), 10)

    await disable_elsewhere(here)
    again = asyncio.create_task(directory.read_again())
    store.hold.set()
    await again

    assert not enabled(directory)
    await reading


async def test_one_read_serves_all_who_asked_for_another_before_it_began() -> None:
    store = Counted()
    here = await world(store=store)
    directory = here.security.directory
    store.hold = asyncio.Event()
    store.read.clear()
    before = store.loads
    reading = asyncio.create_task(directory.refresh())
    await asyncio.wait_for(store.read.wait(), 10)

    asking = [asyncio.create_task(directory.read_again()) for _ in range(10)]
    await asyncio.sleep(0)
    store.hold.set()
    await asyncio.gather(reading, *asking)

    assert store.loads - before == 2


async def test_a_read_that_took_longer_than_is_good_is_told(logged: io.StringIO) -> None:
    clock, store = SetClock(), Counted()
    directory = Directory(Env.PAPER, store, clock)
    running = asyncio.create_task(directory.run())
    await asyncio.sleep(0)
    store.hold = asyncio.Event()
    await next_read(clock, store)

    clock.advance(STALE_S_MAX + 1)
    store.hold.set()
    for _ in range(10):
        await asyncio.sleep(0)

    (line,) = logged.getvalue().splitlines()
    assert (json.loads(line)["event"], json.loads(line)["stale_s"]) == ("directory.stale", STALE_S_MAX + 1)
    running.cancel()


async def test_what_is_revoked_already_is_not_written_again() -> None:
    here = await world()
    directory = here.security.directory
    await directory.revoke("token", here.clock.epoch + 100)
    await here.store.prune(here.clock.epoch + 1_000)

    await directory.revoke("token", here.clock.epoch + 100)

    assert "token" not in (await here.store.load(here.clock.epoch)).revoked


async def test_a_revocation_that_the_store_did_not_take_is_written_when_it_is_asked_for_again() -> None:
    clock, store = SetClock(), Counted()
    directory = Directory(Env.PAPER, store, clock)
    store.cut = True
    with pytest.raises(StoreUnavailable):
        await directory.revoke("token", clock.epoch + 100)
    store.cut = False

    await directory.revoke("token", clock.epoch + 100)

    assert "token" in (await store.load(clock.epoch)).revoked


async def test_a_revocation_is_not_unlearned_from_a_store_that_lost_it() -> None:
    clock = SetClock()
    here = await world(clock=clock)
    directory = here.security.directory
    await directory.revoke("token", clock.epoch + 100)

    await here.store.prune(clock.epoch + 1_000)
    await directory.refresh()

    assert directory.is_revoked("token")
    clock.advance(100)
    await directory.refresh()
    assert not directory.is_revoked("token")


@pytest.mark.parametrize(
    "url",
    [
        "http://gateway.example",
        "ftp://127.0.0.1",
        "https://",
        "127.0.0.1:8080",
        "https://user:pass@gateway.example",
        "https://gateway.example?x=1",
        "https://gateway.example#f",
        "http://127.0.0.1.evil.example",
    ],
)
def test_an_issuer_is_https_or_on_this_machine(url: str) -> None:
    with pytest.raises(ValueError, match=r"host|https|query|user"):
        profile(Env.PAPER, url)


def test_paper_and_live_differ_even_at_the_same_address() -> None:
    def at(env: Env) -> Profile:
        return profile(env, "https://gateway.example/")

    assert at(Env.PAPER).audience != at(Env.LIVE).audience
    assert (at(Env.PAPER).lifetime_s, at(Env.LIVE).lifetime_s) == (900, 300)


ANN = Person(
    user_id="ann",
    tenant="acme",
    password_hash="-",
    scopes=frozenset(),
    accounts=frozenset({AccountId("P-A")}),
)


async def test_whoever_was_given_no_scopes_is_at_most_a_trader_until_they_have_a_role() -> None:
    store = MemoryStore(Env.PAPER)
    store.people["ann"] = ANN
    await store.place_accounts([AccountPlace(AccountId("P-A"), "acme")])
    directory = Directory(Env.PAPER, store, SetClock())

    async def at_most() -> frozenset[Scope]:
        await directory.refresh()
        found = directory.person("ann")
        assert found is not None
        return found.scopes

    assert await at_most() == SCOPES_OF[Role.TRADER]
    await store.assign(Assignment("acme", "ann", Role.RISK_MANAGER, Reach.ACCOUNT, AccountId("P-A")))
    assert await at_most() == frozenset(Scope)
    store.people["ann"] = msgspec.structs.replace(ANN, scopes=frozenset({Scope.ORDERS_READ}))
    assert await at_most() == {Scope.ORDERS_READ}
