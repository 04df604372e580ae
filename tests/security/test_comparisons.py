"""No secret of ours is compared with `==`: what `make scan` asks semgrep is asked here by every run.

The names are those of the rule (`tools/scan/rules.yaml`), and so are the samples of what it finds.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import yaml

from tests.architecture.page import REPOSITORY
from tools.log_events import SOURCE

RULE: Final = "no-equality-on-secrets"
SCAN: Final = REPOSITORY / "tools" / "scan"


def names() -> re.Pattern[str]:
    """What a secret is called."""
    rules = {rule["id"]: rule for rule in yaml.safe_load((SCAN / "rules.yaml").read_text("utf-8"))["rules"]}
    (regex,) = (
        part["metavariable-regex"]["regex"]
        for part in rules[RULE]["patterns"]
        if "metavariable-regex" in part
    )
    return re.compile(regex)


def compared(file: Path) -> list[int]:
    """The lines on which something that is called a secret is compared with `==` or `!=`."""
    secret, found = names(), []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Compare) and any(isinstance(how, ast.Eq | ast.NotEq) for how in node.ops):
            sides = [node.left, *node.comparators]
            is_empty = any(isinstance(side, ast.Constant) and side.value == "" for side in sides)
            if not is_empty and any(secret.match(ast.unparse(side)) for side in sides):
                found.append(node.lineno)
    return sorted(found)


def test_the_rule_s_own_samples_are_found_and_left_alone() -> None:
    lines = (SCAN / "samples.py").read_text(encoding="utf-8").splitlines()
    said = {word: [at + 2 for at, line in enumerate(lines) if line.strip() == f"# {word}: {RULE}"]
            for word in ("ruleid", "ok")}  # fmt: skip
    assert said["ok"]
    assert compared(SCAN / "samples.py") == said["ruleid"]


def test_no_module_compares_a_secret_so_that_its_time_tells_how_far_it_came() -> None:
    found = {file.relative_to(SOURCE).as_posix(): compared(file) for file in SOURCE.rglob("*.py")}
    assert len(found) > 100
    assert {file: lines for file, lines in found.items() if lines} == {}
