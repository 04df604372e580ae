"""The figures of the performance suite: what each means, its floor and its target; and their report."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table

RESULTS: Final = Path(__file__).parent / "results"


class Figure(msgspec.Struct, frozen=True):
    """One figure of the report, and the bounds that it is held to."""

    group: str
    name: str
    meaning: str
    floor: float | None = None
    target: float | None = None
    at_most: bool = False

    def reaches(self, value: float, bound: float | None) -> bool | None:
        if bound is None:
            return None
        return value <= bound if self.at_most else value >= bound


def _ratio(name: str, meaning: str, floor: float | None = None, target: float | None = None) -> Figure:
    return Figure("ratios", name, meaning, floor, target)


def _latency(name: str, meaning: str, floor: float | None = None, target: float | None = None) -> Figure:
    return Figure("latency_ms", name, meaning, floor, target, at_most=True)


def _rate(name: str, meaning: str, floor: float | None = None, target: float | None = None) -> Figure:
    return Figure("rates", name, meaning, floor, target)


def _cost(name: str, meaning: str, target: float | None = None) -> Figure:
    return Figure("cost_us", name, meaning, None, target, at_most=True)


FIGURES: Final = (
    _ratio("ws_orders_vs_pgbench32", "orders/s by WebSocket ÷ pgbench, 32 clients", 0.4, 1.2),
    _ratio("rest_orders_vs_pgbench32", "orders/s by REST ÷ the same", 0.25, 0.6),
    _ratio("rest_orders_vs_fastapi_echo", "orders/s by REST ÷ a FastAPI echo", 0.6, 1.5),
    _ratio("bare_ws_vs_pgbench32", "orders/s that are only carried, by WebSocket ÷ pgbench"),
    _ratio("bare_rest_vs_pgbench32", "the same by REST ÷ pgbench"),
    _ratio("bare_rest_vs_fastapi_echo", "the same by REST ÷ a FastAPI echo"),
    Figure("ratios", "cost_with_long_past", "cost of an order, long journal ÷ short", 1.3, 1.05, True),
    _latency("own_share_p50_at_1000", "REST in → bytes to the broker, ms, p50", 3, 1.5),
    _latency("own_share_p99_at_1000", "the same, p99", 10, 5),
    _latency("ws_own_share_p50_at_1000", "frame in → bytes to the broker, ms, p50", 3, 1.5),
    _latency("ws_own_share_p99_at_1000", "the same, p99", 10, 5),
    _rate("fan_out_to_1000", "messages/s to 1 000 subscribers", 50_000, 200_000),
    _cost("risk_catalogue", "whole risk catalogue on one order, µs", 50),
    _rate("pgbench1", "pgbench, 1 client, transactions/s"),
    _rate("pgbench32", "pgbench, 32 clients, transactions/s"),
    _rate("fastapi_echo", "FastAPI echo, answers/s"),
    _rate("ws_orders", "durable, acknowledged orders/s by WebSocket"),
    _rate("rest_orders", "durable, acknowledged orders/s by REST"),
    _rate("bare_ws", "orders/s by WebSocket that are only carried"),
    _rate("bare_rest", "the same by REST"),
    _cost("bare_ws", "an order by WebSocket that is only carried, µs"),
    _cost("bare_rest", "the same by REST, µs"),
    _cost("ws_order", "the gateway's processor time, order by WebSocket, µs"),
    _cost("rest_order", "the gateway's processor time, order by REST, µs"),
    _latency("rest_answer_p50_at_1000", "REST in → answer, durable, ms, p50"),
    _latency("rest_answer_p99_at_1000", "the same, p99"),
    Figure("start_s", "with_long_past", "start on the long journal, s", None, 10, True),
    Figure("start_s", "kill_to_ready", "kill -9 → ready, 10 000 open, 1 M events, s", None, 10, True),
    _rate("rest_bearer_over_tls", "orders/s by REST, a bearer token"),
    _rate("rest_certificate_over_tls", "the same, a token bound to a certificate"),
    _rate("rest_key_over_tls", "the same, a token bound to a key (DPoP)"),
    _rate("stream_over_tls", "orders/s by WebSocket"),
    _cost("rest_bearer_over_tls", "the gateway's processor time, order by REST, a bearer token, µs"),
    _cost("rest_certificate_over_tls", "the same, a token bound to a certificate"),
    _cost("rest_key_over_tls", "the same, a token bound to a key (DPoP)"),
    _cost("stream_over_tls", "the gateway's processor time, order by WebSocket, µs"),
    Figure("revocation", "rest_longest_s", "a right taken → refused on REST, s, the longest", 5, None, True),
    Figure("revocation", "stream_longest_s", "the same → an open stream is closed", 5, None, True),
    Figure("rotation", "failed_orders", "orders that failed while every secret was rotated", 0, 0, True),
    Figure("rotation", "emergency_s", "leaked signing key → orders under another, s", 300, None, True),
    Figure("start_s", "reconciliation", "reconciling 1 000 open orders at 200/min, s", None, 30, True),
)

Values = dict[str, dict[str, float]]


def table(values: Values) -> Table:
    """Every figure that was measured, with its floor and its target."""
    shown = Table(title="Ordergate, measured side by side in one run", title_justify="left")
    shown.add_column("figure")
    for heading in ("measured", "floor", "target"):
        shown.add_column(heading, justify="right")
    shown.add_column("")
    for figure in FIGURES:
        value = values.get(figure.group, {}).get(figure.name)
        if value is not None:
            shown.add_row(
                figure.meaning,
                _text(value),
                _bound(figure, figure.floor),
                _bound(figure, figure.target),
                _verdict(figure, value),
            )
    return shown


def _verdict(figure: Figure, value: float) -> str:
    if figure.reaches(value, figure.target):
        return "[green]target"
    if figure.reaches(value, figure.floor) is False:
        return "[red]below floor"
    return "[yellow]floor" if figure.floor is not None else ""


def _bound(figure: Figure, bound: float | None) -> str:
    return "" if bound is None else f"{'≤' if figure.at_most else '≥'} {_text(bound)}"


def _text(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ") if value >= 1_000 else f"{value:.3g}"


def report(
    values: Values,
    details: dict[str, Any],
    cores: dict[str, str],
    *,
    folder: Path,
    console: Console,
    whole: bool,
) -> Path:
    """Print the table and write the results under the time of the run; a whole one is also the latest."""
    now = datetime.now(UTC)
    bounds = [figure for figure in FIGURES if figure.floor is not None or figure.target is not None]
    written = {
        "commit": commit(),
        "at": now.isoformat(timespec="seconds"),
        "machine": machine(),
        "cores": cores,
        **values,
        "bounds": {
            figure.name: {"floor": figure.floor, "target": figure.target, "at_most": figure.at_most}
            for figure in bounds
        },
        "details": details,
    }
    folder.mkdir(exist_ok=True)
    text = json.dumps(written, indent=1) + "\n"
    if whole:
        (folder / "latest.json").write_text(text, encoding="utf-8")
    dated = folder / f"{now:%Y-%m-%dT%H%M%SZ}.json"
    dated.write_text(text, encoding="utf-8")
    console.print(table(values))
    return dated


def machine() -> dict[str, object]:
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "memory_gib": round(pages / 2**30),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def commit() -> str:
    """What was measured; changes that are in no commit are named as such."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "../src")
    return f"{git('rev-parse', 'HEAD') or 'unknown'}{' with changes' if changed else ''}"
