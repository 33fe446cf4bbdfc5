"""What holds for every kind of head: embeddings, errors and the file on disk; a new head joins HEADS."""

import json

import numpy as np
import pytest

from devise import heads
from devise.arrays import pack
from devise.heads import base
from devise.heads.projection import STARTS

WIDTH, CLASSES = 24, 6
RANDOM = np.random.default_rng(0)
FEATURES, LABELS, VECTORS = RANDOM.normal(size=(48, WIDTH)), np.arange(48) % CLASSES, RANDOM.normal(size=(CLASSES, 5))
QUERIES = np.random.default_rng(1).normal(size=(17, WIDTH))
CLASSIFIER = RANDOM.normal(size=(WIDTH, CLASSES)), RANDOM.normal(size=CLASSES)
KERNEL, MAP = (pack(RANDOM.normal(size=shape)) for shape in ((CLASSES, WIDTH), (WIDTH + CLASSES, 5)))
MASK = np.arange(CLASSES) == 2


def learned(head):
    return lambda: head.fit(FEATURES, LABELS, VECTORS)


def mlp(**options):
    return heads.MlpHead(heads.HeadConfig(dim=5, **options)).build(WIDTH, seed=3)


def joint():
    return heads.JointHead({
        "kernel": KERNEL.rows, "kernel_scale": KERNEL.scale, "bias": CLASSIFIER[1],
        "feature_mean": np.full(WIDTH, 0.1), "class_mean": np.full(CLASSES, 0.2), "map": MAP.rows,
        "map_scale": MAP.scale})


HEADS = {
    "raw": lambda: heads.RawHead(WIDTH),
    "mlp": lambda: mlp(sizes=(16,)),
    "mlp, linear": lambda: mlp(sizes=(), batch_norm=False),
    "hidden": lambda: mlp(sizes=(16, 8)).inner["hidden"],
    **{start: lambda start=start: heads.ProjectionHead(WIDTH if start == "identity" else 5, start=start, power=0.5)
       .fit(FEATURES, LABELS) for start in STARTS},
    "ridge": learned(heads.RidgeHead(1.0)),
    "eszsl": learned(heads.ESZSL()),
    "sae": learned(heads.SAE()),
    "ale": learned(heads.ALE()),
    "sje": learned(heads.SJE()),
    "hinge rank": learned(heads.HingeRankHead()),
    "conse": lambda: heads.ConseHead(*CLASSIFIER, VECTORS, top=3),
    "conse, masked": lambda: heads.ConseHead(*CLASSIFIER, VECTORS, top=2, temperature=0.5, mask=MASK),
    "conse of logits": lambda: heads.ConseHead.of_logits(RANDOM.normal(size=(WIDTH, 5)), mask=np.arange(WIDTH) == 2),
    "joint": joint,
    "extended": lambda: heads.ExtendedHead(joint(), np.linspace(-1, 1, (CLASSES + 5) * 3)
                                              .reshape(-1, 3), np.full(3, 0.4)),
    "extended, learnt": lambda: heads.ExtendedHead.learnt(joint(), FEATURES, LABELS, joint().embed(QUERIES)),
    "lift": lambda: heads.LiftHead(*CLASSIFIER),
    "lift, masked": lambda: heads.LiftHead(*CLASSIFIER, temperature=2.0, mask=MASK),
}


@pytest.fixture(params=HEADS)
def head(request):
    return HEADS[request.param]()


def rewrite(path, **changes):
    with np.load(path) as saved:
        entries = {name: saved[name] for name in saved.files}
    entries.update(changes)
    np.savez(path, **{name: value for name, value in entries.items() if value is not None})


def test_every_kind_is_here():
    assert {make().kind for make in HEADS.values()} == set(base.KINDS)


def test_embeddings_are_unit_rows_in_the_direction_of_the_outputs(head):
    rows, outputs = head.embed(QUERIES), head.outputs(QUERIES)
    assert rows.dtype == outputs.dtype == np.float32 and rows.shape == outputs.shape == (17, head.dim)
    assert head.input_dim == WIDTH
    lengths = np.sqrt((outputs.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(np.sqrt((rows.astype(np.float64) ** 2).sum(axis=1)), 1, atol=1e-6)
    np.testing.assert_allclose(rows * lengths, outputs, atol=1e-5)


def test_one_image_alone_is_embedded_as_among_others(head):
    alone = np.concatenate([head.embed(row[None]) for row in QUERIES])
    np.testing.assert_allclose(alone, head.embed(QUERIES), atol=1e-5)


def test_blocks_from_the_disk_change_nothing(head, tmp_path, monkeypatch):
    whole = head.embed(QUERIES)
    monkeypatch.setattr("devise.heads.base.BLOCK_ROWS", 5)
    np.save(tmp_path / "features.npy", QUERIES)
    np.testing.assert_allclose(head.embed(np.load(tmp_path / "features.npy", mmap_mode="r")), whole, atol=1e-5)


def test_no_images_give_no_rows(head):
    assert head.embed(QUERIES[:0]).shape == head.outputs(QUERIES[:0]).shape == (0, head.dim)


def test_a_list_is_taken_as_an_array_is(head):
    np.testing.assert_array_equal(head.embed(QUERIES.tolist()), head.embed(QUERIES))


def test_other_columns_are_refused_with_what_was_expected(head):
    with pytest.raises(ValueError, match=f"{head.takes} have 23 columns, expected 24"):
        head.embed(QUERIES[:, 1:])
    with pytest.raises(ValueError, match=f"{head.takes} have shape"):
        head.embed(QUERIES[0])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_are_refused(head, bad):
    broken = QUERIES.copy()
    broken[2, 0] = bad
    for use in (head.embed, head.outputs):
        with pytest.raises(ValueError, match=f"{head.takes} hold NaN or infinity in 1 rows, the first is row 2"):
            use(broken)


def test_nothing_given_is_changed(head):
    given = QUERIES.astype(np.float32)
    before = given.copy()
    head.embed(given), head.outputs(given)
    np.testing.assert_array_equal(given, before)


def test_load_head_gives_the_same_head(head, tmp_path):
    head.save(tmp_path / "head.npz")
    for again in (heads.load_head(tmp_path / "head.npz"), type(head).load(tmp_path / "head.npz")):
        assert type(again) is type(head) and again.comparison == head.comparison and again.takes == head.takes
        assert again.config == head.config and again.config["kind"] == head.kind
        assert (again.input_dim, again.dim) == (WIDTH, head.dim)
        np.testing.assert_array_equal(again.embed(QUERIES), head.embed(QUERIES))


def test_the_config_is_ready_for_json(head):
    assert json.loads(json.dumps(head.config)) == head.config
    assert {"kind", "input_dim", "dim"} <= set(head.config)
    assert (head.config["input_dim"], head.config["dim"]) == (head.input_dim, head.dim)


def test_a_copy_embeds_the_same_and_shares_no_array(head):
    copy = head.copy()
    assert type(copy) is type(head) and copy.config == head.config
    np.testing.assert_array_equal(copy.embed(QUERIES), head.embed(QUERIES))
    mine, theirs = head.weights(), copy.weights()
    assert not any(np.shares_memory(mine[name], theirs[name]) for name in mine)


def test_layers_give_what_the_head_gives_or_it_says_that_it_is_no_network(head):
    keras = pytest.importorskip("keras")
    if head.kind in ("conse", "lift"):
        with pytest.raises(ValueError, match=f"the {head.kind} head is no network"):
            head.keras_layers()
        return
    outputs = keras.ops.convert_to_tensor(QUERIES.astype(np.float32))
    for layer in head.keras_layers():
        outputs = layer(outputs, training=False) if "dropout" in layer.name or "norm" in layer.name else layer(outputs)
    np.testing.assert_allclose(outputs, head.outputs(QUERIES), atol=1e-5)


def test_a_head_trains_by_steps_or_says_that_it_does_not(head):
    if head.trains:
        assert head.keras_model().trainable_weights
        assert head.begin(FEATURES, LABELS, 0) is head
        return
    for use in (head.keras_model, lambda: head.begin(FEATURES, LABELS, 0)):
        with pytest.raises(ValueError, match=f"the {head.kind} head.* is a closed form"):
            use()


def test_spaces_on_the_way_are_heads_of_the_same_features(head):
    assert set(head.inner) == ({"hidden"} if head.kind == "mlp" and head.config["sizes"] else set())
    assert all(inner.input_dim == head.input_dim for inner in head.inner.values())


def test_the_file_holds_no_pickle(head, tmp_path):
    head.save(tmp_path / "head.npz")
    with np.load(tmp_path / "head.npz", allow_pickle=False) as saved:
        assert all(saved[name].dtype != object for name in saved.files)


@pytest.mark.parametrize("damage", ["shape", "nan", "missing", "another"])
def test_weights_that_do_not_fit_are_refused(head, damage, tmp_path):
    path, weights = tmp_path / "head.npz", head.weights()
    head.save(path)
    if damage == "another" or not weights:
        changes, message = {"stranger": np.ones(2)}, "expected"
    else:
        name = sorted(weights)[-1]
        changes, message = {
            "shape": ({name: weights[name][:-1]}, f"{name} has shape"),
            "nan": ({name: np.full(weights[name].shape, np.nan)}, f"{name} holds NaN"),
            "missing": ({name: None}, f"expected .*{name}")}[damage]
    rewrite(path, **changes)
    with pytest.raises(ValueError, match=f"head.npz holds weights that don't fit its config: .*{message}"):
        heads.load_head(path)


@pytest.mark.parametrize("empty", [heads.ProjectionHead(5), heads.RidgeHead(1.0), heads.ALE(),
                                   heads.MlpHead(heads.HeadConfig(dim=5))], ids=lambda head: head.kind)
def test_a_head_without_weights_says_so(empty, tmp_path):
    for use in (lambda: empty.embed(QUERIES), empty.weights, empty.copy, empty.keras_layers,
                lambda: empty.save(tmp_path / "head.npz")):
        with pytest.raises(ValueError, match=f"this {empty.kind} head has no weights yet"):
            use()
    assert empty.input_dim is None and not list(tmp_path.iterdir())


def test_a_head_of_another_kind_is_refused(tmp_path):
    heads.RawHead(3).save(tmp_path / "head.npz")
    with pytest.raises(ValueError, match="kind 'raw', expected 'mlp': use load_head"):
        heads.MlpHead.load(tmp_path / "head.npz")
    rewrite(tmp_path / "head.npz", config=np.array('{"kind": "forest"}'))
    with pytest.raises(ValueError, match="head.npz: there is no kind of head 'forest': expected .*mlp"):
        heads.load_head(tmp_path / "head.npz")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="head.npz does not exist"):
        heads.load_head(tmp_path / "head.npz")


@pytest.mark.parametrize("content", [b"", b"no head", b"PK\x03\x04 cut short"])
def test_a_damaged_file_is_refused(content, tmp_path):
    (tmp_path / "head.npz").write_bytes(content)
    with pytest.raises(ValueError, match="head.npz can't be read as a head"):
        heads.load_head(tmp_path / "head.npz")


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_pickled_content_is_never_run(tmp_path):
    np.savez(tmp_path / "head.npz", config=np.array([Hostile(str(tmp_path / "run"))], dtype=object))
    with pytest.raises(ValueError, match="can't be read as a head"):
        heads.load_head(tmp_path / "head.npz")
    assert not (tmp_path / "run").exists()
