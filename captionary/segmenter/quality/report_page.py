"""The report as one HTML page that needs nothing else; pictures are part of it."""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from string import Template

from captionary.segmenter.quality.report import NounReport, PictureReport, Place, Report, Suggestion

TEMPLATE = Path(__file__).with_name("report.html")

MOST_PICTURES, MOST_UNSUPPORTED = 60, 400
"""What is shown at most; all of it is in the JSON."""


def page_of(report: Report) -> str:
    """The page, as HTML."""
    nouns = (_noun(item, report.thumbnails) for item in report.nouns)
    parts = {
        "asked": str(report.asked),
        "separation": f"{report.separation:.3f}",
        "hope": _hope(report.falls),
        "nouns": "\n".join(nouns),
        "pictures": _pictures(report.pictures, report.thumbnails),
        "next": "\n".join(_suggestion(item, report.thumbnails) for item in report.next),
        "unsupported": _unsupported(report.unsupported),
    }
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(parts)


def _hope(falls: float) -> str:
    """What the estimate rests on."""
    if not falls:
        return (
            "In this dictionary nouns of many regions are told apart no better than those of few, "
            "so it promises nothing."
        )
    share = f"{100 * falls:.0f}\N{NO-BREAK SPACE}%"
    return f"In this dictionary a noun of twice as many regions lacks {share} less."


def _noun(item: NounReport, thumbnails: Mapping[str, bytes]) -> str:
    confused = ", ".join(f"{escape(noun)} ({count})" for noun, count in item.confused.items())
    mark = ' class="doubtful"' if item.doubtful else ""
    return (
        f"<tr{mark}><th>{escape(item.noun)}</th>"
        f'<td class="separation">{item.separation:.2f} ± {item.error:.2f}</td>'
        f'<td>{item.pictures}</td><td>{item.spread:.2f}</td><td class="words">{confused}</td>'
        f"<td>{_places(item.misfits, thumbnails)}</td></tr>"
    )


def _suggestion(item: Suggestion, thumbnails: Mapping[str, bytes]) -> str:
    return (
        f"<tr><th>{escape(item.noun)}</th><td>{100 * item.lacking:.1f}</td>"
        f"<td>{100 * item.gain:.3f}</td>"
        f"<td>{_places(item.point, thumbnails)}</td></tr>"
    )


def _places(places: Iterable[Place], thumbnails: Mapping[str, bytes]) -> str:
    return f'<div class="places">{"".join(_place(place, thumbnails) for place in places)}</div>'


def _place(place: Place, thumbnails: Mapping[str, bytes]) -> str:
    """A picture with a frame around a region of it."""
    height, width = place.size_hw
    left, top, right, bottom = place.box_xyxy
    edges = {
        "left": left / width,
        "top": top / height,
        "width": (right - left) / width,
        "height": (bottom - top) / height,
    }
    style = ";".join(f"{edge}:{100 * share:.1f}%" for edge, share in edges.items())
    title = f"{place.image_id}: {place.score:.2f}"
    return (
        f'<span class="place" title="{escape(title)}">{_image(place.image_id, thumbnails)}'
        f'<i style="{style}"></i></span>'
    )


def _pictures(pictures: tuple[PictureReport, ...], thumbnails: Mapping[str, bytes]) -> str:
    if not pictures:
        return "<p>None.</p>"
    figures = "\n".join(
        f"<figure>{_image(item.image_id, thumbnails)}<figcaption><b>{escape(item.image_id)}</b>"
        f"{item.support:.2f}: {escape(' / '.join(item.captions))}</figcaption></figure>"
        for item in pictures[:MOST_PICTURES]
    )
    return f'{_more(len(pictures), MOST_PICTURES)}<div class="pictures">\n{figures}\n</div>'


def _unsupported(tags: tuple[tuple[str, str], ...]) -> str:
    if not tags:
        return "<p>None.</p>"
    rows = "\n".join(
        f'<tr><th>{escape(noun)}</th><td class="words">{escape(image_id)}</td></tr>'
        for noun, image_id in tags[:MOST_UNSUPPORTED]
    )
    return f'{_more(len(tags), MOST_UNSUPPORTED)}<div class="table"><table>\n{rows}\n</table></div>'


def _more(count: int, shown: int) -> str:
    return f'<p class="faint">The first {shown} of {count}.</p>' if count > shown else ""


def _image(image_id: str, thumbnails: Mapping[str, bytes]) -> str:
    data = b64encode(thumbnails.get(image_id, b"")).decode("ascii")
    return f'<img src="data:image/jpeg;base64,{data}" alt="{escape(image_id)}" loading="lazy">'
