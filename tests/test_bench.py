"""The performance suite runs, counts only orders that were taken, and writes what it promises."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

# Most of it is to start servers: on a machine a third as fast, and beside others, that takes minutes.
BENCH_S_MAX = 280.0


@pytest.mark.timeout(BENCH_S_MAX + 20)
async def test_a_short_run_writes_ratios_latencies_and_the_machine(tmp_path: Path) -> None:
    command = ["-m", "bench", "--rounds", "1", "--seconds", "0.5", "--only", "rates", "latency", "risk"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        "--results",
        str(tmp_path / "results"),
        cwd=Path(__file__).parents[1],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(BENCH_S_MAX):
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()

    (kept,) = (tmp_path / "results").iterdir()  # no latest.json: parts were left out
    written = json.loads(kept.read_text())
    assert {"commit", "machine", "cores", "ratios", "latency_ms"} <= written.keys()
    ratios = ("ws_orders_vs_pgbench32", "rest_orders_vs_pgbench32", "rest_orders_vs_fastapi_echo")
    assert all(written["ratios"][name] > 0 for name in ratios)
    latency = written["latency_ms"]
    assert 0 < latency["own_share_p50_at_1000"] <= latency["own_share_p99_at_1000"]
