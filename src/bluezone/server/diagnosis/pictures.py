"""The picture of a one-time code, for a patient's camera."""

import segno
from markupsafe import Markup


def qr(link: str) -> Markup:
    """A QR code as SVG, to stand in a page."""
    return Markup(segno.make(link, error="m").svg_inline(scale=5, border=4))  # noqa: S704 - digits
