from pathlib import Path

import numpy as np

from devise.datasets import ImageSet, Skipped, join


def images(paths, labels, names, root):
    return ImageSet(tuple(paths), np.array(labels), tuple(names), root and Path(root), (Skipped(paths[0], "why"),))


def test_classes_are_joined_by_name_and_paths_from_the_shared_folder():
    left = images(["1.jpg", "x/2.jpg"], [1, -1], ["dog", "cat"], "/a/b/left")
    right = images(["3.jpg", "4.jpg"], [0, 1], ["cat", "bird"], "/a/b/right/deep")
    whole = join([left, right])
    assert whole.root == Path("/a/b")
    assert whole.paths == ("left/1.jpg", "left/x/2.jpg", "right/deep/3.jpg", "right/deep/4.jpg")
    assert [whole.label_of(row) for row in range(4)] == ["cat", None, "cat", "bird"]
    assert len(whole.skipped) == 2
    assert [whole.file(row) for row in (1, 2)] == [left.file(1), right.file(0)]


def test_without_a_root_paths_stay():
    whole = join([images(["1.jpg"], [0], ["a"], "/p"), images(["2.jpg"], [0], ["a"], None)])
    assert whole.root is None and whole.paths == ("1.jpg", "2.jpg") and whole.label_names == ("a",)
