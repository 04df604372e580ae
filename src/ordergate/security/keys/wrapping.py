"""What a data key is bound to when it is wrapped, the same for every key service.

Pure: builds the associated data and checks that a request is of this environment. Holds no key.
"""

from __future__ import annotations

import json
from typing import Final

from ordergate.core.ids import Env
from ordergate.ports.keys import Context, KeysRefused, Wrapped

NONCE_BYTES: Final = 12
DATA_KEY_BYTES: Final = 32
AES_GCM: Final = "AES-256-GCM"
DECRYPT_FAILED: Final = "the data key cannot be unwrapped: it was altered, or belongs to something else"


def canonical(context: Context) -> bytes:
    """A context as bytes: the same words give the same bytes, in whatever order they came."""
    return json.dumps(dict(context), sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def associated_data(key: str, version: int, context: Context) -> bytes:
    """What authenticates a wrapped key besides itself: who wrapped it, and what it is for."""
    return json.dumps(["ordergate data key", key, version]).encode() + canonical(context)


def check_context(env: Env, context: Context) -> None:
    """Raises KeysRefused unless the context says that it is of this environment."""
    if context.get("env") != env.value:
        raise KeysRefused(f"a context of another environment than {env.value} is refused")


def check_wrapped(env: Env, key: str, wrapped: Wrapped, context: Context) -> None:
    """Raises KeysRefused for what another key, or another environment's, has wrapped."""
    check_context(env, context)
    if wrapped.key != key:
        raise KeysRefused(DECRYPT_FAILED)


def next_version(versions: list[int]) -> int:
    return max(versions, default=0) + 1
