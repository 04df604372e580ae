"""Keys of programs in the directory: a client is shown without its secret's hash, and changed as a whole.

Secrets are made here and told once. One change at a time in this process, each over what the store says at
that moment. Who may change what is not judged here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import msgspec

from ordergate.core.programs import Program
from ordergate.security.clients import Client, check_client
from ordergate.security.directory import Directory
from ordergate.security.hashing import hash_secret, new_secret
from ordergate.telemetry.secret import Secret

_NONE_YET: Final = "a secret that is yet to be made"


class Programs:
    """Implements `engine.programs_desk.ProgramBook`."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._turn = asyncio.Lock()

    def of_tenant(self, tenant: str) -> list[Program]:
        return [shown(client) for client in self._directory.clients() if client.tenant == tenant]

    def get(self, client_id: str) -> Program | None:
        client = self._directory.client(client_id)
        return None if client is None else shown(client)

    def misfit(self, program: Program) -> str | None:
        """What is wrong with it, if anything; that it has no secret yet is not."""
        standing = self._directory.client(program.client_id)
        unproven = None if program.keys is not None else _NONE_YET
        try:
            check_client(self._directory.env, applied(standing, program, unproven))
        except ValueError as wrong:
            return str(wrong)
        return None

    async def put(self, program: Program, noted: Mapping[str, str], seen: Program | None) -> bool:
        """What the program is now. False when it is not what was `seen` any more: then nothing changed."""
        async with self._turn:
            await self._directory.refresh()
            standing = self._directory.client(program.client_id)
            if not _is(standing, seen):
                return False
            await self._directory.put_client(applied(standing, program), noted)
        return True

    async def carry_out(self, program: Program, noted: Mapping[str, str], change: str) -> None:
        """The same of an approved change: a second time is the same as once.

        One that was disabled since it was approved stays so.
        """
        async with self._turn:
            await self._directory.refresh()
            standing = self._directory.client(program.client_id)
            if standing is not None and standing.tenant != program.tenant:
                raise ValueError(f"{program.client_id} is another tenant's")
            if standing is not None and not standing.enabled:
                program = msgspec.structs.replace(program, enabled=False)
            await self._directory.put_client(applied(standing, program), noted, change)

    async def give_secret(
        self, program: Program, old_until: int | None, noted: Mapping[str, str], seen: Program | None
    ) -> Secret | None:
        """A new secret of a program, new or known; the one before it serves until `old_until`.

        None when the program is not what was `seen` any more: then nothing changed.
        """
        secret = new_secret()
        fresh = await asyncio.to_thread(hash_secret, secret)
        async with self._turn:
            await self._directory.refresh()
            standing = self._directory.client(program.client_id)
            if not _is(standing, seen):
                return None
            client = with_secret(standing or applied(None, program, fresh), fresh, old_until)
            await self._directory.put_client(client, noted)
        return secret


def _is(standing: Client | None, seen: Program | None) -> bool:
    return (None if standing is None else shown(standing)) == seen


def shown(client: Client) -> Program:
    return Program(
        client_id=client.client_id,
        tenant=client.tenant,
        scopes=client.scopes,
        accounts=client.accounts,
        bounds=client.bounds,
        sender=client.sender,
        enabled=client.enabled,
        keys=client.keys,
        has_secret=client.secret_hash is not None,
        old_secret_until=client.old_secret_until,
    )


def applied(standing: Client | None, program: Program, secret_hash: str | None = None) -> Client:
    """The client as the program says it shall be. Keys take the place of a secret."""
    stays = None if standing is None or program.keys is not None else standing
    return Client(
        client_id=program.client_id,
        tenant=program.tenant,
        scopes=program.scopes,
        accounts=program.accounts,
        bounds=program.bounds,
        sender=program.sender,
        enabled=program.enabled,
        keys=program.keys,
        redirect_uris=() if standing is None else standing.redirect_uris,
        secret_hash=secret_hash if stays is None else stays.secret_hash,
        old_secret_hash=None if stays is None else stays.old_secret_hash,
        old_secret_until=None if stays is None else stays.old_secret_until,
    )


def with_secret(client: Client, fresh: str, old_until: int | None) -> Client:
    """The client with a new secret; the one it had serves until then, and the one before that no more."""
    keeps_old = old_until is not None and client.secret_hash not in (None, fresh)
    return msgspec.structs.replace(
        client,
        secret_hash=fresh,
        old_secret_hash=client.secret_hash if keeps_old else None,
        old_secret_until=old_until if keeps_old else None,
        keys=None,
    )
