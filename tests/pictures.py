"""Pictures of the documentation: renewed by the tests that take them, with $BLUEZONE_PICTURES."""

import io
import os
from pathlib import Path

from PIL import Image

_FOLDER = Path(__file__).parents[1] / "docs" / "pictures"


def wanted() -> bool:
    """Whether this run renews them."""
    return bool(os.environ.get("BLUEZONE_PICTURES"))


def keep(screenshot: bytes, name: str) -> None:
    """Keep a screenshot (PNG) as `docs/pictures/NAME.png`, in few colours."""
    path = _FOLDER / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.open(io.BytesIO(screenshot)).convert("RGB")
    picture.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
