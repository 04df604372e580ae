"""What the processes under test run: `python -m tests.e2e.child {venue|gateway} CONFIG READY`.

The venue and the gateway apart, so that either can be killed while the other goes on.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from ordergate.core.access import Scope
from ordergate.wiring import settings, venue
from ordergate.wiring.gateway import Gateway
from ordergate.wiring.serving import serve

CLIENT_ID = "trader"


class Started(msgspec.Struct, frozen=True):
    """What the gateway says of itself once requests are answered."""

    dsn: str
    client_secret: str


def run_venue(config: Path, ready: Path) -> None:
    venue.run(venue.load(config), ready=lambda url: _tell(ready, url.encode()))


def run_gateway(config: Path, ready: Path) -> None:
    given = settings.load(config)

    async def started(gateway: Gateway) -> None:
        kept = config.with_name("client-secret")
        if not kept.exists():
            secret = await gateway.identity.register(
                CLIENT_ID, tenant=given.tenant, scopes=Scope, accounts=list(given.accounts)
            )
            kept.write_text(secret.reveal(), encoding="utf-8")
        _tell(ready, msgspec.json.encode(Started(gateway.dsn, kept.read_text(encoding="utf-8"))))

    serve(given, ready=started)


def _tell(ready: Path, what: bytes) -> None:
    """Whole or not at all: whoever waits for the file reads it at once."""
    draft = ready.with_suffix(".draft")
    draft.write_bytes(what)
    draft.replace(ready)


if __name__ == "__main__":
    role, config_path, ready_path = sys.argv[1:]
    {"venue": run_venue, "gateway": run_gateway}[role](Path(config_path), Path(ready_path))
