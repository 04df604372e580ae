"""The documentation's links lead somewhere, its pages load nothing, and every dependency has its reason."""

import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.page import REPOSITORY, pages
from tools.documentation import build

LOADED: Final = re.compile(r"""<(?:script|link|iframe)\b|<img[^>]*src="(?:[a-z]+:)?//|@import|url\(""")
DEPENDENCIES: Final = (REPOSITORY / "docs" / "dependencies.md").read_text(encoding="utf-8")


def small_repository(folder: Path, **documents: str) -> Path:
    """A repository of a few documents: `README="..."`, `risk="..."` (under docs)."""
    (folder / "docs").mkdir()
    for name, text in documents.items():
        place = folder / f"{name}.md" if name.isupper() else folder / "docs" / f"{name}.md"
        place.write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[x](docs/none.md)", "README.md: leads nowhere: docs/none.md"),
        ("[x](docs/risk.md#none)", "README.md: no such heading: docs/risk.md#none"),
        ("![x](//host.example/a.png)", "README.md: a picture from another host: //host.example/a.png"),
    ],
)
def test_a_bad_link_is_named_and_nothing_is_written(tmp_path: Path, text: str, sentence: str) -> None:
    repository = small_repository(tmp_path, README=text, risk="# Risk")
    assert build(repository, tmp_path / "site") == [sentence]
    assert not (tmp_path / "site").exists()


def test_links_between_documents_become_links_between_pages(tmp_path: Path) -> None:
    risk = "# Risk\n## Limits\n[b](../README.md)"
    repository = small_repository(tmp_path, README="[r](docs/risk.md#limits)", risk=risk)
    assert build(repository, tmp_path / "site") == []
    assert 'href="docs/risk.html#limits"' in (tmp_path / "site" / "index.html").read_text("utf-8")
    assert '<a href="../index.html">b</a>' in (tmp_path / "site" / "docs" / "risk.html").read_text("utf-8")


def test_the_documentation_has_no_broken_link_and_its_pages_load_nothing(tmp_path: Path) -> None:
    assert build(REPOSITORY, tmp_path / "site") == []
    pages = list((tmp_path / "site").rglob("*.html"))
    assert pages
    assert [page.name for page in pages if LOADED.search(page.read_text("utf-8"))] == []


def asked_for(name: str) -> set[str]:
    """The packages a requirements file asks for by name."""
    lines = (REPOSITORY / name).read_text(encoding="utf-8").splitlines()
    return {line.strip() for line in lines if line.strip() and not line.startswith(("#", "-"))}


def test_every_direct_dependency_has_one_reason_and_no_other_has() -> None:
    reasoned = re.findall(r"^\| ([a-z0-9-]+) \| \S.+\. \|$", DEPENDENCIES, re.MULTILINE)
    locks = ("requirements.in", "requirements-dev.in", "requirements-scan.in")
    assert sorted(reasoned) == sorted(set().union(*map(asked_for, locks)))


def test_every_package_the_code_imports_is_asked_for_by_name() -> None:
    providers = packages_distributions()
    imported = {name.partition(".")[0] for page in pages() if page.inside("src") for name in page.imports()}
    outside = imported - set(sys.stdlib_module_names) - {"ordergate"}
    provided = {providers[name][0].lower().replace("_", "-") for name in outside}
    assert provided <= asked_for("requirements.in")


def test_the_package_asks_for_what_the_requirements_ask_for() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {name for names in project["optional-dependencies"].values() for name in names}
    assert extras.isdisjoint(project["dependencies"])
    assert {*project["dependencies"], *extras, "flit-core"} == asked_for("requirements.in")
