"""No code that folds events can change without the snapshots that it made being thrown away."""

from __future__ import annotations

import ast
from decimal import Decimal
from pathlib import Path

import msgspec

import ordergate
from ordergate.core.ids import Symbol
from ordergate.core.instruments import AssetClass, Instrument, by_any_name
from ordergate.wiring.fold_rules import FOLDED_BY, fold_rules

ROOT = Path(ordergate.__file__).parent
FUTURE = Instrument(
    symbol=Symbol("ESH4"),
    name="E-mini",
    asset_class=AssetClass.FUTURE,
    currency="USD",
    tick=Decimal("0.25"),
    lot=Decimal(1),
    multiplier=Decimal(50),
    calendar="CMES",
    aliases=(Symbol("ES"),),
)
OTHER = msgspec.structs.replace(FUTURE, symbol=Symbol("NQH4"), aliases=())


def test_whatever_the_books_are_made_with_is_in_the_rules() -> None:
    books = ROOT / "engine" / "accounts"
    reached = imported_by(books / "books.py") | imported_by(books / "pictures.py")
    assert {"engine/accounts/books.py", "engine/accounts/labels.py", "core/orders/order.py"} <= reached
    outside = {name for name in reached if not any(name.startswith(part) for part in FOLDED_BY)}
    assert outside == set()


def test_everything_named_is_there() -> None:
    assert all((ROOT / part).exists() for part in FOLDED_BY)


def test_the_rules_are_the_same_however_the_instruments_are_listed() -> None:
    both = {FUTURE.symbol: FUTURE, OTHER.symbol: OTHER}
    assert fold_rules(both) == fold_rules(dict(reversed(both.items()))) == fold_rules(by_any_name(both))


def test_another_instrument_or_another_field_is_another_rule() -> None:
    usual = fold_rules({FUTURE.symbol: FUTURE})
    for changes in ({"multiplier": Decimal(5)}, {"aliases": ()}, {"asset_class": AssetClass.EQUITY}):
        assert fold_rules({FUTURE.symbol: msgspec.structs.replace(FUTURE, **changes)}) != usual
    assert fold_rules({FUTURE.symbol: FUTURE, OTHER.symbol: OTHER}) != usual


def imported_by(module: Path) -> set[str]:
    """Every module of ours that is needed to run this one, as a path below the package."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        file = waiting.pop()
        name = file.relative_to(ROOT).as_posix()
        if name in found:
            continue
        found.add(name)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ordergate."):
                waiting += _files(str(node.module), [alias.name for alias in node.names])
    return found


def _files(module: str, names: list[str]) -> list[Path]:
    """A module, or modules of a package."""
    place = ROOT.joinpath(*module.split(".")[1:])
    if place.is_dir():
        return [place / f"{name}.py" for name in names if (place / f"{name}.py").exists()]
    return [place.with_suffix(".py")]
