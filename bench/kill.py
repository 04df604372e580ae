"""How long the kill switch takes, with many working orders and a broker that is well, busy or down.

    python -m bench.kill --orders 1000

A house of its own as `ordergate run` starts it, with limits wide enough; then `ordergate drill kill` for each
scene, one after the other. One file for each scene.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml
from rich.console import Console

from ordergate.cli.rehearsal import SCENES
from ordergate.wiring import demo

READY_S_MAX: Final = 120.0
TOKEN: Final = "bench"  # of a venue that lives for a minute on this machine
RESULTS: Final = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.kill", description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000)
    parser.add_argument("--hold", type=int, default=5)
    parser.add_argument("--scene", nargs="+", choices=SCENES, default=list(SCENES))
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="og-kill-") as folder:
        _measure(Path(folder), asked)


def _measure(folder: Path, asked: argparse.Namespace) -> None:
    prepare(folder)
    with house(folder) as running:
        for scene in asked.scene:
            _rehearse(running, folder, scene, asked)


@contextmanager
def house(folder: Path) -> Iterator[dict[str, Any]]:
    """`ordergate run` on the folder for as long as the block lasts; what its ready file says."""
    ready = folder / "ready.json"
    command = [sys.executable, "-m", "ordergate", "run", "--data-dir", str(folder), "--port", "0"]
    command += ["--venue-port", "0", "--ready-file", str(ready), "--venue-admin-token", TOKEN]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + READY_S_MAX
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("the house did not start")
            time.sleep(0.1)
        yield json.loads(ready.read_text())
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def prepare(folder: Path, **more: object) -> None:
    """The settings that the house finds, with room for all the orders; `more` is laid over them."""
    plain: dict[str, Any] = demo.gateway_plain(folder, port=0, venue_url="http://127.0.0.1:1")
    plain = json.loads(json.dumps(plain))
    limits = next(iter(plain["accounts"].values()))["limits"]
    limits |= {
        "max_open_orders": 20_000,
        "max_open_notional": "1000000000",
        "message_windows": [[100_000, 1]],
        "duplicate_window_s": "0",
    }
    limits["instruments"]["AAPL"] |= {"max_long": "1000000", "collar_percent": "90"}
    plain["trips"] = {"errors": 0, "stale_stream_s": 0, "stale_prices_s": 0}
    plain |= more
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gateway.yaml").write_text(yaml.safe_dump(plain), encoding="utf-8")


def _rehearse(running: dict[str, Any], folder: Path, scene: str, asked: argparse.Namespace) -> None:
    command = [sys.executable, "-m", "ordergate", "drill", "kill", "--json", "--scene", scene]
    command += ["--orders", str(asked.orders), "--hold", str(asked.hold), "--between", "100.00", "150.00"]
    command += ["--profile", str(folder / "client.json"), "--venue-url", running["venue_url"]]
    command += ["--record", str(asked.results)]
    environment = {**os.environ, "ORDERGATE_VENUE_ADMIN_TOKEN": TOKEN}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    console = Console()
    if not ended.stdout:
        console.print(f"{scene}: {ended.stderr}", markup=False)
        return
    told = msgspec.json.decode(ended.stdout)
    console.print(" ".join(f"{name}={value}" for name, value in told.items()), markup=False)


if __name__ == "__main__":
    main()
