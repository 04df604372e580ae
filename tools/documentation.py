"""Makes the documentation a site, and refuses a link that leads nowhere.

Reads README.md, ARCHITECTURE.md and everything under docs/, writes plain pages with one style sheet inside
each. A page loads nothing: no script, no font, no picture from another host. `python -m tools.documentation`.
"""

import html
import posixpath
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urldefrag

import markdown

REPOSITORY: Final = Path(__file__).resolve().parents[1]
EXTENSIONS: Final = ("fenced_code", "sane_lists", "tables", "toc")
FRONT: Final = ("README.md", "ARCHITECTURE.md")

LINK: Final = re.compile(r'<(a|img)\b[^>]*?\b(?:href|src)="([^"]*)"')
ANCHOR: Final = re.compile(r'\bid="([^"]+)"')
TITLE: Final = re.compile(r"^# (.+)$", re.MULTILINE)
ELSEWHERE: Final = re.compile(r"^(?:[a-z]+:)?//|^mailto:")

STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { margin: 0; font: 16px/1.6 system-ui, sans-serif; display: flex; }
nav { flex: 0 0 15rem; padding: 1.5rem; border-right: 1px solid var(--line); font-size: .9rem; }
nav ul { list-style: none; padding: 0; margin: 0 0 1rem; } nav strong { font-weight: 600; }
main { min-width: 0; max-width: 52rem; padding: 1.5rem 2.5rem; }
pre { background: var(--soft); padding: 1rem; overflow-x: auto; } code { font-size: .9em; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
td, th { border: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top; }
@media (max-width: 50rem) { body { display: block; } nav { border: 0; } main { padding: 1rem; } }
"""
PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title} · Ordergate</title><style>{style}</style></head>
<body><nav>{menu}</nav><main>{body}</main></body></html>
"""


def read(repository: Path) -> dict[str, str]:
    """Every document by its path from the repository's root, the front pages first."""
    front = [repository / name for name in FRONT]
    files = [file for file in front if file.is_file()] + sorted((repository / "docs").rglob("*.md"))
    return {file.relative_to(repository).as_posix(): file.read_text(encoding="utf-8") for file in files}


def render(documents: Mapping[str, str]) -> dict[str, str]:
    """The body of every page, as HTML."""
    return {path: markdown.markdown(text, extensions=EXTENSIONS) for path, text in documents.items()}


def broken_links(bodies: Mapping[str, str], repository: Path) -> Iterator[str]:
    """What is wrong with the links, one sentence each."""
    anchors = {path: set(ANCHOR.findall(body)) for path, body in bodies.items()}
    for path, body in bodies.items():
        for tag, raw in LINK.findall(body):
            link = html.unescape(raw)
            if ELSEWHERE.match(link):
                if tag == "img":
                    yield f"{path}: a picture from another host: {link}"
                continue
            there, anchor = urldefrag(link)
            target = _target(path, there)
            if target not in bodies and not (repository / target).exists():
                yield f"{path}: leads nowhere: {link}"
            elif anchor and target in bodies and anchor not in anchors[target]:
                yield f"{path}: no such heading: {link}"


def _target(path: str, link: str) -> str:
    """The document a link from `path` means; an empty link means the page itself."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(link))) if link else path


def write(documents: Mapping[str, str], bodies: Mapping[str, str], repository: Path, site: Path) -> None:
    """Put every page, and every file a page links to, under the site's folder."""
    shutil.rmtree(site, ignore_errors=True)
    titles = {path: _title(path, text) for path, text in documents.items()}
    for path, body in bodies.items():
        page = site / _page(path)
        page.parent.mkdir(parents=True, exist_ok=True)
        linked = LINK.sub(partial(_as_page, here=path, bodies=bodies), body)
        title = html.escape(titles[path])
        page.write_text(PAGE.format(title=title, style=STYLE, menu=_menu(titles, path), body=linked), "utf-8")
        _copy_linked_files(path, body, repository, site)


def _copy_linked_files(path: str, body: str, repository: Path, site: Path) -> None:
    for _, link in LINK.findall(body):
        target = _target(path, urldefrag(link).url)
        if not ELSEWHERE.match(link) and not target.endswith(".md") and (repository / target).is_file():
            (site / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(repository / target, site / target)


def _page(path: str) -> str:
    return "index.html" if path == "README.md" else f"{path.removesuffix('.md')}.html"


def _title(path: str, text: str) -> str:
    found = TITLE.search(text)
    return found[1].strip() if found else path


def _as_page(found: re.Match[str], here: str, bodies: Mapping[str, str]) -> str:
    """The same link, to the rendered page instead of the document."""
    there, anchor = urldefrag(html.unescape(found[2]))
    target = _target(here, there)
    if ELSEWHERE.match(there) or not there or target not in bodies:
        return found[0]
    address = posixpath.relpath(_page(target), posixpath.dirname(_page(here)) or ".")
    return found[0].replace(found[2], html.escape(f"{address}#{anchor}" if anchor else address))


def _menu(titles: Mapping[str, str], here: str) -> str:
    """All pages, grouped by folder; the one being read is not a link."""
    start = posixpath.dirname(_page(here)) or "."
    groups: dict[str, list[str]] = {}
    for path, title in titles.items():
        name = html.escape(title)
        address = posixpath.relpath(_page(path), start)
        entry = f"<strong>{name}</strong>" if path == here else f'<a href="{address}">{name}</a>'
        groups.setdefault(posixpath.dirname(path).removeprefix("docs/"), []).append(f"<li>{entry}</li>")
    return "".join(f"<p>{html.escape(name)}</p><ul>{''.join(those)}</ul>" for name, those in groups.items())


def build(repository: Path, site: Path) -> list[str]:
    """Check everything, then write the site; with a broken link nothing is written."""
    documents = read(repository)
    bodies = render(documents)
    broken = list(broken_links(bodies, repository))
    if not broken:
        write(documents, bodies, repository, site)
    return broken


def main() -> int:
    """The exit code `make docs` ends with."""
    site = REPOSITORY / "build" / "site"
    broken = build(REPOSITORY, site)
    for sentence in broken:
        sys.stderr.write(f"{sentence}\n")
    if not broken:
        sys.stdout.write(f"{site / 'index.html'}\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
