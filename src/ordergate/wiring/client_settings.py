"""What a settings file says of clients: how often they ask, how many streams they have, and their alerts."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network
from typing import Annotated, Final

import msgspec

from ordergate.api.deps import GENEROUS, Bounds
from ordergate.api.places import Room
from ordergate.api.quotas import Quotas, Rate
from ordergate.core.hooks.template import Found, Template
from ordergate.core.ids import AccountId, Env
from ordergate.wiring.secret_sources import SecretSource

USUAL: Final = Bounds()
Count = Annotated[int, msgspec.Meta(ge=1)]


class QuotaSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often each client, all clients of a tenant together, and each address may ask."""

    client: Quotas = GENEROUS
    tenant: Quotas | None = None
    address: Rate | None = None


class StreamSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many streams a client, all clients of a tenant, and an address may have open, and how many all may.

    `strangers` have not logged in yet. `messages` is how many frames each stream may send.
    """

    messages: Rate = USUAL.stream_messages
    client: Count = USUAL.streams.of_client
    tenant: Count = USUAL.streams.of_tenant
    address: Count = USUAL.streams.of_address
    all: Count = USUAL.streams.in_all
    strangers: Count = USUAL.streams.strangers
    strangers_of_address: Count = USUAL.streams.strangers_of_address

    @property
    def room(self) -> Room:
        return Room(
            in_all=self.all,
            of_tenant=self.tenant,
            of_client=self.client,
            of_address=self.address,
            strangers=self.strangers,
            strangers_of_address=self.strangers_of_address,
        )


def bounds_of(
    quotas: QuotaSettings, streams: StreamSettings, *, origins: Iterable[str], proxies: Iterable[str]
) -> Bounds:
    """The bounds of the public face, as the settings have them."""
    return Bounds(
        of_client=quotas.client,
        of_tenant=quotas.tenant,
        requests_of_peer=quotas.address or USUAL.requests_of_peer,
        stream_messages=streams.messages,
        streams=streams.room,
        origins=frozenset(origins),
        proxies=tuple(map(ip_network, proxies)),
    )


class PassphraseSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For senders that cannot sign: `field`, `time` and `id` say where in the alert each is."""

    field: str
    time: str
    id: str | None = None
    secrets: tuple[SecretSource, ...]


class HookSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A door for alerts that become orders of one account: proved by `signed` or by `passphrase`.

    `signed` are secrets of Standard Webhooks. `networks` are the only addresses that are let in, all where
    none are named. `order` is how an alert is read; `core.hooks.template` says how. `owner` answers for it: a
    person, a program's key or another subject, without whose rights it places nothing.
    """

    account: AccountId
    order: dict[str, str | bool | Found]
    signed: tuple[SecretSource, ...] = ()
    passphrase: PassphraseSettings | None = None
    owner: str | None = None
    networks: tuple[str, ...] = ()
    window_s: Annotated[float, msgspec.Meta(gt=0, le=3_600)] = 300.0

    def __post_init__(self) -> None:
        Template(self.order)
        if bool(self.signed) == (self.passphrase is not None):
            raise ValueError("a hook has either `signed` or `passphrase`")

    @property
    def secrets(self) -> tuple[SecretSource, ...]:
        """Of now, and those before it."""
        return self.signed if self.passphrase is None else self.passphrase.secrets

    def unfit(self, env: Env) -> str | None:
        """Why there is no such hook in the environment, if that is so."""
        if env is not Env.LIVE:
            return None
        if self.passphrase is not None:
            return "in live an alert is signed: give it `signed` instead of `passphrase`"
        return None if self.owner else "in live somebody answers for it: give it an `owner`"
