"""Who hunts for the mistakes that `make mutants` plants: every test of the risk controls."""

import tomllib
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).parents[2]
CONTROLS: Final = {file.stem for file in (REPOSITORY / "src/ordergate/core/risk").glob("*.py")}


def test_every_test_of_the_risk_controls_hunts_for_their_mistakes() -> None:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    hunting = settings["tool"]["mutmut"]["pytest_add_cli_args_test_selection"]
    files = (REPOSITORY / "tests/core").glob("test_*.py")
    of_risk = [file for file in files if file.stem.startswith("test_risk_") or file.stem[5:] in CONTROLS]
    assert {file.relative_to(REPOSITORY).as_posix() for file in of_risk} <= {*hunting}
