"""What is looked at of every drawing: the figure before it is saved, and the margins of the file."""

import numpy as np
import pytest
from PIL import Image

from devise.plots import sheets, style


@pytest.fixture
def figures(monkeypatch):
    """The figures that are saved, kept for a look at what is on them."""
    kept, save = [], style.save
    for room in (style, sheets):
        monkeypatch.setattr(room, "save", lambda figure, path: kept.append(figure) or save(figure, path))
    return kept


@pytest.fixture(scope="session")
def margins_are_white():
    """Whether nothing of a picture is cut off, and something is drawn at all."""
    def look(path, margin=3):
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        edge = np.ones(pixels.shape[:2], bool)
        edge[margin:-margin, margin:-margin] = False
        return (pixels[edge] == 255).all() and (pixels < 100).any()

    return look
