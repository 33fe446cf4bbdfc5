"""What holds for every kind of head: the file on disk and the errors about it."""

import json

import numpy as np
import pytest

from devise.training import HeadConfig, MlpHead, ProjectionHead, RidgeHead, load_head
from devise.training.projection import STARTS


def heads():
    rng = np.random.default_rng(0)
    features, vectors = rng.standard_normal((12, 24)), rng.standard_normal((3, 5))
    ridge = RidgeHead(penalty=1.0).fit(features, np.arange(12) % 3, vectors)
    projections = [ProjectionHead(5, start=start).fit(features, np.arange(12) % 3)
                   for start in STARTS if start != "identity"]
    return [MlpHead(HeadConfig(dim=5, sizes=(16,))).build(24), *projections, ridge]


each_head = pytest.mark.parametrize("head", heads(), ids=lambda head: head.kind)


def rewrite(path, **changes):
    with np.load(path) as saved:
        entries = {name: saved[name] for name in saved.files}
    entries.update(changes)
    np.savez(path, **{name: value for name, value in entries.items() if value is not None})


@each_head
def test_load_head_finds_the_kind(head, tmp_path):
    head.save(tmp_path / "head.npz")
    again = load_head(tmp_path / "head.npz")
    assert type(again) is type(head)
    assert again.config == head.config and again.config["kind"] == head.kind
    assert (again.input_dim, again.dim) == (24, 5)


@each_head
def test_embeddings_are_unit_rows_and_survive_saving(head, tmp_path):
    features = np.random.default_rng(1).standard_normal((7, 24))
    head.save(tmp_path / "head.npz")
    rows = load_head(tmp_path / "head.npz").embed(features)
    assert rows.dtype == np.float32 and rows.shape == (7, 5)
    np.testing.assert_allclose((rows ** 2).sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(rows, head.embed(features))
    np.testing.assert_allclose(rows * np.linalg.norm(head.outputs(features), axis=1, keepdims=True),
                               head.outputs(features), atol=1e-5)


@each_head
def test_a_copy_embeds_the_same_and_shares_no_array(head):
    features = np.random.default_rng(1).standard_normal((7, 24))
    copy = head.copy()
    assert type(copy) is type(head) and copy.config == head.config
    np.testing.assert_array_equal(copy.embed(features), head.embed(features))
    mine, theirs = head.weights(), copy.weights()
    assert not any(np.shares_memory(mine[name], theirs[name]) for name in mine)


def test_an_empty_head_has_no_copy():
    with pytest.raises(ValueError, match="no weights yet"):
        ProjectionHead(5).copy()


@each_head
def test_the_file_holds_no_pickle(head, tmp_path):
    head.save(tmp_path / "head.npz")
    with np.load(tmp_path / "head.npz", allow_pickle=False) as saved:
        assert all(saved[name].dtype != object for name in saved.files)


@each_head
def test_weights_of_another_shape_are_refused(head, tmp_path):
    path = tmp_path / "head.npz"
    head.save(path)
    rewrite(path, config=np.array(json.dumps({**head.config, "input_dim": 30})))
    with pytest.raises(ValueError, match=r"kernel has shape \(24, \d+\), expected \(30, \d+\)"):
        load_head(path)


@each_head
def test_weights_that_are_not_finite_are_refused(head, tmp_path):
    path = tmp_path / "head.npz"
    head.save(path)
    with np.load(path) as saved:
        name = next(name for name in saved.files if "kernel" in name)
        broken = np.full_like(saved[name], np.nan)
    rewrite(path, **{name: broken})
    with pytest.raises(ValueError, match="kernel holds NaN"):
        load_head(path)


@each_head
def test_missing_weights_are_refused(head, tmp_path):
    path = tmp_path / "head.npz"
    head.save(path)
    with np.load(path) as saved:
        name = next(name for name in saved.files if "bias" in name)
    rewrite(path, **{name: None})
    with pytest.raises(ValueError, match=f"expected .*{name}"):
        load_head(path)


def test_a_head_of_another_kind_is_refused(tmp_path):
    *_, ridge = heads()
    ridge.save(tmp_path / "head.npz")
    with pytest.raises(ValueError, match="kind 'ridge', expected 'mlp': use load_head"):
        MlpHead.load(tmp_path / "head.npz")
    rewrite(tmp_path / "head.npz", config=np.array('{"kind": "forest"}'))
    with pytest.raises(ValueError, match="kind 'forest': expected one of mlp, projection, ridge"):
        load_head(tmp_path / "head.npz")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="head.npz does not exist"):
        load_head(tmp_path / "head.npz")


@pytest.mark.parametrize("content", [b"", b"no head", b"PK\x03\x04 cut short"])
def test_a_damaged_file_is_refused(content, tmp_path):
    (tmp_path / "head.npz").write_bytes(content)
    with pytest.raises(ValueError, match="head.npz can't be read as a head"):
        load_head(tmp_path / "head.npz")


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_pickled_content_is_never_run(tmp_path):
    np.savez(tmp_path / "head.npz", config=np.array([Hostile(str(tmp_path / "run"))], dtype=object))
    with pytest.raises(ValueError, match="can't be read as a head"):
        load_head(tmp_path / "head.npz")
    assert not (tmp_path / "run").exists()
