"""What a cosine means to people: how far a picture stands out from the others of its index."""

from statistics import NormalDist

import numpy as np

DRAWN = 256  # pictures that stand for all the others
STRONG, FAIR, WEAK = "strong", "fair", "weak"


class Strength:
    """Words for the scores of an answer.

    Cosines of one query can be compared, those of two can't. Where the model has a threshold for the query, scores
    from it on are strong and others weak. Elsewhere a score is counted in robust standard deviations (1.4826 times
    the median absolute deviation) above the median cosine of the query with pictures drawn from the index: strong
    where fewer than one unrelated picture of the index is expected so high, were they normally distributed; fair
    from half of that on; else weak.
    """

    def __init__(self, search):
        n = len(search)
        self._indexes, self._drawn = search.indexes, {}
        self._strong = NormalDist().inv_cdf(1 - 1 / max(n, 3))

    def words(self, scores, *, threshold, space, query):
        """A word for each score of one query, a unit vector (dim,) of the space, that has this threshold or None."""
        if threshold is not None:
            return [STRONG if score >= threshold else WEAK for score in scores]
        if space not in self._drawn:  # kept: a database would be asked for them with each question
            drawn = np.random.default_rng(0).permutation(self._indexes[space].ids)[:DRAWN]
            self._drawn[space] = self._indexes[space].vectors(np.sort(drawn))
        usual = self._drawn[space] @ query
        middle = np.median(usual)
        spread = max(1.4826 * float(np.median(np.abs(usual - middle))), 1e-6)
        heights = [(score - middle) / spread for score in scores]
        return [STRONG if height >= self._strong else FAIR if 2 * height >= self._strong else WEAK
                for height in heights]
