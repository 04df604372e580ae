"""Files that others wait for, or that hold a secret: whole or not at all, and nobody else's to read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from ordergate.cli.exits import ExitCode, Stopped


def write_json(file: Path, value: Any) -> None:
    """Raises Stopped."""
    draft = file.with_name(file.name + ".new")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as output:
            output.write(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")
        draft.replace(file)
    except OSError as error:
        raise Stopped(ExitCode.CANNOT_START, f"cannot write {file}: {error.strerror}") from error
