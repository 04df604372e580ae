"""The table of `docs/peers-wounds.md`, written from the tests: `python -m tests.wounds.table`.

A row is a wound; its tests carry its name, and the docstring of the first says what happened.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

HERE: Final = Path(__file__).parent
PAGE: Final = HERE.parents[1] / "docs" / "peers-wounds.md"
BEGIN: Final = "<!-- the table: python -m tests.wounds.table -->"
END: Final = "<!-- the end of the table -->"
NAME: Final = re.compile(r"test_(?P<peer>[a-z_]+?)_(?P<number>(?:defect_)?\d+)_(?P<claim>[a-z_0-9]+)")

PEERS: Final = {
    "alpaca_api": "Alpaca-API",
    "alpaca_py": "alpaca-py",
    "broker_gateway": "broker-gateway",
    "catalyst": "scrtlabs/catalyst",
    "ccxt": "ccxt",
    "freqtrade": "freqtrade",
    "hummingbot": "hummingbot",
    "hummingbot_api": "hummingbot-api",
    "ibind": "ibind",
    "ibx": "deepentropy/ibx",
    "lean": "Lean",
    "lean_alpaca": "Lean.Brokerages.Alpaca",
    "lean_interactive_brokers": "Lean.Brokerages.InteractiveBrokers",
    "lean_tradestation": "Lean.Brokerages.TradeStation",
    "lumibot": "lumibot",
    "nautilus": "nautilus_trader",
    "openalgo": "openalgo",
    "openalice": "OpenAlice",
    "rust_ibapi": "rust-ibapi",
    "tektii": "Tektii trading-gateway",
    "trade_relay": "trade-relay",
    "trading_gpt": "trading-gpt",
    "typedtrader": "typedtrader",
    "vnpy": "vnpy",
    "vnpy_bybit": "vnpy_bybit",
    "vnpy_webtrader": "vnpy_webtrader",
}

# Others of the same peer who told the same.
ALIKE: Final = {
    ("ccxt", "2599"): "#1880",
    ("freqtrade", "3389"): "#3685",
    ("hummingbot", "6107"): "#366",
    ("lean_interactive_brokers", "246"): "#247, #227, #129",
    ("openalgo", "1119"): "#1726",
    ("openalgo", "1318"): "#1303",
    ("openalgo", "1396"): "#340, #810, #1583, #1965",
    ("vnpy", "2602"): "#2355",
}


class Test(NamedTuple):
    """One test of this folder, and what its name and docstring say."""

    name: str
    peer: str
    number: str
    story: str


def tests() -> Iterator[Test]:
    """Every test of this folder that is named after a wound, in order of file and line."""
    for file in sorted(HERE.glob("test_*.py")):
        if file.name == "test_the_table.py":
            continue
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                named = NAME.fullmatch(node.name)
                if named is None:
                    raise ValueError(f"{node.name} in {file.name} names no peer and number")
                story = (ast.get_docstring(node) or "").strip()
                yield Test(node.name, named["peer"], named["number"], story)


def rows() -> list[str]:
    """One line for each wound, by peer and number."""
    wounds: dict[tuple[str, str], list[Test]] = {}
    for test in tests():
        wounds.setdefault((test.peer, test.number), []).append(test)
    ordered = sorted(wounds.items(), key=lambda item: (PEERS[item[0][0]].lower(), _rank(item[0][1])))
    return [_row(wound, found) for wound, found in ordered]


def table() -> str:
    head = "| peer | number | what happened | our tests |\n|---|---|---|---|\n"
    return head + "\n".join(rows())


def on_page() -> str:
    """The table as the page has it."""
    page = PAGE.read_text(encoding="utf-8")
    return page[page.index(BEGIN) + len(BEGIN) : page.index(END)].strip()


def write() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, after = page[: page.index(BEGIN) + len(BEGIN)], page[page.index(END) :]
    PAGE.write_text(f"{before}\n\n{table()}\n\n{after}", encoding="utf-8")


def _row(wound: tuple[str, str], found: list[Test]) -> str:
    peer, number = wound
    defect = number.startswith("defect_")
    shown = f"its code, {number.removeprefix('defect_')}" if defect else f"#{number}"
    if wound in ALIKE:
        shown += f", {ALIKE[wound]}"
    names = "<br>".join(f"`{test.name}`" for test in found)
    return f"| {PEERS[peer]} | {shown} | {found[0].story} | {names} |"


def _rank(number: str) -> tuple[bool, int]:
    return not number.startswith("defect_"), int(number.removeprefix("defect_"))


if __name__ == "__main__":
    write()
