"""How a planted secret may look where it must not be: as it is, in hex, in base64 however aligned."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

PLACES_FOR_SECRETS: Final = frozenset({"secrets", "keys"})
ALIGNMENTS: Final = 3


def forms(secret: bytes) -> frozenset[bytes]:
    """Every one of them. Of base64 only what does not depend on what stands before and after."""
    found = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    for before in range(ALIGNMENTS):
        padded = bytes(before) + secret
        whole = padded[: len(padded) - len(padded) % ALIGNMENTS]
        encoded = base64.b64encode(whole)[4 if before else 0 :]
        found |= {encoded, encoded.translate(bytes.maketrans(b"+/", b"-_"))}
    return frozenset(found)


def pattern(secrets: Mapping[str, bytes]) -> re.Pattern[bytes]:
    every = {form for secret in secrets.values() for form in forms(secret)}
    return re.compile(b"|".join(re.escape(one) for one in sorted(every)))


def names_in(content: bytes, secrets: Mapping[str, bytes]) -> list[str]:
    """Which secrets are in it; by name, so that a failing test does not tell them either."""
    return [name for name, secret in secrets.items() if any(form in content for form in forms(secret))]


def found_in(
    folder: Path,
    secrets: Mapping[str, bytes],
    *,
    but: frozenset[str] = PLACES_FOR_SECRETS,
    but_files: Iterable[str] = (),
) -> dict[str, list[str]]:
    """Every file that has one, outside the folders that are for secrets."""
    wanted, spared, found = pattern(secrets), set(but_files), {}
    for file in folder.rglob("*"):
        inside = file.relative_to(folder).parts
        if not file.is_file() or inside[0] in but or file.name in spared:
            continue
        content = file.read_bytes()
        if wanted.search(content) is not None:
            found[str(file.relative_to(folder))] = names_in(content, secrets)
    return found
