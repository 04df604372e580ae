"""Makes the lock of the npm packages that the tests run: versions and hashes, and no host in it.

    python -m tools.npm_lock

npm leaves out where it downloaded from when it is told to, but not whom to pay.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[1] / "tests" / "security" / "oidc_provider"
_COMMAND: Final = (
    "npm", "install", "--package-lock-only", "--omit-lockfile-registry-resolved",
    "--ignore-scripts", "--no-audit", "--no-fund",
)  # fmt: skip
_TIMEOUT_S: Final = 300


def main() -> None:
    subprocess.run(_COMMAND, cwd=FOLDER, check=True, timeout=_TIMEOUT_S)
    file = FOLDER / "package-lock.json"
    lock = json.loads(file.read_text(encoding="utf-8"))
    for package in lock["packages"].values():
        package.pop("funding", None)
    file.write_text(json.dumps(lock, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
