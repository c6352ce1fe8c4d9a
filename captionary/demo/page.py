"""Writes the demo's HTML page, with its pictures as files beside it; it fetches nothing."""

import shlex
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from captionary.demo.panels import SIDE, Gallery, Row
from captionary.pictograms.dataset_folder import SPRITES
from captionary.segmenter.confusion import percent

TEMPLATE = Path(__file__).with_name("page.html")
PAGE, PICTURES = "index.html", "pictures"


def write_page(folder: Path, gallery: Gallery, figures: Mapping[str, Any]) -> None:
    """Write the page and its pictures into a folder."""
    (folder / PICTURES).mkdir()
    shown = (
        _write_row(row, folder, f"shown-{number}") for number, row in enumerate(gallery.shown, 1)
    )
    parts = {
        "table": _format_table(figures),
        "captioned_row": _write_row(gallery.captioned, folder, "captioned"),
        "shown_rows": "\n".join(shown),
        "evidence": _write_evidence(gallery.evidence, folder, "evidence"),
        "taught_row": _write_row(gallery.taught, folder, "taught"),
        "grown_row": _write_row(gallery.grown, folder, "grown"),
        "lesson": _write_evidence(gallery.lesson, folder, "lesson"),
    }
    words = {"folder": shlex.quote(str(folder)), "sprites": SPRITES, **_format_words(figures)}
    template = Template(TEMPLATE.read_text(encoding="utf-8"))
    html = template.substitute(parts, **{name: escape(text) for name, text in words.items()})
    (folder / PAGE).write_text(html, encoding="utf-8")


def _format_words(figures: Mapping[str, Any]) -> dict[str, str]:
    """The words and numbers that the page's text has, by the names of its placeholders."""
    settings, growth, seconds = (figures[part] for part in ("settings", "growth", "seconds"))
    counts = ("seed", "seen", "novel", "captioned", "held_out", "taught", "asked", "classes")
    shares = ("text", "before", "after")
    return {
        **{name: str(settings[name]) for name in counts},
        **{name: f"{percent(growth[name])}\N{NO-BREAK SPACE}%" for name in shares},
        "encoder": settings["encoder"],
        "newcomer": growth["noun"],
        "teach_seconds": f"{seconds['teach']:.1f}",
        "total": f"{sum(seconds.values()):.0f}",
    }


def _format_table(figures: Mapping[str, Any]) -> str:
    """The rows of the table of mean IoU, as HTML."""
    return "\n".join(
        f"<tr><th>{name} nouns{extra}</th>"
        + "".join(f"<td>{percent(value)}</td>" for value in figures[name].values())
        + "</tr>"
        for name, extra in (("seen", " and grounds"), ("novel", ""))
    )


def _write_evidence(row: Row, folder: Path, name: str) -> str:
    """As `_write_row`, with a heading; "" where there is no evidence to show."""
    if not row:
        return ""
    heading = f"<h3>Why {escape(row[0].title)}? It looks like these</h3>"
    return f"{heading}\n{_write_row(row, folder, name)}"


def _write_row(row: Row, folder: Path, name: str) -> str:
    """Write the pictures of a row into files, and return its HTML."""
    figures = []
    for number, panel in enumerate(row, 1):
        source = f"{PICTURES}/{name}-{number}.png"
        panel.picture.save(folder / source)
        title, text = escape(panel.title), escape(panel.text)
        alternative = ": ".join(filter(None, (title, text)))
        figures.append(
            f'<figure><img src="{source}" width="{SIDE}" height="{SIDE}" alt="{alternative}">'
            f"<figcaption>{f'<b>{title}</b>' * bool(title)}{text}</figcaption></figure>"
        )
    return '<div class="row">\n' + "\n".join(figures) + "\n</div>"
