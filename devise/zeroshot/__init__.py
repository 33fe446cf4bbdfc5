"""Rules that name a picture by candidates, seen in training or not: one contract, `tag(x, k) → Hits`.

    x ── projection ──► embeddings ── comparison with candidates ──► scores ── corrections ──► Hits

A projection takes pictures into the space of the label vectors and knows no candidates; `onto` puts
a comparison with candidates behind it, and that is a rule. Rules compare in blocks: the matrix of
pictures × candidates is never held whole, unless `scores` is asked for it.

- Nothing to learn: `ConSE` and `Lift` from a classifier's logits.
- Learned by `fit(x, labels, class_vectors)` from seen classes: `Ridge` and `SAE`, compared by
  cosine; `ESZSL`, `ALE` and `SJE`, compared by inner product.
- Comparisons alone: `NearestLabel` and `InnerProduct` take embeddings, or x and any head's `embed`;
  `Softmax` takes logits, and its classes are the candidates.
- Corrections, rules around a rule: `Stacking`, `CSLS`, `InvertedSoftmax`, and `Abstain` last.
- Choices on held-out classes: `class_folds`, `choose_options`, `choose_gamma`, `choose_threshold`.

A new rule is a `LinearProjection` with `_solve`, a `Projection` with `_project`, or a `Rule` with
`prepare` and `compare`; it joins the table of tests/zeroshot/test_zeroshot_contract.py.

>>> import numpy as np
>>> from devise.zeroshot import Abstain, Ridge
>>> features, label_vectors = np.eye(3), [[1, 0], [0, 1], [1, 1]]
>>> ridge = Ridge().fit(features[:2], [0, 1], label_vectors)
>>> Abstain(ridge.onto(label_vectors), threshold=0.9).tag(features, k=1).ids.ravel()
array([0, 1, 2])
"""

from devise.zeroshot.abstention import Abstain, CoverageCurve, choose_threshold, coverage_curve
from devise.zeroshot.base import Adjusted, Rule
from devise.zeroshot.bilinear import ALE, SJE, Bilinear
from devise.zeroshot.calibration import Stacking, choose_gamma
from devise.zeroshot.closed_form import ESZSL, SAE, Ridge
from devise.zeroshot.conse import ConSE
from devise.zeroshot.holdout import Choice, choose_options, class_folds
from devise.zeroshot.hubness import CSLS, InvertedSoftmax
from devise.zeroshot.lift import Lift, kernel
from devise.zeroshot.nearest import InnerProduct, NearestLabel, Softmax
from devise.zeroshot.projection import LinearProjection, Projection

__all__ = ["ALE", "Abstain", "Adjusted", "Bilinear", "CSLS", "Choice", "ConSE", "CoverageCurve", "ESZSL",
           "InnerProduct", "InvertedSoftmax", "Lift", "LinearProjection", "NearestLabel",
           "Projection", "Ridge", "Rule", "SAE", "SJE", "Softmax", "Stacking", "choose_gamma",
           "choose_options", "choose_threshold", "class_folds", "coverage_curve", "kernel"]
