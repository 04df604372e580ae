"""The key that seals second factors: 256 bits in one file that only its owner can read.

For paper trading on one machine; live is refused, as it is for the keys that sign tokens.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ordergate.core.ids import Env
from ordergate.ports.keys import KeysRefused
from ordergate.security.keys import local
from ordergate.security.keys.software import refuse_live

FILE: Final = "factor-key.json"
BYTES: Final = 32


def load_or_create(folder: Path, env: Env) -> bytes:
    """The key in the folder, made on first use. Raises KeysRefused."""
    refuse_live(env)
    file = folder / FILE
    try:
        content = local.read_private(file)
    except FileNotFoundError:
        key = AESGCM.generate_key(8 * BYTES)
        local.write_private(folder, FILE, json.dumps({"env": env.value, "aes256": key.hex()}).encode())
        return key
    try:
        found = json.loads(content)
        kept_for, key = found["env"], bytes.fromhex(found["aes256"])
    except (ValueError, KeyError, TypeError) as error:
        raise KeysRefused(f"{file} is not a key file; put the right one back") from error
    if kept_for != env.value or len(key) != BYTES:
        raise KeysRefused(f"{file} is not the key of the {env.value} environment")
    return key
