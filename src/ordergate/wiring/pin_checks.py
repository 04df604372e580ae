"""Looks whether the hosts of brokers show the keys that the settings pin. Says nothing to any of them.

Where nothing is pinned nobody is asked.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from typing import Final

from yarl import URL

from ordergate.brokers._shared.trust import KeyNotPinned
from ordergate.core.ids import Env
from ordergate.wiring.checkup import Finding, Verdict
from ordergate.wiring.network_policy import asked
from ordergate.wiring.pins import PinSettings, context_of
from ordergate.wiring.settings import BrokerSettings, CannotStart, Settings

SHAKE_S_MAX: Final = 5.0


def findings(settings: Settings) -> Iterator[Finding]:
    """One for each login at hosts that show certificates, or one for each of its hosts where it has pins."""
    for name, login in settings.brokers.items():
        try:
            urls = _urls(login, settings.environment)
            tls = context_of(login.pins)
        except CannotStart as error:
            yield Finding(f"pins of {name}", Verdict.BAD, str(error))
            continue
        if login.pins is None or tls is None:
            if urls[0].scheme == "https":
                yield _unpinned(name, settings.environment)
            continue
        for url in dict.fromkeys(urls):
            yield asyncio.run(_shown(name, login.pins, url, tls))


def _unpinned(name: str, env: Env) -> Finding:
    verdict = Verdict.DOUBTFUL if env is Env.LIVE else Verdict.GOOD
    return Finding(f"pins of {name}", verdict, "none: whoever this machine trusts may vouch for its hosts")


def _urls(login: BrokerSettings, env: Env) -> list[URL]:
    trading, data = asked(login, env)
    grants = [] if login.oauth is None else [URL(login.oauth.base_url).origin()]
    return [trading, *([data] if login.prices else []), *grants]


async def _shown(name: str, pins: PinSettings, url: URL, tls: ssl.SSLContext) -> Finding:
    """What a handshake with the host comes to."""
    part = f"pins of {name}: {url.host}"
    try:
        async with asyncio.timeout(SHAKE_S_MAX):
            _, writer = await asyncio.open_connection(url.host, url.port, ssl=tls)
    except KeyNotPinned as fault:
        return Finding(part, Verdict.BAD, f"no key of these is pinned: {', '.join(fault.shown)}")
    except ssl.SSLCertVerificationError as fault:
        return Finding(part, Verdict.BAD, f"not vouched for: {fault.verify_message}")
    except (OSError, TimeoutError) as fault:
        return Finding(part, Verdict.DOUBTFUL, f"not looked at: {str(fault) or 'no answer in time'}")
    writer.transport.abort()
    return Finding(part, Verdict.GOOD, _words(pins))


def _words(pins: PinSettings) -> str:
    """Which pins the host has passed."""
    keys = f"one of {len(pins.keys)} pinned keys" if pins.keys else ""
    vouched = f"vouched for by {pins.authorities}" if pins.authorities is not None else ""
    return ", ".join(filter(None, (keys, vouched)))
