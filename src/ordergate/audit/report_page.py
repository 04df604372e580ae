"""A day's report as one page of HTML that needs nothing else: styles and charts are in it. Pure."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from html import escape
from typing import Final

import msgspec

from ordergate.audit.catalogue import CATALOGUE, UNSEEN, Listed
from ordergate.audit.daily import Tally
from ordergate.audit.daily_lines import KILL, SECTIONS, Line, place_words
from ordergate.audit.stop_figures import Figures

_STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}
h1{font-size:1.6rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .5rem;border-bottom:1px solid #d0d7de}
h3{font-size:1rem;margin:1rem 0 .3rem}
p.sub{color:#57606a;margin:.2rem 0 1rem}table{border-collapse:collapse;width:100%;font-size:.9rem}
td,th{text-align:left;padding:.25rem .6rem .25rem 0;vertical-align:top;border-bottom:1px solid #eaeef2}
td.n{text-align:right;font-variant-numeric:tabular-nums}code{font-size:.85em;word-break:break-all}
.bad{color:#a40e26;font-weight:600}.good{color:#1a7f37;font-weight:600}
.sign{display:grid;grid-template-columns:1fr 1fr 1fr;gap:2rem;margin-top:3rem}
.sign div{border-top:1px solid #1b1f24}
svg text{font:11px system-ui,sans-serif;fill:#57606a}@media print{body{margin:0}}
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'"
"""Nothing is fetched or run, whatever a text in the report says."""
_BLUE: Final = "#2f6fb2"
_RED: Final = "#c4432b"


class Cover(msgspec.Struct, frozen=True, kw_only=True):
    """What the report is of, and how far its ground was proven."""

    day: date
    environment: str
    tenant: str
    accounts: tuple[str, ...]
    made_at: datetime
    version: str
    records: int
    signed: int
    problems: tuple[str, ...]


def page(cover: Cover, tally: Tally) -> str:
    """The whole document."""
    about = " · ".join((cover.tenant, cover.environment, ", ".join(cover.accounts)))
    made = f"made {_time(cover.made_at)} by Ordergate {cover.version}"
    parts = [
        f"<h1>Controls report, {cover.day.isoformat()}</h1>",
        f'<p class="sub">{escape(about)} · {escape(made)}</p>',
        _ground(cover),
        "<h2>Orders and stops</h2>",
        _counts(tally),
        _hours(tally),
        "<h2>Controls that fired</h2>",
        _fired(tally),
        _controls(tally),
        _reasons(tally),
        "<h2>Limits in force</h2>",
        _limits(tally),
        _section(KILL, tally),
        "<h3>How stops that cancel were carried out</h3>",
        _stops(one for one in tally.stops if not one.is_drill and one.engaged.grade.cancels),
        "<h2>Kill drills</h2>",
        _stops(one for one in tally.stops if one.is_drill),
        *[_section(name, tally) for name in SECTIONS if name != KILL],
        '<div class="sign"><div>Name and function</div><div>Date</div><div>Signature</div></div>',
    ]
    title = f"Controls report {cover.day.isoformat()}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _ground(cover: Cover) -> str:
    if cover.problems:
        told = "".join(f"<li>{escape(one)}</li>" for one in cover.problems)
        return f'<p class="bad">The record does not hold; this report proves nothing.</p><ul>{told}</ul>'
    return (
        f'<p><span class="good">The record holds.</span> {cover.records} records of all time, '
        f"{cover.signed} of them under a signed checkpoint.</p>"
    )


def _counts(tally: Tally) -> str:
    rows = [(escape(name), count) for name, count in sorted(tally.counts.items())]
    return _table(("what", "how often"), rows) if rows else "<p>Nothing happened.</p>"


def _hours(tally: Tally) -> str:
    """Accepted and denied, hour by hour."""
    most = max([*tally.accepted_by_hour.values(), *tally.denied_by_hour.values(), 1])
    bars = []
    for hour in range(24):
        for shift, counts, colour in ((0, tally.accepted_by_hour, _BLUE), (13, tally.denied_by_hour, _RED)):
            height = 110 * counts[hour] / most
            bars.append(
                f'<rect x="{30 + hour * 32 + shift}" y="{120 - height:.1f}" width="12" '
                f'height="{height:.1f}" fill="{colour}"><title>{hour:02}h: {counts[hour]}</title></rect>'
            )
        bars.append(f'<text x="{34 + hour * 32}" y="136">{hour:02}</text>')
    key = (
        f'<rect x="30" y="146" width="10" height="10" fill="{_BLUE}"/><text x="46" y="155">accepted</text>'
        f'<rect x="120" y="146" width="10" height="10" fill="{_RED}"/><text x="136" y="155">denied</text>'
    )
    scale = f'<text x="0" y="14">{most}</text><text x="0" y="122">0</text>'
    drawn = scale + "".join(bars) + key
    return f'<svg viewBox="0 0 810 160" role="img" aria-label="Orders by hour, UTC">{drawn}</svg>'


def _fired(tally: Tally) -> str:
    """A bar for every control, those that did not fire included: that is a finding, too."""
    fired = tally.fired
    most = max([*fired.refused.values(), *fired.noted.values(), 1])
    lines = []
    for row, control in enumerate(CATALOGUE):
        y = 20 * row
        lines.append(f'<text x="0" y="{y + 13}">{escape(control.id)} {escape(control.name)}</text>')
        for shift, counts, colour in ((3, fired.refused, _RED), (10, fired.noted, _BLUE)):
            width = 480 * counts[control.id] / most
            lines.append(
                f'<rect x="220" y="{y + shift}" width="{width:.1f}" height="6" fill="{colour}">'
                f"<title>{escape(control.id)}: {counts[control.id]}</title></rect>"
            )
    y = 20 * len(CATALOGUE)
    key = (
        f'<rect x="220" y="{y + 6}" width="10" height="10" fill="{_RED}"/>'
        f'<text x="236" y="{y + 15}">refused</text>'
        f'<rect x="310" y="{y + 6}" width="10" height="10" fill="{_BLUE}"/>'
        f'<text x="326" y="{y + 15}">only noted, in shadow</text>'
    )
    drawn = "".join(lines) + key
    return f'<svg viewBox="0 0 780 {y + 20}" role="img" aria-label="Controls">{drawn}</svg>'


def _controls(tally: Tally) -> str:
    """Each control's numbers apart: a refusal, a note in shadow, a failure that was lifted, another act."""
    head = ("control", "refused", "noted in shadow", "lifted", "acted", "what its acts are")
    fired = tally.fired
    rows = [
        (
            escape(f"{one.id} {one.name}"),
            fired.refused[one.id],
            fired.noted[one.id],
            fired.lifted[one.id],
            _acted(one, tally),
            escape(one.acts),
        )
        for one in CATALOGUE
    ]
    return _table(head, rows)


def _acted(control: Listed, tally: Tally) -> int | str:
    """Nothing where there is nothing to count: that is no zero."""
    return tally.fired.acted[control.id] if control.acts and control.id not in UNSEEN else ""


def _reasons(tally: Tally) -> str:
    fired = tally.fired
    rows = [
        (escape(reason), fired.reasons[reason], fired.noted_reasons[reason])
        for reason, _ in (fired.reasons + fired.noted_reasons).most_common()
    ]
    return _table(("control and reason", "refused", "noted in shadow"), rows) if rows else ""


def _stops(stops: Iterable[Figures]) -> str:
    """When, of what and by whom, and how soon what was under it was gone."""
    head = (
        "engaged (UTC)", "what", "who", "orders under it", "cancels", "until the last was gone",
        "until swept", "until flat", "what failed", "released",
    )  # fmt: skip
    rows = [tuple(map(escape, _figures(one))) for one in stops]
    return _table(head, rows) if rows else "<p>None.</p>"


def _figures(one: Figures) -> tuple[str, ...]:
    engaged, released = one.engaged, one.released
    became = f"{len(one.orders)}: {one.canceled} canceled, {one.ended_otherwise} ended otherwise"
    cancels = f"{one.asked} asked for, {one.sent} left, {one.canceled} proven, {one.refused} refused"
    by = "" if released is None else f"{_time(released.at)} by {released.actor}"
    return (
        _time(engaged.at),
        f"{engaged.grade} of {place_words(engaged.place)}",
        engaged.actor,
        became if engaged.grade.cancels else "it cancels none",
        cancels if engaged.grade.cancels else "",
        _span(one.last_cancel),
        "" if one.swept is None else _span(timedelta(milliseconds=one.swept.took_ms)),
        _span(one.flat),
        "; ".join((*(f"{order} still worked" for order in one.left), *one.not_flat)) or "nothing",
        by or "not yet",
    )


def _span(took: timedelta | None) -> str:
    return "" if took is None else f"{took // timedelta(milliseconds=1) / 1000:.3f} s"


def _limits(tally: Tally) -> str:
    if not tally.limits:
        return "<p>No decision was made.</p>"
    rows = [
        (escape(account), "<br>".join(f"<code>{escape(one)}</code>" for one in sorted(hashes)))
        for account, hashes in sorted(tally.limits.items())
    ]
    return _table(("account", "hashes of the limits that decided"), rows)


def _section(name: str, tally: Tally) -> str:
    lines = tally.sections.get(name, [])
    head = f"<h2>{escape(name)}</h2>"
    if not lines:
        return head + "<p>None.</p>"
    more = f"<p>And {tally.dropped[name]} more.</p>" if tally.dropped[name] else ""
    return head + _table(("when (UTC)", "where", "what", "who", "why"), [_cells(one) for one in lines]) + more


def _cells(line: Line) -> tuple[str, ...]:
    return (_time(line.at), escape(line.where), escape(line.what), escape(line.who), escape(line.why))


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    top = "".join(f"<th>{one}</th>" for one in head)
    body = "".join(
        "<tr>"
        + "".join(f'<td class="n">{one}</td>' if isinstance(one, int) else f"<td>{one}</td>" for one in row)
        + "</tr>"
        for row in rows
    )
    return f"<table><tr>{top}</tr>{body}</table>"
