"""Measures the gateway beside what it is compared with, and says how that stands to floor and target.

make bench                       three minutes, everything
make bench ARGS="--long"         the same with a million past orders
make bench ARGS="--only rates --samples where.txt"    one part, and where the gateway's time goes
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import uvloop
from rich.console import Console

from bench.recovery import Size
from bench.suite import ON_REQUEST, PARTS, Plan, Suite


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--long", action="store_true", help="five rounds, and a million past orders")
    parser.add_argument("--rounds", type=int, help="how often each ratio is taken")
    parser.add_argument("--seconds", type=float, help="how long each closed loop runs")
    parser.add_argument("--past", type=int, help="how many orders the long journal has")
    parser.add_argument("--only", nargs="+", choices=PARTS + ON_REQUEST, default=[], help="only these parts")
    parser.add_argument("--results", type=Path, help="where to write what was measured")
    parser.add_argument("--samples", type=Path, help="write where the gateway's processor time goes")
    parser.add_argument("--events", type=int, default=Size().events, help="how many events to recover from")
    parser.add_argument("--open", type=int, default=Size().open_orders, help="how many open orders as well")
    asked = parser.parse_args()
    plan = Plan(
        rounds=asked.rounds or (5 if asked.long else Plan().rounds),
        seconds=asked.seconds or Plan().seconds,
        open_loop_s=2 * (asked.seconds or Plan().seconds),
        long_past=asked.past or (1_000_000 if asked.long else Plan().long_past),
        only=frozenset(asked.only),
        samples=asked.samples,
        results=asked.results or Plan().results,
        recovered=Size(events=asked.events, open_orders=asked.open),
    )
    console = Console()
    began = time.monotonic()
    written = uvloop.run(Suite(plan, console).run())
    console.print(f"written to {written.parent.name}/{written.name} in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
