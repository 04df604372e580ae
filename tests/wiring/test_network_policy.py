"""Where a gateway may go is made of its settings, and never has a host of the other environment."""

from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from ordergate.wiring import network_policy
from ordergate.wiring.network_policy import Destination, also, destinations, resolvers, rules
from ordergate.wiring.settings import CannotStart, Settings, parse

VENUE = {"url": "http://venue.test:8100", "allowed_hosts": ["venue.test"]}
NAMES = {
    "paper-api.alpaca.markets": ["203.0.113.7", "2001:db8::7", "203.0.113.7"],
    "api.alpaca.markets": ["203.0.113.9"],
    "venue.test": ["203.0.113.10"],
    "stream.data.alpaca.markets": ["203.0.113.8"],
}


def settings(environment: str = "paper", **more: Any) -> Settings:
    plain = {
        "environment": environment,
        "data_dir": "/var/lib/ordergate",
        "instruments": [],
        "brokers": {"one": {}},
        "accounts": {},
        **more,
    }
    return parse(plain, "test")


def hosts(asked: Settings) -> list[tuple[str, int]]:
    return [(one.host, one.port) for one in destinations(asked)]


def resolve(host: str) -> list[str]:
    if host not in NAMES:
        raise OSError("no such name")
    return NAMES[host]


def test_each_environment_goes_to_its_own_host_and_not_to_the_others() -> None:
    assert hosts(settings()) == [("paper-api.alpaca.markets", 443)]
    assert hosts(settings("live")) == [("api.alpaca.markets", 443)]


def test_what_no_adapter_would_speak_to_is_not_on_the_list_either() -> None:
    with pytest.raises(CannotStart, match="Alpaca's"):
        destinations(settings(brokers={"one": {"url": "https://api.alpaca.markets"}}))
    with pytest.raises(CannotStart, match="not on the list"):
        destinations(settings(brokers={"one": {"url": "http://elsewhere.test"}}))
    with pytest.raises(CannotStart, match="remove `url`"):
        destinations(settings("live", brokers={"one": VENUE}))


def test_everything_that_is_elsewhere_is_on_the_list_and_nothing_on_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE", "postgresql://o:p@db-1.test,db-2.test:6432/ordergate")
    asked = settings(
        brokers={
            "one": {
                **VENUE,
                "prices": [{"feed": "v2/iex", "symbols": []}],
                "oauth": {
                    "base_url": "https://grants.test",
                    "client_id": "c",
                    "client_secret": {"aws": {"region": "eu-west-1", "name": "n"}},
                    "redirect_uri": "http://127.0.0.1:9000/",
                },
            },
            "two": {"url": "http://127.0.0.1:8100"},
        },
        database_url={"environment": "DATABASE"},
        issuers=[{"name": "corp", "issuer": "https://id.test/realm", "audience": "a"}],
        surveillance=[{"name": "desk", "url": "https://hooks.test/x", "secrets": [{"environment": "S"}]}],
        keys={"kind": "aws-kms", "region": "cn-north-1"},
    )
    assert hosts(asked) == [
        ("db-1.test", 5432),
        ("db-2.test", 6432),
        ("grants.test", 443),
        ("hooks.test", 443),
        ("id.test", 443),
        ("kms.cn-north-1.amazonaws.com.cn", 443),
        ("secretsmanager.eu-west-1.amazonaws.com", 443),
        ("venue.test", 8100),
        ("venue.test", 8100),
    ]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///ordergate?host=/run/postgresql",
        "postgresql://u:p@127.0.0.1/x",
        "postgresql://[::1]:5/x",
    ],
)
def test_a_database_on_this_machine_is_no_other_machine(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE", url)
    assert hosts(settings(brokers={}, database_url={"environment": "DATABASE"})) == []


def test_a_database_may_be_named_where_a_socket_would_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE", "postgresql://u:p@/ordergate?host=db.test:6432")
    assert hosts(settings(brokers={}, database_url={"environment": "DATABASE"})) == [("db.test", 6432)]


def test_the_rules_hold_for_one_user_and_let_nothing_else_through() -> None:
    text = rules(
        settings(),
        [also("venue.test:8100")],
        uid=10_001,
        names=[ip_address("203.0.113.53"), ip_address("2001:db8::53")],
        resolve=resolve,
    )
    allowed = [line.strip() for line in text.splitlines() if line.strip().endswith("accept")]
    assert allowed == [
        'oifname "lo" accept',
        "ct state established,related accept",
        "ip daddr 203.0.113.53 udp dport 53 accept",
        "ip daddr 203.0.113.53 tcp dport 53 accept",
        "ip6 daddr 2001:db8::53 udp dport 53 accept",
        "ip6 daddr 2001:db8::53 tcp dport 53 accept",
        "ip daddr 203.0.113.7 tcp dport 443 accept",
        "ip6 daddr 2001:db8::7 tcp dport 443 accept",
        "ip daddr 203.0.113.10 tcp dport 8100 accept",
    ]
    assert "meta skuid 10001 jump gateway" in text
    assert "policy accept" in text  # every other user of the machine goes where it went


def test_no_rules_are_made_while_a_name_has_no_address() -> None:
    with pytest.raises(CannotStart, match=r"nowhere\.test has no address now"):
        rules(settings(), [also("nowhere.test:1")], uid=1, names=[], resolve=resolve)


def test_a_name_in_the_settings_adds_no_rule_of_its_own() -> None:
    evil = settings(brokers={"one\n        ip daddr 0.0.0.0/0 accept": {}})
    text = rules(evil, [], uid=1, names=[], resolve=resolve)
    assert not any(line.strip().startswith("ip daddr 0.0.0.0/0") for line in text.splitlines())


def test_what_an_operator_adds_is_a_host_and_a_port() -> None:
    assert also("sts.test:443") == Destination("sts.test", 443, "named by the operator")
    assert also("[2001:db8::1]:443").host == "2001:db8::1"
    for wrong in ("sts.test", ":443", "sts.test:x", "https://sts.test:443", "a@sts.test:443", "sts.test:1/x"):
        with pytest.raises(CannotStart, match="host:port"):
            also(wrong)


def test_whom_this_machine_asks_for_names(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("search x\nnameserver 127.0.0.53\nnameserver 203.0.113.53\nnameserver fe80::1%eth0\n")
    assert [str(one) for one in resolvers(file)] == ["203.0.113.53", "fe80::1"]
    assert resolvers(tmp_path / "none") == []


def test_the_table_is_replaced_at_once() -> None:
    """Declared, deleted and made anew in one file, which nft loads whole or not at all."""
    lines = rules(settings(brokers={}), [], uid=1, names=[], resolve=resolve).splitlines()
    table = network_policy.TABLE
    assert lines[1:4] == [f"table inet {table}", f"delete table inet {table}", f"table inet {table} {{"]


def test_an_address_that_cannot_be_read_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the password was not escaped, what is wrong with the address is a part of it."""
    monkeypatch.setenv("DATABASE", "postgresql://u:Xk3SecretHalf/9zz=@h/x")
    with pytest.raises(CannotStart) as refused:
        destinations(settings(database_url={"environment": "DATABASE"}))
    assert str(refused.value) == "the address of the database cannot be read"
