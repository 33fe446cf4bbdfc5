"""The photographs that scikit-image's wheel carries: real pictures on any machine, without a download."""

from importlib.util import find_spec
from pathlib import Path

from devise.datasets.base import ImageSet
from devise.errors import MissingDependency, pip_line

# of its test images, those that are photographs of things
PHOTOGRAPHS = ("astronaut.png", "brick.png", "camera.png", "chelsea.png", "clock_motion.png", "coffee.png",
               "coins.png", "grass.png", "gravel.png", "hubble_deep_field.jpg", "moon.png",
               "motorcycle_left.png", "retina.jpg", "rocket.jpg")


def samples():
    """An astronaut, a cat (chelsea), a coffee cup, a rocket …, without labels.

    Returns:
        ImageSet
    Raises:
        MissingDependency: if scikit-image is not installed.

    >>> samples().paths[0]  # doctest: +SKIP
    'astronaut.png'
    """
    found = find_spec("skimage")  # located, not imported: only its files are wanted
    if found is None:
        raise MissingDependency("scikit-image carries the sample pictures and is not installed: "
                                f"{pip_line('demo')}")
    root = Path(found.origin).parent / "data"
    paths = tuple(name for name in PHOTOGRAPHS if (root / name).is_file())
    return ImageSet(paths=paths, labels=[-1] * len(paths), label_names=(), root=root)
