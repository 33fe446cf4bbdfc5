"""Pictures a second through the frozen network: each runtime beside Keras' own `predict`."""

import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from devise import backbones, features
from devise.datasets import from_folder, read_image

SIZE = (300, 400)  # of the pictures that are drawn where none are given


def run(*, backbone="efficientnet_lite0", images=None, n=96, runtimes=("function",), progress=None):
    """Time the forward pass alone, and the whole of extraction with decoding.

    Runtimes take turns, three rounds each, after one round that compiles; the median counts.

    Args:
        backbone: a name; without trained weights at hand it is timed with random ones.
        images: ImageSet; None draws n pictures of noise, 400 × 300, as JPEG files.
        n: how many pictures.
        runtimes: beside "keras"; "xla" is another, which on a CPU takes ten times as long.
    Returns:
        {"bench": "extract", "rows": [{"what", "pictures", "pictures_per_second", "max_relative_error"}],
         "ratios": {name: times Keras' predict}}.
    """
    with tempfile.TemporaryDirectory() as folder:
        images = images or _drawn(Path(folder), n)
        images = images.subset(np.arange(min(n, len(images))))
        networks = {runtime: _load(backbone, runtime) for runtime in ("keras", *runtimes)}
        batch = np.stack([networks["keras"].prepare(read_image(images.file(row))) for row in range(len(images))])
        seconds, answers = {}, {}
        steps = list(networks) * 4
        for step, runtime in enumerate(steps, start=1):
            started = time.perf_counter()
            answers[runtime] = networks[runtime].features(batch)
            seconds.setdefault(runtime, []).append(time.perf_counter() - started)
            if progress:
                progress(step, len(steps) + 1)
        rows = [{"what": f"forward, {runtime}", "pictures": len(batch),
                 "pictures_per_second": len(batch) / float(np.median(seconds[runtime][1:])),
                 "first_call_s": seconds[runtime][0],
                 "max_relative_error": _relative_error(answers[runtime], answers["keras"])} for runtime in networks]
        rows.append(_whole(images, _load(backbone, "function"), batch))
    rates = {row["what"]: row["pictures_per_second"] for row in rows}
    ratios = {f"{what} over forward, keras": rate / rates["forward, keras"] for what, rate in rates.items()
              if what != "forward, keras"}
    return {"bench": "extract", "backbone": networks["keras"].name, "weights": networks["keras"].weights,
            "rows": rows, "ratios": ratios}


def _load(name, runtime):
    try:
        return backbones.load(name, runtime=runtime)
    except (OSError, ImportError):  # the arithmetic is the same without the trained numbers
        return backbones.load(name, weights=None, runtime=runtime)


def _whole(images, network, batch):
    """Decoding, preparing and computing overlapped, as `features.compute` does it."""
    network.features(batch[:1])  # compiled before the clock starts
    started = time.perf_counter()
    table = features.compute(images, network)
    rate = len(table) / (time.perf_counter() - started)
    return {"what": "decode and forward, function", "pictures": len(table), "pictures_per_second": rate,
            "first_call_s": None, "max_relative_error": _relative_error(table.matrix, network.features(batch))}


def _relative_error(found, expected):
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def _drawn(folder, n):
    """Pictures of smoothed noise: JPEG files that take about as long to decode as photographs."""
    random = np.random.default_rng(0)
    for number in range(n):
        coarse = random.integers(0, 256, (SIZE[0] // 10, SIZE[1] // 10, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize(SIZE[::-1], Image.Resampling.BICUBIC)
        picture.save(folder / f"{number:04}.jpg", quality=90)
    return from_folder(folder)
