"""What every journal promises about snapshots, asked of each of them.

A subclass gives the fixture `twin`.
"""

import asyncio

import msgspec
import pytest

from ordergate.core.faults import StaleEpoch
from ordergate.ports.journal import Snapshot
from tests.journal.conformance import Twin
from tests.journal.making import ALICE, BOB, Owner, opened, taken

BODY = b'{"line":1}\n' * 1_000
RULES = "these rules"


def snapshot(owner: Owner, seq: int, **changes: object) -> Snapshot:
    usual = Snapshot(account=owner.account, epoch=owner.taken.epoch, seq=seq, rules=RULES, body=BODY)
    return msgspec.structs.replace(usual, **changes)


async def with_events(twin: Twin, count: int) -> Owner:
    owner = await taken(twin.journal)
    await asyncio.gather(*[twin.journal.append(owner.place(number)) for number in range(1, count + 1)])
    return owner


class SnapshotsConformance:
    async def test_a_snapshot_is_given_back_as_it_was_kept(self, twin: Twin) -> None:
        owner = await with_events(twin, 5)
        assert await twin.journal.snapshot(ALICE, rules=RULES) is None
        assert await twin.journal.keep(snapshot(owner, 3))
        assert await twin.journal.snapshot(ALICE, rules=RULES) == snapshot(owner, 3)

    async def test_a_later_one_takes_its_place(self, twin: Twin) -> None:
        owner = await with_events(twin, 5)
        assert await twin.journal.keep(snapshot(owner, 3))
        assert await twin.journal.keep(snapshot(owner, 5, body=b"later"))
        assert await twin.journal.keep(snapshot(owner, 5, body=b"the same moment again"))
        kept = await twin.journal.snapshot(ALICE, rules=RULES)
        assert kept == snapshot(owner, 5, body=b"the same moment again")

    async def test_an_older_one_changes_nothing(self, twin: Twin) -> None:
        owner = await with_events(twin, 5)
        assert await twin.journal.keep(snapshot(owner, 5))
        assert not await twin.journal.keep(snapshot(owner, 4, body=b"older"))
        assert await twin.journal.snapshot(ALICE, rules=RULES) == snapshot(owner, 5)

    async def test_a_snapshot_of_other_rules_is_none(self, twin: Twin) -> None:
        owner = await with_events(twin, 2)
        assert await twin.journal.keep(snapshot(owner, 2, rules="rules of old"))
        assert await twin.journal.snapshot(ALICE, rules=RULES) is None
        assert await twin.journal.keep(snapshot(owner, 2))
        assert await twin.journal.snapshot(ALICE, rules=RULES) is not None

    @pytest.mark.parametrize("seq", [0, 6, 1_000_000])
    async def test_what_is_not_durable_is_not_kept(self, twin: Twin, seq: int) -> None:
        owner = await with_events(twin, 5)
        assert not await twin.journal.keep(snapshot(owner, seq))
        assert await twin.journal.snapshot(ALICE, rules=RULES) is None

    async def test_a_former_owner_keeps_nothing(self, twin: Twin) -> None:
        former = await with_events(twin, 5)
        assert await twin.journal.keep(snapshot(former, 2))
        present = await taken(twin.journal)
        assert not await twin.journal.keep(snapshot(former, 5))
        assert await twin.journal.snapshot(ALICE, rules=RULES) == snapshot(former, 2)
        with pytest.raises(StaleEpoch):
            await twin.journal.append(former.place(9))
        assert await twin.journal.keep(snapshot(present, 4))

    async def test_a_new_owner_may_keep_an_older_moment(self, twin: Twin) -> None:
        """What it has folded itself is worth more to it than what another left."""
        former = await with_events(twin, 5)
        assert await twin.journal.keep(snapshot(former, 5))
        present = await taken(twin.journal)
        assert await twin.journal.keep(snapshot(present, 4))
        assert await twin.journal.snapshot(ALICE, rules=RULES) == snapshot(present, 4)

    async def test_accounts_have_snapshots_of_their_own(self, twin: Twin) -> None:
        alice, bob = await with_events(twin, 2), await taken(twin.journal, BOB)
        await twin.journal.append(bob.unit(opened(BOB)))
        assert await twin.journal.keep(snapshot(alice, 2))
        assert await twin.journal.snapshot(BOB, rules=RULES) is None
        assert await twin.journal.keep(snapshot(bob, 1))
        assert await twin.journal.snapshot(ALICE, rules=RULES) == snapshot(alice, 2)

    async def test_an_account_that_nobody_took_has_none(self, twin: Twin) -> None:
        assert not await twin.journal.keep(snapshot(Owner(twin.journal), 1))
        assert await twin.journal.snapshot(ALICE, rules=RULES) is None
