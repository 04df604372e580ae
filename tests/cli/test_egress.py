"""`egress`: what the settings need, as a list and as rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.asking import ordergate


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.yaml"
    file.write_text(
        "environment: paper\ndata_dir: data\ninstruments: []\naccounts: {}\n"
        "brokers: {venue: {url: 'http://192.0.2.10:8100', allowed_hosts: ['192.0.2.10']}}\n",
        encoding="utf-8",
    )
    return file


def test_a_list_says_why_each_machine_is_on_it(config: Path) -> None:
    said = ordergate("egress", "--config", str(config), "--also", "192.0.2.11:443", "--json")
    assert said.code == 0, said.err
    assert said.json == [
        {"host": "192.0.2.10", "port": 8100, "why": "broker venue"},
        {"host": "192.0.2.11", "port": 443, "why": "named by the operator"},
    ]


def test_rules_are_for_nft_and_nothing_else_is_printed(config: Path) -> None:
    said = ordergate("egress", "--config", str(config), "--user", "10001", "--also", "127.0.0.1:1")
    assert said.code == 0, said.err
    assert said.out.startswith("# Where user 10001 may go, as the gateway of paper.")
    assert "        ip daddr 192.0.2.10 tcp dport 8100 accept\n" in said.out
    assert said.out.endswith("}\n")


def test_what_cannot_be_allowed_is_a_sentence(config: Path) -> None:
    said = ordergate("egress", "--config", str(config), "--also", "somewhere")
    assert said.code == 5
    assert "'somewhere' is not host:port" in said.err
