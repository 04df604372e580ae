"""An order is described by the same options wherever it is placed, previewed or let pass."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import typer

from ordergate.cli.main import app
from tests.cli.asking import ordergate
from tests.cli.scripted import stand_in

PLACE, PREVIEW, OVERRIDE = ("orders", "place"), ("orders", "preview"), ("limits", "override")
EVERYTHING = (
    *("ESH4", "buy", "3", "--limit", "4800", "--stop", "4790", "--tif", "gtc", "--extended-hours"),
    *("--client-order-id", "mine", "--strategy", "trend", "--strategy-version", "7", "--user", "ann"),
    *("--venue", "XCME", "--account", "P-OTHER"),
)
TERMS = {
    "account_id": "P-OTHER",
    "symbol": "ESH4",
    "side": "buy",
    "type": "stop_limit",
    "quantity": "3",
    "limit_price": "4800",
    "stop_price": "4790",
    "time_in_force": "gtc",
    "extended_hours": True,
    "client_order_id": "mine",
    "strategy": "trend",
    "strategy_version": "7",
    "user": "ann",
    "venue": "XCME",
}


def options(group: str, command: str) -> dict[str, tuple[list[str], Any]]:
    """Every option with its spellings and what it is by default."""
    root: Any = typer.main.get_command(app)
    found = root.commands[group].commands[command].params
    return {one.name: (one.opts, one.default) for one in found}


@pytest.mark.parametrize(
    ("words", "besides"), [(PREVIEW, set[str]()), (OVERRIDE, {"control", "reason", "lives"})]
)
def test_an_order_has_the_options_that_it_is_placed_with(words: tuple[str, str], besides: set[str]) -> None:
    placed, described = options(*PLACE), options(*words)
    del placed["wait"], placed["key"]
    assert {name: one for name, one in described.items() if name not in besides} == placed


@pytest.mark.parametrize(
    ("words", "inside"),
    [(PLACE, None), (PREVIEW, None), ((*OVERRIDE, "--control", "R06", "--reason", "r"), "order")],
)
def test_the_same_options_are_the_same_order(
    words: tuple[str, ...], inside: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = httpx.Response(403, json={"code": "forbidden", "detail": "not today"})
    asked = stand_in(monkeypatch, told, module=words[0])
    assert ordergate(*words, *EVERYTHING).code == 1
    body = json.loads(asked[0].content)
    assert (body if inside is None else body[inside]) == TERMS
