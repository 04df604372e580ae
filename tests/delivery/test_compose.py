"""Every container is confined, every secret is asked for, and only the gateway is seen from the host."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from ordergate.core.ids import Env
from ordergate.wiring import settings as gateway_settings
from ordergate.wiring import venue as venue_settings
from tests.architecture.page import REPOSITORY

TEXT: Final = (REPOSITORY / "compose.yaml").read_text(encoding="utf-8")
COMPOSE: Final[dict[str, Any]] = yaml.safe_load(TEXT)
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
every_service: Final = pytest.mark.parametrize("name", SERVICES)


@every_service
def test_a_container_has_a_read_only_root_no_capability_and_no_root_user(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert "no-new-privileges:true" in service["security_opt"]
    assert int(service["user"].split(":")[0]) > 0


@every_service
def test_a_container_that_stays_up_says_how_it_is(name: str) -> None:
    service = SERVICES[name]
    if service["restart"] == "no":
        assert service["healthcheck"] == {"disable": True}
    else:
        assert service["healthcheck"]["test"][0] == "CMD"


@every_service
def test_a_secret_has_no_default_and_stands_nowhere_in_the_file(name: str) -> None:
    for key, value in SERVICES[name].get("environment", {}).items():
        if re.search(r"PASSWORD|SECRET|KEY|DATABASE_URL", key):
            assert re.search(r"\$\{\w+:\?[^}]+\}", value), f"{name}.{key} must be asked for: ${{NAME:?why}}"
            assert ":-" not in value


def test_the_host_sees_the_gateway_alone_and_only_on_the_loopback_address() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert list(published) == ["gateway"]
    assert all(port.startswith("127.0.0.1:") for port in published["gateway"])


@pytest.mark.usefixtures("secrets")
def test_the_administration_is_not_seen_from_outside_its_container() -> None:
    settings = gateway_settings.load(mounted("gateway"))
    assert settings.admin_host == gateway_settings.LOOPBACK
    assert all(str(settings.admin_port) not in port for port in SERVICES["gateway"]["ports"])


def test_only_the_gateway_joins_a_network_that_leads_outside() -> None:
    inward = {name for name, network in COMPOSE["networks"].items() if network.get("internal")}
    outward = [name for name, service in SERVICES.items() if set(service["networks"]) - inward]
    assert outward == ["gateway"]


def test_not_even_the_gateway_reaches_another_machine() -> None:
    for name, network in COMPOSE["networks"].items():
        translated = network.get("driver_opts", {}).get("com.docker.network.bridge.enable_ip_masquerade")
        assert network.get("internal") or translated == "false", name


def test_the_image_is_the_one_for_paper() -> None:
    assert SERVICES["gateway"]["build"]["args"] == {"ENVIRONMENT": "paper"}


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """What compose asks the operator for."""
    for name in re.findall(r"\$\{(\w+):\?", TEXT):
        monkeypatch.setenv(name, f"secret-of-{name}")
    monkeypatch.setenv("ORDERGATE_DATABASE_URL", "postgresql://database/ordergate")


def mounted(name: str) -> Path:
    """The settings file a service is started with, where it is in the repository."""
    service = SERVICES[name]
    target = service["command"][service["command"].index("--config") + 1]
    (mount,) = (mount for mount in service["volumes"] if mount.split(":")[1:] == [target, "ro"])
    return REPOSITORY / str(mount.split(":")[0])


@pytest.mark.usefixtures("secrets")
def test_the_gateway_starts_in_paper_with_limits_and_speaks_to_the_venue() -> None:
    assert mounted("migrate") == mounted("gateway")
    settings = gateway_settings.load(mounted("gateway"))
    assert settings.environment is Env.PAPER
    assert all(account.parsed_limits() for account in settings.accounts.values())
    assert settings.base_url == f"http://{SERVICES['gateway']['ports'][0].rpartition(':')[0]}"
    venue = venue_settings.load(mounted("venue"))
    assert settings.brokers["venue"].url == f"http://venue:{venue.port}"
    key = settings.brokers["venue"].key
    assert key is not None
    assert key.read().reveal() == venue.accounts[0].key
    assert {one.symbol for one in settings.instruments} <= {one.symbol for one in venue.listings}


@pytest.mark.usefixtures("secrets")
def test_the_health_questions_are_asked_at_the_port_that_is_served() -> None:
    asked = {name: SERVICES[name]["healthcheck"]["test"][-1] for name in ("gateway", "venue")}
    assert f":{gateway_settings.load(mounted('gateway')).port}/livez" in asked["gateway"]
    assert f"('127.0.0.1', {venue_settings.load(mounted('venue')).port})" in asked["venue"]


@every_service
def test_every_folder_written_to_is_a_volume_or_in_memory(name: str) -> None:
    mounts = [mount.split(":") for mount in SERVICES[name].get("volumes", ())]
    assert {mount[0] for mount in mounts if mount[-1] != "ro"} <= set(COMPOSE["volumes"])
    assert any(place.startswith("/tmp:") for place in SERVICES[name]["tmpfs"])


def test_the_gateway_waits_for_a_migrated_database_and_a_living_venue() -> None:
    assert SERVICES["gateway"]["depends_on"] == {
        "database": {"condition": "service_healthy"},
        "venue": {"condition": "service_healthy"},
        "migrate": {"condition": "service_completed_successfully"},
    }


def test_the_database_is_the_official_image_of_the_release_we_embed() -> None:
    assert SERVICES["database"]["image"] == "postgres:18"
    assert SERVICES["database"]["volumes"] == ["database:/var/lib/postgresql"]
