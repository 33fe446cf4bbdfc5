import numpy as np
import pytest

from devise.metrics import seen_unseen_curve
from devise.zeroshot import NearestLabel, Softmax, Stacking, choose_gamma

RANDOM = np.random.default_rng(13)
VECTORS, EMBEDDINGS = RANDOM.normal(size=(6, 4)), RANDOM.normal(size=(50, 4))
SEEN = np.array([True, False, True, True, False, True])
ANSWERS = RANDOM.choice(6, 50, p=[0.4, 0.1, 0.1, 0.1, 0.2, 0.1])
RULE = NearestLabel(VECTORS)


def class_means(gamma):
    """Hit@1 of seen and of unseen classes with this γ, class by class, from the tags themselves."""
    first = Stacking(RULE, SEEN, gamma).tag(EMBEDDINGS, k=1).ids[:, 0]
    means = {c: np.mean([first[i] == c for i in range(50) if ANSWERS[i] == c]) for c in set(ANSWERS.tolist())}
    return tuple(np.mean([mean for c, mean in means.items() if SEEN[c] == kind]) for kind in (True, False))


def test_stacking_takes_gamma_from_seen_candidates_only():
    plain, stacked = RULE.scores(EMBEDDINGS), Stacking(RULE, SEEN, 0.25).scores(EMBEDDINGS)
    for candidate in range(6):
        less = 0.25 if SEEN[candidate] else 0
        np.testing.assert_allclose(stacked[:, candidate], plain[:, candidate] - less, atol=1e-6)


def test_a_large_gamma_puts_every_unseen_candidate_first():
    ids = Stacking(RULE, SEEN, 9).tag(EMBEDDINGS, k=6).ids
    assert not SEEN[ids[:, :2]].any() and SEEN[ids[:, 2:]].all()


def test_the_curve_is_what_stacking_does_between_its_gammas():
    curve = seen_unseen_curve(RULE.scores(EMBEDDINGS), ANSWERS, SEEN)
    gammas = [curve.gammas[1] - 1, *(curve.gammas[1:-1] + curve.gammas[2:]) / 2, curve.gammas[-1] + 1]
    for gamma, seen, unseen in zip(gammas, curve.seen, curve.unseen, strict=True):
        np.testing.assert_allclose(class_means(gamma), (seen, unseen), atol=1e-9)


def test_gamma_has_the_best_harmonic_mean():
    def harmonic(gamma):
        seen, unseen = class_means(gamma)
        return 2 * seen * unseen / (seen + unseen) if seen + unseen else 0.0

    gamma = choose_gamma(RULE.scores(EMBEDDINGS), ANSWERS, SEEN)
    assert harmonic(gamma) == pytest.approx(max(harmonic(other) for other in np.linspace(-2, 2, 401)))
    assert harmonic(gamma) > harmonic(0.0)


def test_of_equal_gammas_the_middle_one_is_chosen():
    # the last two pictures are wrong either way, so that 0.35, 0.4 and 0.45 are all as good
    scores = [[0.8, 0.0, 0.2], [0.3, 0.0, 0.1], [0.5, 0.0, 0.12], [0.5, 0.0, 0.08]]
    assert choose_gamma(scores, [0, 2, 1, 1], [True, True, False]) == pytest.approx(0.4)


def test_softmax_can_be_stacked_and_its_mask_is_checked():
    assert Stacking(Softmax(), [True, False], 1.0).tag([[2.0, 1.0]], k=1).ids.tolist() == [[1]]
    for wrong in ([True], [True, False, True]):
        with pytest.raises(ValueError, match=r"expected bool \(2,\)"):
            Stacking(Softmax(), wrong, 1.0).tag([[2.0, 1.0]], k=1)


@pytest.mark.parametrize("seen", [SEEN[:5], np.arange(6), [SEEN]])
def test_a_mask_that_does_not_fit_is_refused(seen):
    with pytest.raises(ValueError, match=r"expected bool \(6,\), one a candidate"):
        Stacking(RULE, seen, 0.1)


def test_gamma_is_a_number():
    with pytest.raises(ValueError, match="gamma is nan"):
        Stacking(RULE, SEEN, np.nan)
