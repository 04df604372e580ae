"""A SoftHSM token for tests, with the module's own settings in a folder of the test.

Debian's package is softhsm2; where it is missing the tests that want it say so in one line.
"""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

import pkcs11

from ordergate.core.ids import Env
from ordergate.telemetry.secret import Secret

PLACES: Final = (
    Path("/usr/lib/softhsm/libsofthsm2.so"),
    Path("/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"),
    Path("/usr/lib64/pkcs11/libsofthsm2.so"),
    Path("/opt/homebrew/lib/softhsm/libsofthsm2.so"),
)
PIN: Final = Secret("canary-pin-4711")
SO_PIN: Final = "canary-so-pin-0815"


@cache
def module() -> Path | None:
    """The module's library, or None where it is not there and cannot be had."""
    if shutil.which("softhsm2-util") is None:
        return None
    return next((place for place in PLACES if place.exists()), None)


@cache
def _made(folder: Path) -> None:
    """The module reads its settings and finds its tokens once in a process: they are made before that."""
    (folder / "tokens").mkdir()
    file = folder / "softhsm2.conf"
    file.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n", encoding="utf-8")
    os.environ["SOFTHSM2_CONF"] = str(file)
    for env in Env:
        command = ["softhsm2-util", "--init-token", "--free", "--label", env.value, "--pin", PIN.reveal()]
        subprocess.run([*command, "--so-pin", SO_PIN], check=True, capture_output=True, timeout=30)


def tokens(library: Path, folder: Path) -> dict[Env, str]:
    """The names of an empty token of each environment."""
    _made(folder)
    for env in Env:
        token = pkcs11.lib(str(library)).get_token(token_label=env.value)
        with token.open(user_pin=PIN.reveal(), rw=True) as session:
            for left in list(session.get_objects()):
                left.destroy()
    return {env: env.value for env in Env}
