import numpy as np
import pytest

from devise.metrics import correct_sets, hierarchical_precision, hit_at_k
from devise.words import Synset, Taxonomy

#          thing
#         /     \
#     animal   vehicle
#     /    \      |   \
#   dog    cat   car   bike        labels: poodle 0, terrier 1, tabby 2, car 3, bike 4
#   /  \     \
# poodle terrier tabby
NODES = {"thing": [], "animal": ["thing"], "vehicle": ["thing"], "dog": ["animal"], "cat": ["animal"],
         "car": ["vehicle"], "bike": ["vehicle"], "poodle": ["dog"], "terrier": ["dog"], "tabby": ["cat"]}
TREE = Taxonomy({name: Synset((name,), tuple(above)) for name, above in NODES.items()})
DISTANCES = TREE.distances(["poodle", "terrier", "tabby", "car", "bike"])


def test_distances_of_the_drawing():
    assert DISTANCES.tolist() == [[0, 2, 4, 5, 5],
                                  [2, 0, 4, 5, 5],
                                  [4, 4, 0, 5, 5],
                                  [5, 5, 5, 0, 2],
                                  [5, 5, 5, 2, 0]]


def test_correct_sets_of_the_drawing():
    # the radius of the poodle grows 0, 2, 4, 5: itself, terrier, tabby, then both vehicles at once;
    # that of the tabby 0, 4, 5: both dogs come at once; that of the car 0, 2, 5
    members = {1: [{0}, {1}, {2}, {3}, {4}],
               2: [{0, 1}, {0, 1}, {0, 1, 2}, {3, 4}, {3, 4}],
               3: [{0, 1, 2}, {0, 1, 2}, {0, 1, 2}, {0, 1, 2, 3, 4}, {0, 1, 2, 3, 4}],
               4: [{0, 1, 2, 3, 4}] * 5}
    for k, found in correct_sets(DISTANCES, [1, 2, 3, 4]).items():
        assert [set(np.flatnonzero(row)) for row in found] == members[k]


def test_precision_worked_out_by_hand():
    true = [0, 2, 3]
    hits = [[1, 3, 0, 2],  # poodle:  terrier, car, poodle, tabby
            [3, 4, 2, 0],  # tabby:   car, bike, tabby, poodle
            [4, 3, 0, 1]]  # car:     bike, car, poodle, terrier
    # k = 1: only the label itself counts: no, no, no
    assert hierarchical_precision(true, hits, DISTANCES, 1).tolist() == [0, 0, 0]
    # k = 2: of {poodle, terrier} one in two; of {poodle, terrier, tabby} none; of {car, bike} both
    assert hierarchical_precision(true, hits, DISTANCES, 2).tolist() == [0.5, 0, 1]
    # k = 3: of {poodle, terrier, tabby} two of three, and one of three; all five count for the car
    np.testing.assert_allclose(hierarchical_precision(true, hits, DISTANCES, 3), [2 / 3, 1 / 3, 1])
    # k = 4: everything counts
    assert hierarchical_precision(true, hits, DISTANCES, 4).tolist() == [1, 1, 1]


def grown(distances, k):
    """The paper's loop: add what is within the radius until there are k or more."""
    found, radius = set(), 0
    while len(found) < k:
        found |= {column for column, distance in enumerate(distances) if distance == radius}
        radius += 1
    return found


def test_against_the_loop():
    random = np.random.default_rng(0)
    distances = random.integers(1, 9, (30, 30))
    np.fill_diagonal(distances, 0)
    true = random.integers(0, 30, 50)
    hits = np.array([random.permutation(30)[:12] for _ in true])
    for k in (1, 2, 5, 12):
        expected = [len(set(row[:k]) & grown(distances[label], k)) / k
                    for label, row in zip(true, hits.tolist(), strict=True)]
        np.testing.assert_allclose(hierarchical_precision(true, hits, distances, k), expected)
        sets = correct_sets(distances, [k])[k]
        assert [set(np.flatnonzero(row)) for row in sets] == [grown(row, k) for row in distances]


def test_exact_hits_at_1_are_flat_hits():
    random = np.random.default_rng(1)
    true, hits = random.integers(-1, 5, 40), random.integers(-1, 5, (40, 3))
    flat = hit_at_k((hits == true[:, None]) & (hits >= 0), 1)
    np.testing.assert_array_equal(hierarchical_precision(true, hits, DISTANCES, 1), flat)


def test_guessing_scores_the_share_of_the_set():
    random = np.random.default_rng(2)
    true = np.repeat(np.arange(5), 4000)
    hits = random.permuted(np.tile(np.arange(5), (len(true), 1)), axis=1)
    for k in (2, 3):
        chance = correct_sets(DISTANCES, [k])[k].mean()
        assert abs(hierarchical_precision(true, hits, DISTANCES, k).mean() - chance) < 0.01


def test_no_label_and_no_hit_are_never_right():
    assert hierarchical_precision([0, -1], [[-1, 0], [0, 4]], DISTANCES, 1).tolist() == [0, 0]
    assert hierarchical_precision([0, -1], [[-1, 0], [0, 4]], DISTANCES, 2).tolist() == [0.5, 0]


def test_true_labels_may_be_other_than_the_candidates():
    # candidates tabby and car: a poodle's nearest is the tabby, 4 edges away
    assert hierarchical_precision([0], [[0, 1]], DISTANCES[:2, 2:4], 1).tolist() == [1]


def test_labels_without_a_path_come_last():
    sets = correct_sets([[0, np.inf, 2]], [2, 3])
    assert sets[2].tolist() == [[True, False, True]]
    assert sets[3].all()


@pytest.mark.parametrize("k", [0, 6])
def test_k_within_the_candidates(k):
    with pytest.raises(ValueError, match="expected 1 to 5"):
        correct_sets(DISTANCES, [k])


def test_what_is_refused():
    with pytest.raises(ValueError, match="none negative"):
        correct_sets([[0, np.nan]], [1])
    with pytest.raises(ValueError, match="none negative"):
        correct_sets([[0, -1]], [1])
    with pytest.raises(ValueError, match="query_labels run from 5 to 5"):
        hierarchical_precision([5], [[0]], DISTANCES, 1)
    with pytest.raises(ValueError, match="hit_labels run from 0 to 5"):
        hierarchical_precision([0], [[0, 5]], DISTANCES, 1)
    with pytest.raises(ValueError, match="whole numbers"):
        hierarchical_precision([0.0], [[0]], DISTANCES, 1)
    with pytest.raises(ValueError, match="2 queries and 1 rows"):
        hierarchical_precision([0, 1], [[0]], DISTANCES, 1)
    with pytest.raises(ValueError, match="the depth of the rows"):
        hierarchical_precision([0], [[0]], DISTANCES, 2)


def test_nothing_asked():
    assert hierarchical_precision(np.empty(0, int), np.empty((0, 3), int), DISTANCES, 2).shape == (0,)
