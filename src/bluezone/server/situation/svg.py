"""Pieces of SVG, and an SVG as a PNG. All colours are attributes, so a downloaded file has them.

Nothing is styled by an inline style: the pages' content policy would drop it.
"""

import importlib.util
import math
import re
from functools import cache
from html import escape
from pathlib import Path
from typing import Final

from bluezone.server.errors import Refused
from bluezone.web.catalogue import _

INK: Final = "#17212e"
QUIET: Final = "#52606f"
LINE: Final = "#c9d2dc"
PAPER: Final = "#ffffff"
ACCENT: Final = "#155fb8"
MOST_PIXELS: Final = 30_000_000  # each takes eight bytes while it is painted
_SIZE: Final = re.compile(r'<svg [^>]*?width="([0-9.]+)" height="([0-9.]+)"')
FONT: Final = "DejaVu Sans, system-ui, Noto Sans, sans-serif"


def number(value: float) -> str:
    """A length, as short as it can be written."""
    return f"{value:.1f}".rstrip("0").rstrip(".")


def text(
    x: float,
    y: float,
    words: object,
    *,
    size: float = 12,
    anchor: str = "start",
    fill: str = INK,
    bold: bool = False,
    halo: bool = False,
) -> str:
    """A line of text; `anchor`: start, middle or end; `halo`: white around it."""
    weight = ' font-weight="700"' if bold else ""
    around = ' paint-order="stroke" stroke="#fff" stroke-width="3"' if halo else ""
    at = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return (
        f'<text x="{number(x)}" y="{number(y)}" font-size="{number(size)}" fill="{fill}"'
        f"{at}{weight}{around}>{escape(str(words))}</text>"
    )


def line(
    x1: float, y1: float, x2: float, y2: float, *, stroke: str = LINE, width: float = 1,
    dashes: str = "",
) -> str:  # fmt: skip
    """A straight line."""
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<line x1="{number(x1)}" y1="{number(y1)}" x2="{number(x2)}" y2="{number(y2)}"'
        f' stroke="{stroke}" stroke-width="{number(width)}"{dashed}/>'
    )


def rect(
    x: float, y: float, width: float, height: float, fill: str, *, stroke: str = "none",
    title: str = "",
) -> str:  # fmt: skip
    """A rectangle; `title`: what it says when one points at it."""
    shape = (
        f'<rect x="{number(x)}" y="{number(y)}" width="{number(width)}"'
        f' height="{number(height)}" fill="{fill}" stroke="{stroke}"'
    )
    return f"{shape}><title>{escape(title)}</title></rect>" if title else f"{shape}/>"


def hatches() -> str:
    """The fills that tell series apart without colour: `url(#hatch-1)` to `url(#hatch-3)`."""
    return (
        '<pattern id="hatch-1" width="6" height="6" patternUnits="userSpaceOnUse">'
        '<rect width="6" height="6" fill="#f2b36b"/>'
        '<path d="M0 6L6 0" stroke="#7a4300" stroke-width="1.5"/></pattern>'
        '<pattern id="hatch-2" width="6" height="6" patternUnits="userSpaceOnUse">'
        '<rect width="6" height="6" fill="#e3eaf1"/>'
        '<circle cx="3" cy="3" r="1.3" fill="#52606f"/></pattern>'
        '<pattern id="hatch-3" width="6" height="6" patternUnits="userSpaceOnUse">'
        '<rect width="6" height="6" fill="#bfe0cc"/>'
        '<path d="M0 3H6" stroke="#17663a" stroke-width="1.5"/></pattern>'
    )


FILLS: Final = ("#155fb8", "url(#hatch-1)", "url(#hatch-2)", "url(#hatch-3)", "#17212e")


def document(
    width: float, height: float, body: str, *, title: str, description: str = "",
    zoom: float = 1.0, role: str = "img",
) -> str:  # fmt: skip
    """A whole picture on white paper. `role` "group" leaves its links to the keyboard."""
    described = f"<desc>{escape(description)}</desc>" if description else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{number(width * zoom)}"'
        f' height="{number(height * zoom)}" viewBox="0 0 {number(width)} {number(height)}"'
        f' role="{role}" aria-label="{escape(title)}" font-family="{FONT}">'
        f"<title>{escape(title)}</title>{described}"
        f'<rect width="{number(width)}" height="{number(height)}" fill="{PAPER}"/>{body}</svg>'
    )


def png(svg: str) -> bytes:
    """The picture in pixels, twice as fine where that is not too many. Takes a while: call it in
    a thread. Raises Refused (422): as pixels it would fill the memory."""
    import resvg_py

    found = _SIZE.match(svg)
    assert found is not None  # noqa: S101 - what `document` writes
    zoom = min(2.0, math.sqrt(MOST_PIXELS / (float(found[1]) * float(found[2]))))
    if zoom < 1:
        raise Refused(
            422,
            "picture-too-large",
            _(
                "As PNG this picture would be too large. Take the SVG, or choose a shorter time or"
                " a smaller unit."
            ),
        )
    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=svg,
            zoom=zoom,
            background=PAPER,
            skip_system_fonts=True,
            font_dirs=[str(_fonts())],
            sans_serif_family="DejaVu Sans",
            font_family="DejaVu Sans",
        )
    )


@cache
def _fonts() -> Path:
    """DejaVu Sans, which knows Vietnamese, as matplotlib brings it: a server may have no font."""
    found = importlib.util.find_spec("matplotlib")
    assert found is not None and found.origin is not None  # noqa: S101, PT018 - a dependency
    return Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"
