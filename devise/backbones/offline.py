"""Which backbones' trained weights are on this machine, and how to bring the others; nothing is loaded."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from devise.backbones import efficientnet_lite, keras_applications, registry
from devise.errors import MissingDependency, pip_line
from devise.storage import user_home


class Weights(NamedTuple):
    """Where a backbone's trained weights are, or how to bring them.

    Attributes:
        place: the file or folder, None where they are not on this machine.
        bring: a command or a sentence.
    """

    place: Path | None
    bring: str


def weights_of(name: str) -> Weights:
    """Where the trained weights of a backbone are.

    Args:
        name: one of `names()`, "-stretched" or not.
    Returns:
        Weights.

    >>> weights_of("vgg16").bring
    'devise fetch vgg16'
    """
    name = registry.plain_name(name)
    source = registry.BUILDERS[name].__module__.rpartition(".")[2]
    return SOURCES.get(source, lambda name: Weights(None, "load it once on a machine with internet"))(name)


def _packaged(name):
    try:
        return Weights(efficientnet_lite.package_file(name), "")
    except MissingDependency as error:
        return Weights(None, str(error).partition(": ")[2])


def _of_keras(name):
    """VGG16's file, or one in the cache of Keras, whose names follow no rule: the longest of ours in it counts."""
    if name == "vgg16":
        return Weights(keras_applications.local_weights(), "devise fetch vgg16")
    cache = Path(os.environ.get("KERAS_HOME") or user_home() / ".keras") / "models"
    for file in sorted(cache.glob("*.h5")):
        sign = _letters(file.name)
        meant = [known for known in keras_applications.NETWORKS if _letters(known) in sign]
        if "notop" not in sign and max(meant, key=len, default=None) == name:
            return Weights(file, "")
    return Weights(None, f"devise extract samples --backbone {name} with internet, or bring Keras' file to {cache}")


def _of_keras_hub(name):
    cache = Path(os.environ.get("KAGGLEHUB_CACHE") or user_home() / ".cache/kagglehub")
    folder = next(iter(sorted(cache.glob(f"models/keras/*/keras/{name}"))), None)
    return Weights(folder, f"{pip_line('hub')} and devise extract samples --backbone {name} with internet")


def _letters(name):
    return re.sub(r"[^a-z0-9]", "", name.lower())


SOURCES = {"efficientnet_lite": _packaged, "keras_applications": _of_keras, "keras_hub": _of_keras_hub}
