"""Keeps the figures of a long dose where ORDERGATE_RECORD names a folder, with the commit they are of.

ORDERGATE_RECORD=bench/results make test-long TESTS=tests/audit/test_independent_verifier.py
"""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


def keep(name: str, told: Mapping[str, object]) -> None:
    """Write `<name>-<commit>.json`. Without a folder nothing is written, and no figure is claimed."""
    folder = os.environ.get("ORDERGATE_RECORD")
    if not folder:
        return
    asked = ("git", "rev-parse", "--short", "HEAD")
    commit = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    text = json.dumps({"commit": commit, **told}, indent=2)
    Path(folder, f"{name}-{commit}.json").write_text(text + "\n", encoding="utf-8")
