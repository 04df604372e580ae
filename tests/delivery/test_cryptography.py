"""The inventory of cryptography is whole: every purpose of a key, and every module that does any."""

from __future__ import annotations

import ast
import re
from typing import Final

import pytest

from ordergate.api.certificates import _SAFE
from ordergate.ports.keys import Purpose
from ordergate.security import hashing, signing
from ordergate.security.sealing.ciphers import Cipher
from tests.delivery.test_true_documents import WRITTEN, listed, rows
from tools.log_events import SOURCE

PAGE: Final = "docs/cryptography.md"
DOES_SOME: Final = re.compile(
    r"(cryptography|joserfc|argon2|webauthn|http_message_signatures|pkcs11|authlib|hashlib|hmac|secrets|ssl)(\.|$)"
)


def imported(code: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("purpose", Purpose)
def test_every_purpose_of_a_key_is_in_the_inventory_with_its_algorithm(purpose: Purpose) -> None:
    (row,) = (row for row in rows(PAGE, "key") if row[0].startswith(f"`{purpose}`"))
    _, algorithm, where, life, replaced = row
    assert algorithm.startswith(purpose.algorithm)
    assert where == "key service"
    assert life
    assert "`ordergate " in replaced


def test_no_row_leaves_out_where_a_key_is_its_life_or_its_replacement() -> None:
    assert all(all(row) and len(row) == 5 for row in rows(PAGE, "key"))


def test_every_module_that_does_cryptography_is_named_once() -> None:
    done = {
        file.relative_to(SOURCE).with_suffix("").as_posix()
        for file in SOURCE.rglob("*.py")
        if any(DOES_SOME.match(name) for name in imported(file.read_text(encoding="utf-8")))
    }
    told = listed(PAGE, "where")
    assert len(told) == len(set(told))
    assert done == set(told)


def test_the_figures_are_those_of_the_code() -> None:
    life = {row[0]: row[3] for row in rows(PAGE, "key")}
    days = signing.ROTATE_AFTER_S // 86_400
    assert life["`tokens`: signs access tokens"].startswith(f"{days} days")
    memory = hashing._argon2.memory_cost / 1_024
    assert f"Argon2id, {memory:.0f} MiB, two passes" in WRITTEN[PAGE].replace("\n", " ")
    assert hashing._argon2.time_cost == 2
    algorithms = {row[0]: row[1] for row in rows(PAGE, "key")}
    told = algorithms["a data key of each stored secret"]
    assert all(cipher.value in told for cipher in Cipher)
    assert [version.name for version in _SAFE] == ["TLSv1_2", "TLSv1_3"]
