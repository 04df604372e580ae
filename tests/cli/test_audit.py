"""`audit`: what a running gateway did is exported, and a stranger's program finds it true."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.cli.asking import Desk, ordergate, wait_until
from verifier import ordergate_verifier as verifier


def test_a_running_gateway_signs_and_a_stranger_agrees(desk: Desk, tmp_path: Path) -> None:
    order = desk.filled("AAPL", "buy", "3")
    where = ("--data-dir", str(desk.home.data_dir))
    seq = desk.get("orders", "events", order["id"])["events"][-1]["seq"]
    proof = tmp_path / "one.tlog-proof"
    deadline = time.monotonic() + 60
    while (said := ordergate("audit", "prove", "P-DEMO", str(seq), "--to", str(proof), *where)).code:
        assert "not under a signed head" in said.err or "nothing is signed" in said.err, said.err
        assert time.monotonic() < deadline
    key = ordergate("audit", "key", *where).out.strip()
    assert verifier.verify_proof(proof.read_text(encoding="utf-8"), verifier.parse_key(key))["seq"] == seq

    verified = ordergate("audit", "verify", "--json", *where)
    assert verified.code == 0, verified.out
    assert verified.json["clean"]
    assert verified.json["signed"] >= seq

    exported = tmp_path / "export"
    assert ordergate("audit", "export", "--to", str(exported), *where).code == 0
    kept = desk.home.data_dir / "audit" / "checkpoints.jsonl"
    command = [sys.executable, "-I", verifier.__file__ or "", "log", str(exported), "--key", key]
    ran = subprocess.run(
        [*command, "--trusted", str(kept)], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    grown = ordergate("audit", "prove", "--since", str(desk.home.data_dir / "audit" / "checkpoint"), *where)
    assert grown.code == 0, grown.err
    verifier.verify_consistency(grown.out, verifier.parse_key(key))


def test_what_is_to_be_proven_must_be_said(desk: Desk) -> None:
    said = ordergate("audit", "prove", "--data-dir", str(desk.home.data_dir))
    assert said.code == 2
    assert "say which event" in said.err


@pytest.mark.parametrize(
    "command",
    [
        ("prove", "P-DEMO", "1", "--to", "{nowhere}/proof"),
        ("prove", "--since", "{nowhere}/checkpoint"),
        ("prove", "--since", sys.executable),
        ("export", "--to", "{file}/folder"),
        ("records", "--day", "2026-11-30", "--to", "{file}"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_sentence(
    desk: Desk, tmp_path: Path, command: tuple[str, ...]
) -> None:
    file = tmp_path / "file"
    file.touch()
    words = (word.format(nowhere=tmp_path / "nowhere", file=file) for word in command)
    said = ordergate("audit", *words, "--data-dir", str(desk.home.data_dir))
    assert (said.code, said.out) == (5, "")
    assert said.err.startswith("ordergate: ")


def test_a_log_that_lost_nothing_is_not_torn(desk: Desk) -> None:
    """What was published would be set aside, and a witness could not follow any more."""
    desk.filled("AAPL", "buy", "3")
    folder = desk.home.data_dir / "audit"
    wait_until((folder / "checkpoint").is_file, "a checkpoint")
    said = ordergate("audit", "go-on", "--reason", "a slip", "--data-dir", str(desk.home.data_dir), "--json")
    assert (said.code, said.json) == (0, {"set_aside": []})
    assert not list(folder.glob("*.set-aside-*"))


def test_an_account_is_shown_as_it_once_stood(desk: Desk) -> None:
    order = desk.filled("AAPL", "buy", "2")
    events = desk.get("orders", "events", order["id"])["events"]
    where = ("--data-dir", str(desk.home.data_dir))
    began = ordergate("audit", "state", "P-DEMO", str(events[0]["seq"]), *where)
    assert began.json["orders"][order["id"]]["status"] == "accepted"
    ended = ordergate("audit", "state", "P-DEMO", str(events[-1]["seq"]), *where)
    assert ended.json["orders"][order["id"]]["status"] == "filled"
    assert ended.json["orders"][order["id"]]["cum_qty"] == "2"


@pytest.mark.parametrize("event", [("P-DEMO", "1000000"), ("P-DEM0", "0")])
def test_what_has_not_happened_is_not_shown_as_a_state(desk: Desk, event: tuple[str, str]) -> None:
    said = ordergate("audit", "state", *event, "--data-dir", str(desk.home.data_dir))
    assert (said.code, said.out) == (5, "")
    assert "there is no event" in said.err


def test_there_are_no_records_of_an_account_that_is_not_there(desk: Desk, tmp_path: Path) -> None:
    """An empty file would look like a day without orders."""
    where = ("--account", "P-DEM0", "--to", str(tmp_path), "--data-dir", str(desk.home.data_dir))
    assert ordergate("audit", "records", "--day", "2026-11-30", *where).code == 5
    assert list(tmp_path.iterdir()) == []


def test_a_day_is_reported_and_exported(desk: Desk, tmp_path: Path) -> None:
    order = desk.filled("AAPL", "buy", "1")
    day = desk.get("orders", "events", order["id"])["events"][-1]["at"][:10]  # today may be over by now
    where = ("--data-dir", str(desk.home.data_dir))
    said = ordergate("report", "day", "--date", day, "--to", str(tmp_path / "day.html"), "--json", *where)
    assert said.code == 0, said.err
    assert said.json["counts"]["executions"] >= 1
    assert {"fired", "noted", "lifted", "acted"} <= said.json.keys()
    assert "The record holds." in (tmp_path / "day.html").read_text(encoding="utf-8")
    written = ordergate("audit", "records", "--day", day, "--to", str(tmp_path), "--json", *where)
    assert written.code == 0, written.err
    assert written.json[0]["records"] >= 3
    refused = ordergate("audit", "records", "--day", day, "--to", str(tmp_path), "--form", "xml", *where)
    assert refused.code == 2
    copied = ordergate("audit", "drop-copy", *where)
    assert copied.code == 0, copied.err


def test_the_drop_copy_is_told_by_the_gateway_to_whoever_may_see_it(desk: Desk) -> None:
    order = desk.filled("AAPL", "buy", "1")
    address = desk.home.running["base_url"] + "/v1/drop-copy"
    headers = {"authorization": f"Bearer {desk.ask('token').out.strip()}"}

    def told() -> bool:
        answer = httpx.get(address, headers=headers, params={"limit": 500}, timeout=10, trust_env=False)
        assert answer.status_code == 200, answer.text
        return order["id"] in answer.text

    wait_until(told, "the execution's copy")


def test_the_key_is_changed_and_a_witness_and_a_stranger_follow(desk: Desk, tmp_path: Path) -> None:
    data = desk.home.data_dir
    where = ("--data-dir", str(data))
    first = ordergate("audit", "key", "--all", *where).out.split()[0]
    desk.filled("AAPL", "buy", "4")
    eye = ["audit", "witness", "--folder", str(data / "audit"), "--state", str(tmp_path / "eye")]
    eye += ["--name", "eye.example/1", "--key", ordergate("audit", "key", *where).out.strip(), "--once"]
    cosigned = tmp_path / "eye" / "cosigned"
    wait_until(lambda: ordergate(*eye).code == 0 and cosigned.exists(), "a cosignature")

    with desk.home.asleep():  # or it might have taken the key over before another is asked for
        made = ordergate("audit", "rotate-key", "--reason", "a drill", "--json", *where)
        assert made.code == 0, made.err
        assert ordergate("audit", "rotate-key", "--reason", "again", *where).code == 5
    desk.filled("AAPL", "buy", "5")
    name = made.json["key"]
    wait_until(lambda: ordergate("audit", "key", *where).out.strip() == name, "the new key")
    desk.filled("AAPL", "buy", "6")
    newest = data / "audit" / "checkpoint"
    wait_until(lambda: "ordergate-next-key" not in newest.read_text(encoding="utf-8"), "the next head")
    watched = ordergate(*eye, "--json")
    assert watched.code == 0, watched.err
    assert "eye.example/1" in cosigned.read_text(encoding="utf-8")

    assert ordergate("audit", "verify", *where).code == 0
    exported = tmp_path / "export"
    assert ordergate("audit", "export", "--to", str(exported), *where).code == 0
    witness_key = ordergate(*eye, "--json").out.splitlines()[0].split('"')[3]
    command = [sys.executable, "-I", verifier.__file__ or "", "log", str(exported), "--key", first]
    command += ["--witness", witness_key, "--cosigned", str(tmp_path / "eye" / "cosigned.jsonl")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "cosigned by eye.example/1" in ran.stdout
    assert name.split("+")[1] in ran.stdout


def test_the_command_counts_and_drops(desk: Desk) -> None:
    where = ("--data-dir", str(desk.home.data_dir), "--json")
    assert ordergate("audit", "retire", "--dry-run", *where).json == {"dropped": False, "taken": 0, "dead": 0}
    assert ordergate("audit", "retire", *where).json == {"dropped": True, "taken": 0, "dead": 0}
