"""The slots of a login: every step from every state, what is refused, and what a stranger's row opens."""

from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest

from ordergate.core.ids import Env
from ordergate.core.refusals import Code, Refusal
from ordergate.ports.broker import BrokerUnavailable
from ordergate.ports.keys import KeysRefused, Purpose
from ordergate.security.credentials.desk import CredentialDesk, LoginInfo
from ordergate.security.credentials.documents import ApiKeys, Document, OAuthTokens, read, written
from ordergate.security.credentials.slots import Credential, State
from ordergate.security.credentials.store import CredentialStore, connected
from ordergate.security.keys.software import SoftwareKeys
from ordergate.security.postgres import connected as identity
from ordergate.security.sealing.envelope import Envelope
from ordergate.telemetry.secret import Secret
from ordergate.wiring.gateway import migrate_all
from ordergate.wiring.system import SystemChance
from tests.security.world import SetClock, keys_of

LOGINS = {
    "venue": LoginInfo(tenant="acme", accounts=("P-ONE", "P-TWO")),
    "other": LoginInfo(tenant="acme", accounts=("P-THREE",), fingerprint="registered"),
}


def pair(name: str) -> ApiKeys:
    return ApiKeys(Secret(f"key-{name}"), Secret(f"canary-secret-{name}"))


class Office:
    """A desk over a database, and a brokerage that knows some keys."""

    def __init__(self, dsn: str, store: CredentialStore, keys: SoftwareKeys, clock: SetClock) -> None:
        self.dsn = dsn
        self.store = store
        self.keys = keys
        self.opens: dict[str, str] = {}
        self.desk = CredentialDesk(
            Env.PAPER,
            store,
            Envelope(keys, clock.monotonic),
            LOGINS,
            probe=self._probe,
            clock=clock,
            chance=SystemChance(),
        )

    async def _probe(self, login: str, document: Document) -> str:
        assert isinstance(document, ApiKeys)
        account = self.opens.get(document.key_id.reveal())
        if account is None:
            raise BrokerUnavailable("status 401")
        return account

    async def in_use(self, name: str) -> Credential:
        self.opens[f"key-{name}"] = "house"
        return done(await self.desk.begin("venue", pair(name)))

    async def states(self) -> list[str]:
        return sorted(row.state.value for row in await self.store.rows(revoked=True))


def done(found: Credential | Refusal) -> Credential:
    assert isinstance(found, Credential), found
    return found


def refused(found: object, code: Code = Code.CREDENTIAL_STATE) -> str:
    assert isinstance(found, Refusal), found
    assert found.code is code, found
    return found.detail


@pytest.fixture
async def office(database: str) -> AsyncIterator[Office]:
    await migrate_all(database)
    clock = SetClock()
    keys = keys_of(Env.PAPER, lambda: clock.epoch)
    await keys.rotate(Purpose.SECRETS)
    async with connected(Env.PAPER, database) as store:
        yield Office(database, store, keys, clock)


async def test_the_whole_way_of_two_slots(office: Office) -> None:
    desk = office.desk
    await office.in_use("one")
    office.opens["key-two"] = "house"

    assert done(await desk.add("venue", pair("two"))).state is State.ADDED
    assert done(await desk.verify("venue")).fingerprint == "house"
    assert done(await desk.switch("venue")).state is State.ACTIVE
    assert await office.states() == ["active", "draining"]
    refused(await desk.revoke("venue"))
    leaving = (await desk.slots("venue")).leaving
    assert leaving is not None
    assert await desk.let_go(leaving)
    assert not await desk.let_go(leaving)
    assert done(await desk.drain("venue", 0)).state is State.DRAINED
    assert done(await desk.revoke("venue")).sealed is None
    assert await office.states() == ["active", "revoked"]
    (row,) = await desk.listed()
    assert await desk.open(row) == pair("two")


async def test_a_rotation_that_stopped_half_way_is_gone_on_with(office: Office) -> None:
    await office.in_use("one")
    assert "did not let it in" in refused(
        await office.desk.rotate("venue", pair("two")), Code.CREDENTIAL_REFUSED
    )
    assert await office.states() == ["active", "added"]
    office.opens["key-two"] = "house"

    done(await office.desk.verify("venue"))
    done(await office.desk.switch("venue"))
    refused(await office.desk.drain("venue", 0))
    refused(await office.desk.add("elsewhere", pair("x")), Code.NOT_FOUND)


async def test_every_step_out_of_turn_is_refused_and_changes_nothing(office: Office) -> None:
    desk = office.desk
    for step in (desk.verify, desk.switch, desk.drain, desk.revoke):
        refused(await step("venue"))
    await office.in_use("one")
    for step in (desk.verify, desk.switch, desk.drain, desk.revoke):
        refused(await step("venue"))
    office.opens["key-two"] = office.opens["key-three"] = "house"
    done(await desk.add("venue", pair("two")))
    refused(await desk.add("venue", pair("three")))
    refused(await desk.switch("venue"))
    done(await desk.verify("venue"))
    done(await desk.switch("venue"))
    done(await desk.add("venue", pair("three")))
    done(await desk.verify("venue"))
    assert "leaves still" in refused(await desk.switch("venue"))
    assert await office.states() == ["active", "draining", "verified"]


async def test_keys_of_another_account_are_never_switched_to(office: Office) -> None:
    await office.in_use("one")
    office.opens["key-two"] = "another"
    done(await office.desk.add("venue", pair("two")))
    assert "another" in refused(await office.desk.verify("venue"), Code.CREDENTIAL_REFUSED)

    office.opens["key-three"] = "not the registered one"
    done(await office.desk.add("other", pair("three")))
    refused(await office.desk.verify("other"), Code.CREDENTIAL_REFUSED)
    office.opens["key-three"] = "registered"
    done(await office.desk.verify("other"))


async def test_keys_that_went_bad_after_they_were_verified_are_not_switched_to(office: Office) -> None:
    await office.in_use("one")
    office.opens["key-two"] = "house"
    done(await office.desk.add("venue", pair("two")))
    done(await office.desk.verify("venue"))
    del office.opens["key-two"]
    refused(await office.desk.switch("venue"), Code.CREDENTIAL_REFUSED)
    assert await office.states() == ["active", "verified"]
    done(await office.desk.revoke("venue"))


async def test_two_desks_at_once_switch_once(office: Office) -> None:
    await office.in_use("one")
    office.opens["key-two"] = "house"
    done(await office.desk.add("venue", pair("two")))
    row = done(await office.desk.verify("venue"))

    assert await office.store.switch(row)
    assert not await office.store.switch(row)
    assert await office.states() == ["active", "draining"]


async def test_tm11_a_ciphertext_in_another_row_or_login_opens_nothing(office: Office) -> None:
    first = await office.in_use("one")
    done(await office.desk.add("other", pair("two")))
    rows = {row.broker: row for row in await office.desk.listed()}
    for changed in (
        msgspec.structs.replace(rows["other"], sealed=first.sealed),
        msgspec.structs.replace(rows["venue"], sealed=rows["other"].sealed),
        msgspec.structs.replace(rows["venue"], broker="other"),
        msgspec.structs.replace(rows["venue"], account="P-TWO"),
        msgspec.structs.replace(rows["venue"], account="P-NOBODY"),
        msgspec.structs.replace(rows["venue"], tenant="umbrella"),
        msgspec.structs.replace(rows["venue"], kind="oauth_tokens"),
        msgspec.structs.replace(rows["venue"], row_id="0" * 32),
        msgspec.structs.replace(rows["venue"], env=Env.LIVE),
    ):
        with pytest.raises(KeysRefused):
            await office.desk.open(changed)


async def test_every_change_is_noted_without_a_secret(office: Office) -> None:
    await office.in_use("one")
    async with identity(Env.PAPER, office.dsn) as store:
        noted = [change for change in await store.waiting(100) if change.what == "broker_credential"]
    assert [change.facts["state"] for change in noted] == ["added", "verified", "active"]
    assert [change.facts["secret"] for change in noted] == ["set", "kept", "kept"]
    assert "canary" not in str(noted)


async def test_the_database_itself_keeps_the_slots_apart(office: Office) -> None:
    await office.in_use("one")
    connection = await asyncpg.connect(office.dsn)
    try:
        columns = "broker, tenant, account, kind, state, fingerprint, expires_at, created_at, changed_at, "
        columns += "kek, kek_version, kek_algorithm, wrapped, algorithm, nonce, ciphertext"
        for said in (
            f"insert into broker_credential select env, repeat('a', 32), {columns} from broker_credential",
            "update broker_credential set state = 'revoked'",
            "update broker_credential set ciphertext = null",
        ):
            with pytest.raises(asyncpg.IntegrityConstraintViolationError):
                await connection.execute(said)
    finally:
        await connection.close()


@pytest.mark.parametrize("document", [pair("x"), OAuthTokens(Secret("a"), Secret("r"), 7)])
def test_a_document_comes_back_and_does_not_show_itself(document: Document) -> None:
    assert read(document.kind, written(document)) == document
    assert "canary" not in repr(document) + str(written(document))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"key_id": 1, "secret_key": "x"}'])
def test_what_is_no_document_says_nothing_of_itself(text: str) -> None:
    for kind in ("api_keys", "oauth_tokens"):
        with pytest.raises(KeysRefused, match="no such credential"):
            read(kind, Secret(text))
