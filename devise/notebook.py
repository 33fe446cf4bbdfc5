"""Pictures beside what was said of them, as HTML for a notebook.

Pictures are within the page, as small JPEGs, so that a notebook can be sent on; their number is bounded.
"""

import base64
import html
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from devise.datasets.images import read_image

SIDE = 128  # of a thumbnail, pixels
MOST = 40  # pictures in one view; some 5 kB each
STYLE = ("display:inline-block;vertical-align:top;width:{width}px;margin:4px;font:12px/1.35 sans-serif;"
         "overflow-wrap:anywhere")


def thumbnail(file: str | Path | NDArray[np.uint8], side: int = SIDE) -> str:
    """A picture's file, or its pixels, as a data URI, no side longer than `side` pixels; empty where it can't be read.

    >>> thumbnail("nowhere.jpg")
    ''
    """
    try:
        picture = Image.fromarray(file if isinstance(file, np.ndarray) else read_image(file))
    except (OSError, ValueError):
        return ""
    picture.thumbnail((side, side), reducing_gap=3)
    content = io.BytesIO()
    picture.save(content, format="JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"


def gallery(title: str, cards: Iterable[tuple[Any, Sequence[str]]]) -> str:
    """Pictures in a flow under a title, each with lines beneath it.

    Args:
        title: text.
        cards: (file or None, lines) pairs, best first; of more than MOST the others are counted.

    >>> gallery("cats", [(None, ["a < b"])]).count("a &lt; b")
    1
    """
    cards = list(cards)
    parts = [f'<div style="font:13px sans-serif">{html.escape(title)}</div>', *map(_card, cards[:MOST])]
    if len(cards) > MOST:
        parts.append(f'<div style="font:12px sans-serif">and {len(cards) - MOST:,} more</div>')
    return f"<div>{''.join(parts)}</div>"


def _card(card):
    file, lines = card
    source = thumbnail(file) if file is not None else ""
    shown = (f'<img src="{source}" alt="{html.escape(str(lines[0]) if lines else "")}" '
             f'style="max-width:{SIDE}px;max-height:{SIDE}px">' if source else
             f'<div style="width:{SIDE}px;height:{SIDE // 2}px;opacity:.5">no picture here</div>')
    text = "<br>".join(html.escape(str(line)) for line in lines)
    return f'<div style="{STYLE.format(width=SIDE + 8)}">{shown}<div>{text}</div></div>'
