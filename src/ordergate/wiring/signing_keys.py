"""Rotates the keys that sign tokens, beside a gateway that runs or does not.

A running gateway notices within seconds: it signs with the new key, and after an emergency it refuses what
the old ones signed.
"""

from __future__ import annotations

import time

from ordergate.core.faults import Fault
from ordergate.security.keys import local
from ordergate.security.postgres import PostgresStore
from ordergate.security.profile import profile
from ordergate.security.signing import rotated
from ordergate.wiring.registry import on_store
from ordergate.wiring.settings import CannotStart, Settings


def rotate(settings: Settings, *, emergency: bool) -> str:
    """The id of the key that signs from now on. Raises CannotStart.

    In an emergency the old keys end at once; otherwise what they signed is good until it expires.
    """
    env, folder = settings.environment, settings.data_dir / "keys"
    now = int(time.time())
    try:
        ring = local.load(folder, env)
        after, published = rotated(ring, profile(env, settings.base_url), now, emergency=emergency)
        local.save(folder, after)
    except FileNotFoundError as error:
        raise CannotStart(f"there are no keys in {folder}: the gateway makes them when it starts") from error
    except (Fault, OSError, ValueError) as error:
        raise CannotStart(str(error)) from error

    async def publish(store: PostgresStore) -> None:
        await store.put_keys(published)

    on_store(settings, publish)
    return after.current.kid
