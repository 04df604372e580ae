"""The twin in memory of whoever keeps what people have: the same promises, until the process ends."""

from __future__ import annotations

import msgspec

from ordergate.core.ids import Env
from ordergate.security.memory import MemoryStore
from ordergate.security.passkeys import OF_ONE_MAX, Passkey, check_passkey
from ordergate.security.persons import IDLE_S, SPENT_MAX, Grant, Person, check_person
from ordergate.security.resets import NewPassword, Reset


class MemoryPeople:
    """A PeopleStore for tests and benches, over the store that the directory reads."""

    def __init__(self, env: Env, store: MemoryStore) -> None:
        self._env = env
        self._store = store
        self.grants: dict[str, Grant] = {}
        self.passkeys: dict[str, Passkey] = {}
        self.resets: dict[str, Reset] = {}

    async def put_person(self, person: Person) -> None:
        check_person(self._env, person)
        before = self._store.people.get(person.user_id)
        if before is not None and before.password_hash != person.password_hash:
            self.resets.pop(person.user_id, None)
        self._store.people[person.user_id] = person

    async def replace_person(self, person: Person, *, ends_logins: bool, now: int) -> None:
        await self.put_person(person)
        self.passkeys = {name: one for name, one in self.passkeys.items() if one.user_id != person.user_id}
        if ends_logins:
            await self.end_logins(person.user_id, keep=0, now=now)

    async def reseal_factor(self, user_id: str, before: bytes, after: bytes) -> bool:
        person = self._store.people.get(user_id)
        if person is None or person.totp != before:
            return False
        self._store.people[user_id] = msgspec.structs.replace(person, totp=after)
        return True

    async def put_grant(self, grant: Grant) -> None:
        self.grants[grant.grant_id] = grant

    async def grant_of_code(self, code_hash: str) -> Grant | None:
        return next((one for one in self.grants.values() if one.code_hash == code_hash), None)

    async def grant(self, grant_id: str) -> Grant | None:
        return self.grants.get(grant_id)

    async def redeem(self, grant_id: str, refresh_hash: str, bound_to: str | None, now: int) -> bool:
        found = self.grants.get(grant_id)
        if found is None or not found.code_is_good(now):
            return False
        self.grants[grant_id] = msgspec.structs.replace(
            found, redeemed=True, refresh_hash=refresh_hash, bound_to=bound_to, used_at=now
        )
        return True

    async def refresh(self, grant_id: str, old: str, new: str, now: int) -> bool:
        found = self.grants.get(grant_id)
        if found is None or found.revoked or found.refresh_hash != old:
            return False
        spent = found.spent_hashes if old == new else (*found.spent_hashes, old)[-SPENT_MAX:]
        self.grants[grant_id] = msgspec.structs.replace(
            found, refresh_hash=new, spent_hashes=spent, used_at=now
        )
        return True

    async def end(self, grant_id: str, until: int) -> None:
        found = self.grants.get(grant_id)
        if found is not None:
            await self._store.revoke(grant_id, until)
            self.grants[grant_id] = msgspec.structs.replace(found, revoked=True)

    async def end_logins(self, user_id: str, *, keep: int, now: int) -> int:
        live = [one for one in self.grants.values() if one.user_id == user_id and one.is_live(now)]
        ended = sorted(live, key=lambda one: one.auth_time, reverse=True)[keep:]
        for one in ended:
            await self.end(one.grant_id, now + IDLE_S)
        return len(ended)

    async def prune_grants(self, before: int) -> None:
        self.grants = {name: one for name, one in self.grants.items() if one.auth_time >= before}

    async def put_passkey(self, passkey: Passkey) -> bool:
        check_passkey(passkey)
        of_owner = await self.passkeys_of(passkey.user_id)
        if (
            passkey.user_id not in self._store.people
            or passkey.credential_id in self.passkeys
            or passkey.label in {one.label for one in of_owner}
            or len(of_owner) >= OF_ONE_MAX
        ):
            return False
        self.passkeys[passkey.credential_id] = passkey
        return True

    async def passkey(self, credential_id: str) -> Passkey | None:
        return self.passkeys.get(credential_id)

    async def passkeys_of(self, user_id: str) -> tuple[Passkey, ...]:
        found = (one for one in self.passkeys.values() if one.user_id == user_id)
        return tuple(sorted(found, key=lambda one: one.label))

    async def use_passkey(self, credential_id: str, sign_count: int, now: int) -> bool:
        found = self.passkeys.get(credential_id)
        if found is None or found.suspect:
            return False
        used = msgspec.structs.replace(
            found,
            sign_count=max(found.sign_count, sign_count),
            used_at=now,
            suspect=sign_count <= found.sign_count and found.sign_count > 0,
        )
        self.passkeys[credential_id] = used
        return not used.suspect

    async def drop_passkey(self, user_id: str, label: str) -> bool:
        found = [one for one in await self.passkeys_of(user_id) if one.label == label]
        for one in found:
            del self.passkeys[one.credential_id]
        return bool(found)

    async def put_reset(self, reset: Reset) -> bool:
        owner = self._store.people.get(reset.user_id)
        if owner is None or not owner.enabled or owner.totp is None:
            return False
        self.resets[reset.user_id] = reset
        return True

    async def reset_of(self, user_id: str) -> Reset | None:
        return self.resets.get(user_id)

    async def change_password(self, new: NewPassword, now: int) -> int | None:
        owner, reset = self._store.people.get(new.user_id), self.resets.get(new.user_id)
        if owner is None or not owner.enabled or owner.password_hash != new.old_hash:
            return None
        if new.reset is not None and (reset is None or not reset.serves(new.reset, now)):
            return None
        await self.put_person(msgspec.structs.replace(owner, password_hash=new.new_hash))
        return await self.end_logins(new.user_id, keep=0, now=now) if new.ends_logins else 0
