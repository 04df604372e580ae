"""Every container is confined, every secret is asked for, and only the gateway is seen from the host."""

import re
from typing import Any, Final

import pytest
import yaml

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


def test_only_the_gateway_joins_a_network_that_leads_outside() -> None:
    inward = {name for name, network in COMPOSE["networks"].items() if network.get("internal")}
    outward = [name for name, service in SERVICES.items() if set(service["networks"]) - inward]
    assert outward == ["gateway"]


def test_the_environment_is_paper_and_said_aloud() -> None:
    for name in ("gateway", "migrate"):
        assert SERVICES[name]["environment"]["ORDERGATE_ENVIRONMENT"] == "paper"


def test_the_gateway_waits_for_a_migrated_database_and_a_living_venue() -> None:
    assert SERVICES["gateway"]["depends_on"] == {
        "database": {"condition": "service_healthy"},
        "venue": {"condition": "service_healthy"},
        "migrate": {"condition": "service_completed_successfully"},
    }


def test_the_database_is_the_official_image_of_the_release_we_embed() -> None:
    assert SERVICES["database"]["image"] == "postgres:18"
    assert SERVICES["database"]["volumes"] == ["database:/var/lib/postgresql"]
