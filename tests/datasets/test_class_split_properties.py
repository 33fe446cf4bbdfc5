"""Splits by class, drawn by hypothesis: a class is in one part, no picture is lost, a seed gives one split."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from devise.datasets.class_splits import class_split


@settings(max_examples=100, deadline=None)
@given(labels=st.lists(st.integers(-1, 11), min_size=8, max_size=80), validation=st.integers(0, 3),
       test=st.integers(0, 3), seed=st.integers(0, 2**31))
def test_no_class_is_in_two_parts_and_no_picture_is_lost(labels, validation, test, seed):
    names = [f"class {number}" for number in range(12)]
    counts = np.bincount([label for label in labels if label >= 0], minlength=12)
    assume((counts > 1).sum() >= validation + test + 2)
    parts = class_split(labels, names, validation=validation, test=test, seed=seed)
    rows = [getattr(parts, part) for part in ("train", "validation", "test")]
    together = np.concatenate(rows)
    assert sorted(together.tolist()) == [row for row, label in enumerate(labels) if label >= 0]
    classes = [set(np.asarray(labels)[part].tolist()) for part in rows]
    assert not classes[0] & classes[1] and not classes[0] & classes[2] and not classes[1] & classes[2]
    assert [len(parts.names["validation"]), len(parts.names["test"])] == [validation, test]
    again = class_split(labels, names, validation=validation, test=test, seed=seed)
    for part, other in zip(rows, (again.train, again.validation, again.test), strict=True):
        np.testing.assert_array_equal(part, other)
