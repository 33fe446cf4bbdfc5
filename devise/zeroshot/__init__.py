"""Rules that rank candidates for images, seen in training or not: one contract, `tag(x, k) → Hits`.

    features ── head ──► embeddings ── comparison with candidates ──► scores ── corrections ──► Hits

A head takes features into the space of the label vectors and knows no candidates; `onto` puts the
comparison behind it that the head is made for. Rules compare in blocks: the matrix of images ×
candidates is never held whole, unless `scores` is asked for it.

- Comparisons: `NearestLabel` and `InnerProduct` take embeddings, or x and a function to them;
  `Softmax` takes logits, and its classes are the candidates; `Lift` takes logits and any words.
- Corrections, rules around a rule: `Stacking`, `CSLS`.
- Choices on held-out classes: `class_folds`, `choose_options`, `choose_gamma`; which tags to trust:
  `coverage_curve`, `choose_threshold`.

A new rule is a `Rule` with `prepare` and `compare`; it joins the table of
tests/zeroshot/test_zeroshot_contract.py. A new way to learn an embedding is a `devise.heads.Head`.

>>> import numpy as np
>>> from devise.heads import RidgeHead
>>> features, label_vectors = np.eye(3), [[1, 0], [0, 1], [1, 1]]
>>> ridge = RidgeHead(penalty=1.0).fit(features[:2], [0, 1], label_vectors)
>>> onto(ridge, label_vectors).tag(features, k=1).ids.ravel()
array([0, 1, 2])
"""

from devise.zeroshot.choices import (
    CSLS,
    Adjusted,
    Choice,
    CoverageCurve,
    Stacking,
    choose_gamma,
    choose_options,
    choose_threshold,
    class_folds,
    coverage_curve,
)
from devise.zeroshot.rules import InnerProduct, Lift, NearestLabel, Rule, Softmax, kernel, onto

__all__ = ["Adjusted", "CSLS", "Choice", "CoverageCurve", "InnerProduct", "Lift", "NearestLabel", "Rule", "Softmax",
           "Stacking", "choose_gamma", "choose_options", "choose_threshold", "class_folds", "coverage_curve",
           "kernel", "onto"]
