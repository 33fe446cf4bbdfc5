import json

import pytest

from devise import backbones
from devise.bench import extract


def test_every_runtime_gives_the_same_features(monkeypatch, make_backbone):
    monkeypatch.setattr(backbones, "load", lambda name, **options: make_backbone())
    steps = []
    document = extract.run(n=5, runtimes=("function", "xla"), progress=lambda done, total: steps.append((done, total)))
    assert [row["what"] for row in document["rows"]] == [
        "forward, keras", "forward, function", "forward, xla", "decode and forward, function"]
    assert all(row["pictures"] == 5 and row["pictures_per_second"] > 0 for row in document["rows"])
    assert all(row["max_relative_error"] < 1e-5 for row in document["rows"])
    rates = {row["what"]: row["pictures_per_second"] for row in document["rows"]}
    for name, ratio in document["ratios"].items():
        what = name.removesuffix(" over forward, keras")
        assert ratio == pytest.approx(rates[what] / rates["forward, keras"])
    assert json.loads(json.dumps(document)) == document


def test_without_trained_weights_random_ones_are_timed_and_said(monkeypatch, make_backbone):
    def load(name, *, weights="imagenet", **options):
        if weights == "imagenet":
            raise FileNotFoundError("no weights here")
        network = make_backbone()
        network.weights = "random (seed 0)"
        return network

    monkeypatch.setattr(backbones, "load", load)
    assert extract.run(n=2)["weights"] == "random (seed 0)"
