"""Decides which hosts one environment may speak to, and with which credentials.

Paper never speaks to the live host and live never to anything else: the environment picks the
host, and only paper may be pointed somewhere else, at a venue on this machine or on a host that
the operator named. No list can add a host of Alpaca's to that. The live host is known to `live` alone.
"""

from __future__ import annotations

import ssl
from typing import Final, Generic, TypeAlias, assert_never

import msgspec
from yarl import URL

from ordergate.brokers._shared.hosts import ForeignHost, is_loopback, origin
from ordergate.core.ids import E, Env, Paper
from ordergate.telemetry.secret import Secret

_HOUSE: Final = "alpaca.markets"
_PAPER: Final = "https://paper-api.alpaca.markets"
DATA: Final = "https://stream.data.alpaca.markets"


class Keys(msgspec.Struct, Generic[E], frozen=True):
    """A key pair; paper and live ones are different."""

    env: E
    key_id: Secret
    secret_key: Secret


class Bearer(msgspec.Struct, Generic[E], frozen=True):
    """An OAuth 2 access token that its owner gave us."""

    env: E
    token: Secret


Credentials: TypeAlias = Keys[E] | Bearer[E]


class Access(msgspec.Struct, Generic[E], frozen=True, kw_only=True):
    """Where one environment is, and how to be let in. Made by `paper`, or by the module `live`, alone.

    Of every host, `tls` says whose certificate is believed; without it, whatever the machine trusts.
    """

    env: E
    trading: URL
    data: URL
    credentials: Credentials[E]
    tls: ssl.SSLContext | None = None

    @property
    def trading_stream(self) -> URL:
        return websocket(self.trading) / "stream"

    def headers(self) -> dict[str, str]:
        match self.credentials:
            case Keys(key_id=key_id, secret_key=secret_key):
                return {"APCA-API-KEY-ID": key_id.reveal(), "APCA-API-SECRET-KEY": secret_key.reveal()}
            case Bearer(token=token):
                return {"Authorization": f"Bearer {token.reveal()}"}
            case _:
                assert_never(self.credentials)


def paper(
    credentials: Credentials[Paper],
    *,
    trading_url: str | None = None,
    data_url: str | None = None,
    allowed_hosts: frozenset[str] = frozenset(),
) -> Access[Paper]:
    """Alpaca's paper host, or a venue that speaks like it on loopback or an allowed host.

    A venue serves trading and data from one origin unless `data_url` says otherwise.
    """
    if trading_url is None:
        if data_url is not None:
            raise ForeignHost("data_url needs a trading_url beside it")
        return Access(env=Env.PAPER, trading=house(_PAPER), data=house(DATA), credentials=credentials)
    return Access(
        env=Env.PAPER,
        trading=_elsewhere(trading_url, allowed_hosts),
        data=_elsewhere(data_url or trading_url, allowed_hosts),
        credentials=credentials,
    )


def websocket(url: URL) -> URL:
    """The same origin, spoken to as a WebSocket."""
    return url.with_scheme("wss" if url.scheme in ("https", "wss") else "ws")


def house(url: str) -> URL:
    """One of Alpaca's own, as an origin."""
    host = URL(url).host
    return origin(url, hosts=frozenset({host} if host else ()))


def _elsewhere(url: str, allowed_hosts: frozenset[str]) -> URL:
    host = (URL(url).host or "").rstrip(".").lower()
    if host == _HOUSE or host.endswith(f".{_HOUSE}"):
        raise ForeignHost(f"{host} is Alpaca's: it follows from the environment and cannot be given")
    hosts = allowed_hosts | ({host} if is_loopback(host) else frozenset())
    return origin(url, hosts=hosts, plain=True)
