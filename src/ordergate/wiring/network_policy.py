"""Decides which other machines a gateway may speak to, for whoever holds its network to that.

The list is made from the settings by what the adapters are made from them by: a broker's host that this
environment does not have cannot be on it. It becomes rules for nftables, which hold for one user of the
machine and leave every other alone. Nothing is changed here: the rules are text, and an operator loads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import msgspec
from yarl import URL

from ordergate.brokers._shared.hosts import is_loopback
from ordergate.brokers.alpaca import access
from ordergate.core.ids import Env
from ordergate.telemetry.secret import Secret
from ordergate.wiring.brokerages import access_of
from ordergate.wiring.secret_sources import AwsSecret
from ordergate.wiring.settings import AwsKeys, BrokerSettings, CannotStart, Settings

Address = IPv4Address | IPv6Address
Resolve = Callable[[str], Sequence[str]]
"""Every address of a name; OSError where there is none."""

TABLE: Final = "ordergate"
DNS: Final = 53
POSTGRES: Final = 5432
_NOBODY: Final = Secret("")


class Destination(msgspec.Struct, frozen=True, order=True):
    """Another machine, and what is asked there."""

    host: str
    port: int
    why: str


def destinations(settings: Settings) -> list[Destination]:
    """Every machine but this one that these settings need. Raises CannotStart."""
    found = {*_brokers(settings), *_issuers(settings), *_databases(settings), *_aws(settings)}
    for one in settings.surveillance:
        found.add(_of_url(one.url, f"surveillance {one.name}"))
    return sorted(one for one in found if not is_loopback(one.host))


def also(text: str) -> Destination:
    """One that no setting tells, as `host:port`. Raises CannotStart."""
    try:
        asked = urlsplit(f"//{text}")
        host, port = asked.hostname, asked.port
    except ValueError as error:
        raise CannotStart(f"{text!r} is not host:port: {error}") from error
    if not host or not port or asked.netloc != text or "@" in text:
        raise CannotStart(f"{text!r} is not host:port")
    return Destination(host, port, "named by the operator")


def resolvers(file: Path) -> list[Address]:
    """Whom this machine asks for names, but itself; nobody where there is no such file."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    words = [line.split() for line in lines if line.startswith("nameserver ")]
    named = [ip_address(address.partition("%")[0]) for _, address, *_ in words]
    return [one for one in named if not one.is_loopback]


def rules(
    settings: Settings, more: Sequence[Destination], *, uid: int, names: Sequence[Address], resolve: Resolve
) -> str:
    """For `nft -f`: the whole table, in place of the one before, at once. Raises CannotStart."""
    lines = [
        f"# Where user {uid} may go, as the gateway of {settings.environment}. Made by `ordergate egress`.",
        f"table inet {TABLE}",
        f"delete table inet {TABLE}",
        f"table inet {TABLE} {{",
        "    chain gateway {",
        '        oifname "lo" accept',
        "        ct state established,related accept",
    ]
    for server in names:
        lines += [f"        {_to(server)} {protocol} dport {DNS} accept" for protocol in ("udp", "tcp")]
    for one in [*destinations(settings), *more]:
        lines.append(f"        # {one.host}:{one.port}, {' '.join(one.why.split())}")
        lines += [f"        {_to(place)} tcp dport {one.port} accept" for place in _places(one.host, resolve)]
    lines += [
        "        meta l4proto tcp counter reject with tcp reset",
        "        counter reject with icmpx admin-prohibited",
        "    }",
        "    chain output {",
        "        type filter hook output priority filter; policy accept;",
        f"        meta skuid {uid} jump gateway",
        "    }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _brokers(settings: Settings) -> Iterator[Destination]:
    for name, login in settings.brokers.items():
        trading, data = asked(login, settings.environment)
        yield _of_url(str(trading), f"broker {name}")
        if login.prices:
            yield _of_url(str(data), f"prices of {name}")
        if login.oauth is not None:
            yield _of_url(login.oauth.base_url, f"grants of {name}")


def asked(login: BrokerSettings, env: Env) -> tuple[URL, URL]:
    """Where the login's adapters would go, by the very rules that they are made by."""
    if env is Env.LIVE:
        real = access_of(login, env, access.Bearer(env, _NOBODY))
        return real.trading, real.data
    practice = access_of(login, env, access.Bearer(env, _NOBODY))
    return practice.trading, practice.data


def _issuers(settings: Settings) -> Iterator[Destination]:
    for one in settings.issuers:
        yield _of_url(one.issuer, f"issuer {one.name}")


def _databases(settings: Settings) -> Iterator[Destination]:
    """A database at a socket, or embedded, is on this machine."""
    sources = {"database": settings.database_url, "shared stops": settings.kill_switch.shared_database_url}
    for why, source in sources.items():
        if source is None:
            continue
        try:
            yield from _of_database(source.read().reveal(), why)
        except ValueError:  # it may repeat a part of the password
            raise CannotStart(f"the address of the {why} cannot be read") from None


def _of_database(address: str, why: str) -> list[Destination]:
    asked = urlsplit(address)
    named = [*asked.netloc.rpartition("@")[2].split(","), *parse_qs(asked.query).get("host", ())]
    places = [urlsplit(f"//{each}") for each in filter(None, named)]
    return [Destination(one.hostname, one.port or POSTGRES, why) for one in places if one.hostname]


def _aws(settings: Settings) -> Iterator[Destination]:
    if isinstance(settings.keys, AwsKeys):
        own = settings.keys.endpoint_url
        yield _of_url(own or _endpoint("kms", settings.keys.region), "keys")
    for secret in _secrets(settings):
        yield _of_url(secret.endpoint_url or _endpoint("secretsmanager", secret.region), "secrets")


def _endpoint(service: str, region: str) -> str:
    return f"https://{service}.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def _secrets(said: object) -> Iterator[AwsSecret]:
    """Every secret of AWS that the settings point at, wherever they do."""
    if isinstance(said, AwsSecret):
        yield said
    elif isinstance(said, msgspec.Struct):
        for field in said.__struct_fields__:
            yield from _secrets(getattr(said, field))
    elif isinstance(said, dict):
        for one in said.values():
            yield from _secrets(one)
    elif isinstance(said, tuple):
        for one in said:
            yield from _secrets(one)


def _of_url(url: str, why: str) -> Destination:
    parsed = URL(url)
    if not parsed.host or not parsed.port:
        raise CannotStart(f"{why}: {url!r} names no host")
    return Destination(parsed.host, parsed.port, why)


def _places(host: str, resolve: Resolve) -> list[Address]:
    """Raises CannotStart: rules that leave somebody out for want of an address would be taken for whole."""
    with suppress(ValueError):
        return [ip_address(host)]
    try:
        found = {ip_address(address.partition("%")[0]) for address in resolve(host)}
    except OSError as error:
        raise CannotStart(f"{host} has no address now: {error}") from error
    return sorted(found, key=lambda one: (one.version, int(one)))


def _to(place: Address) -> str:
    return f"{'ip' if place.version == 4 else 'ip6'} daddr {place}"
