"""Barrier 6, outside the process: under the rules made from the settings, the kernel refuses the rest.

Two network namespaces of this machine, joined by a cable. In one the product's HTTP client asks, in the other
two hosts answer. Only root may set that up; elsewhere a line says that it was not tried.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.page import REPOSITORY

NEEDED: Final = ("unshare", "ip", "nft", "setpriv", "mount")
SETTINGS: Final = """
environment: paper
data_dir: {folder}
instruments: []
accounts: {{}}
brokers:
  venue: {{url: "http://venue.test:8100", allowed_hosts: [venue.test]}}
"""
# Its own mounts too: the names are in a hosts file that nobody else sees.
SCENE: Final = """
set -eu
mount --make-rprivate /
mount -t tmpfs none /run && mkdir /run/netns
printf '127.0.0.1 localhost\\n203.0.113.10 venue.test\\n203.0.113.20 elsewhere.test\\n' > /run/hosts
mount --bind /run/hosts /etc/hosts
ip link set lo up
ip netns add peer
ip link add out type veth peer name in netns peer
ip addr add 203.0.113.1/24 dev out && ip link set out up
ip -n peer addr add 203.0.113.10/24 dev in && ip -n peer addr add 203.0.113.20/24 dev in
ip -n peer link set in up
ip netns exec peer "$PYTHON" -c "$ANSWERS" > "$FOLDER/answers" &
trap "kill $!" EXIT
timeout 20 sh -c "until grep -q ready $FOLDER/answers; do :; done"
ask() { timeout 30 "$PYTHON" -m tests.isolation.asking http://venue.test:8100 http://elsewhere.test:8100; }
ask
timeout 60 "$PYTHON" -m ordergate egress --config "$FOLDER/gateway.yaml" --user 0 > "$FOLDER/rules"
nft -f "$FOLDER/rules"
nft -f "$FOLDER/rules"
ask
setpriv --reuid 65534 --clear-groups "$PLAIN" -I -c "$SOMEBODY"
"""
TRIED: Final = """
ip link add out type veth peer name in
nft add table inet t
nft add chain inet t c
nft add rule inet t c meta skuid 0 ct state new reject
"""
ANSWERS: Final = """
import http.server
class Json(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
    def log_message(self, *words): ...
server = http.server.ThreadingHTTPServer(("0.0.0.0", 8100), Json)
print("ready", flush=True)
server.serve_forever()
"""
SOMEBODY: Final = """
import urllib.request
print(urllib.request.urlopen("http://elsewhere.test:8100/", timeout=10).status)
"""


def why_not() -> str | None:
    """What keeps this machine from it."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        return f"there is no {', '.join(missing)} here"
    if os.geteuid() != 0:
        return "only root makes networks"
    asked = ["unshare", "--mount", "--net", "sh", "-e", "-c", TRIED]
    said = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=False)
    return None if said.returncode == 0 else f"the kernel says {said.stderr.strip()!r}"


@pytest.mark.timeout(180)
def test_under_the_rules_a_host_that_is_not_in_the_settings_is_refused(tmp_path: Path) -> None:
    if why := why_not():
        pytest.skip(f"the rules were not tried on a network: {why}")
    (tmp_path / "gateway.yaml").write_text(SETTINGS.format(folder=tmp_path), encoding="utf-8")
    told = subprocess.run(
        ["unshare", "--mount", "--net", "sh", "-c", SCENE],
        cwd=REPOSITORY,
        env={
            "PATH": os.environ["PATH"],
            "PYTHON": sys.executable,
            "PLAIN": str(Path(sys.executable).resolve()),
            "FOLDER": str(tmp_path),
            "ANSWERS": ANSWERS,
            "SOMEBODY": SOMEBODY,
        },
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    before, under_the_rules = ["Answer", "Answer"], ["Answer", "Unsent"]
    somebody_else = ["200"]
    assert told.stdout.split() == [*before, *under_the_rules, *somebody_else]
