"""What tells two nodes of different code apart, though both call themselves by one release."""

from __future__ import annotations

from pathlib import Path

import ordergate
from ordergate.wiring.build import build, digest, texts


def of(folder: Path) -> str:
    return digest(texts(folder, "package"))


def package(folder: Path) -> Path:
    (folder / "core").mkdir(parents=True)
    (folder / "core" / "money.py").write_text("ZERO = 0\n", encoding="utf-8")
    (folder / "schema.sql").write_text("select 1;\n", encoding="utf-8")
    return folder


def test_the_same_files_in_another_place_are_the_same_build(tmp_path: Path) -> None:
    assert of(package(tmp_path / "one")) == of(package(tmp_path / "two"))


def test_any_change_of_a_file_is_another_build(tmp_path: Path) -> None:
    folder = package(tmp_path)
    found = {of(folder)}
    (folder / "schema.sql").write_text("select 2;\n", encoding="utf-8")
    found.add(of(folder))
    (folder / "schema.sql").rename(folder / "tables.sql")
    found.add(of(folder))
    (folder / "core" / "more.py").touch()
    found.add(of(folder))
    assert len(found) == 4


def test_what_the_interpreter_keeps_for_itself_changes_nothing(tmp_path: Path) -> None:
    folder = package(tmp_path)
    before = of(folder)
    (folder / "core" / "__pycache__").mkdir()
    (folder / "core" / "__pycache__" / "money.cpython-311.pyc").write_bytes(b"\0")
    assert of(folder) == before


def test_a_build_is_named_by_the_release_and_the_code() -> None:
    release, _, code = build().partition("+")
    assert release == ordergate.__version__
    assert int(code, 16) > 0
    assert len(code) == 12
