"""Registers the programs that may ask a gateway for tokens, straight in its database.

A running gateway notices within seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import msgspec

from ordergate.core.access import KeyBounds, Scope, Sender
from ordergate.core.faults import Fault
from ordergate.core.ids import AccountId
from ordergate.security.clients import Client
from ordergate.security.hashing import hash_secret, new_secret
from ordergate.security.postgres import PostgresStore, connected
from ordergate.telemetry.secret import Secret
from ordergate.wiring import databases
from ordergate.wiring.settings import CannotStart, Settings

T = TypeVar("T")


class CannotRegister(Exception):
    """What is wrong with what was asked, in a sentence."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How a client proves itself, where people are sent back to it, and what its tokens are bound to."""

    keys: str | None = None
    public: bool = False
    redirect_uris: tuple[str, ...] = ()
    sender: Sender = Sender.ANY


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """A client without its secret, which nobody knows but the client."""

    client_id: str
    tenant: str
    scopes: tuple[str, ...]
    accounts: tuple[str, ...]
    enabled: bool


def add(
    settings: Settings,
    client_id: str,
    *,
    scopes: Sequence[Scope],
    accounts: Sequence[AccountId],
    replace: bool,
    terms: Terms | None = None,
    bounds: KeyBounds | None = None,
    overlap_s: int = 0,
    keeping: Callable[[Secret], AbstractContextManager[None]] | None = None,
) -> Secret | None:
    """A new client's secret, told this once; none where it has keys, or is public.

    The secret of one that is replaced serves `overlap_s` more. The client is registered inside of `keeping`,
    which may refuse: a secret that nobody could keep has then replaced none.

    Raises CannotRegister and CannotStart.
    """
    strange = sorted((bounds.instruments if bounds else frozenset()) - settings.symbols.keys())
    if strange:
        raise CannotRegister(f"the gateway lists no instrument {', '.join(strange)}")
    unknown = sorted(set(accounts) - settings.accounts.keys())
    if unknown:
        raise CannotRegister(f"the gateway has no account {', '.join(unknown)}")
    tenants = {settings.accounts[account].tenant or settings.tenant for account in accounts}
    if len(tenants) != 1:
        several = ", ".join(sorted(tenants)) or "none"
        raise CannotRegister(f"a client is of one tenant, and these are accounts of {several}")
    terms = terms or Terms()
    secret = None if terms.keys is not None or terms.public else new_secret()
    client = Client(
        client_id=client_id,
        tenant=tenants.pop(),
        secret_hash=None if secret is None else hash_secret(secret),
        scopes=frozenset(scopes),
        accounts=frozenset(accounts),
        keys=terms.keys,
        redirect_uris=terms.redirect_uris,
        sender=terms.sender,
        bounds=bounds,
    )

    async def put(store: PostgresStore) -> None:
        standing = (await _clients(store)).get(client_id)
        if not replace and standing is not None:
            raise CannotRegister(f"there is a client {client_id}: --replace gives it a new secret")
        await store.put_client(_overlapping(client, standing, overlap_s))

    with nullcontext() if secret is None or keeping is None else keeping(secret):
        on_store(settings, put)
    return secret


def _overlapping(client: Client, standing: Client | None, overlap_s: int) -> Client:
    """The client, whose secret of before serves a while yet."""
    if standing is None or standing.secret_hash is None or client.secret_hash is None or not overlap_s:
        return client
    until = int(time.time()) + overlap_s
    return msgspec.structs.replace(client, old_secret_hash=standing.secret_hash, old_secret_until=until)


def listed(settings: Settings) -> list[Registered]:
    """Every client, by name. Raises CannotStart."""

    async def ask(store: PostgresStore) -> list[Registered]:
        return [_shown(client) for _, client in sorted((await _clients(store)).items())]

    return on_store(settings, ask)


def disable(settings: Settings, client_id: str) -> Registered:
    """No more tokens for this client, and those it has are worth nothing. Raises CannotRegister."""

    async def put(store: PostgresStore) -> Registered:
        client = (await _clients(store)).get(client_id)
        if client is None:
            raise CannotRegister(f"there is no client {client_id}")
        disabled = msgspec.structs.replace(client, enabled=False)
        await store.put_client(disabled)
        return _shown(disabled)

    return on_store(settings, put)


async def _clients(store: PostgresStore) -> dict[str, Client]:
    return {client.client_id: client for client in (await store.load(int(time.time()))).clients}


def _shown(client: Client) -> Registered:
    return Registered(
        client_id=client.client_id,
        tenant=client.tenant,
        scopes=tuple(sorted(client.scopes)),
        accounts=tuple(sorted(client.accounts)),
        enabled=client.enabled,
    )


def on_store(settings: Settings, ask: Callable[[PostgresStore], Coroutine[None, None, T]]) -> T:
    """What a question to the identity tables answers. Raises CannotRegister and CannotStart."""

    async def asked() -> T:
        async with (
            databases.reached(databases.of(settings)) as dsn,
            connected(settings.environment, dsn) as store,
        ):
            return await ask(store)

    try:
        return asyncio.run(asked())
    except ValueError as error:
        raise CannotRegister(str(error)) from error
    except (Fault, OSError) as error:
        raise CannotStart(str(error)) from error
