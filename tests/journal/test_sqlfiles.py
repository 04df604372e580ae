"""SQL is found by its name, and every name is used."""

from pathlib import Path

import pytest

import ordergate.journal
from ordergate.journal import sqlfiles

HOME = Path(ordergate.journal.__file__).parent
FILES = sorted(file.stem for file in (HOME / "sql").glob("*.sql"))


@pytest.mark.parametrize("file", FILES)
def test_every_statement_has_a_name_that_the_code_knows(file: str) -> None:
    code = "".join(module.read_text(encoding="utf-8") for module in HOME.glob("*.py"))
    for name, text in sqlfiles.statements(file).items():
        assert f'"{name}"' in code, f"{file}.sql: nobody uses {name}"
        assert text
