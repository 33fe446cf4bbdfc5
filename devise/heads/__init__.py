"""Heads: maps from features to embeddings, one contract for trained, solved and borrowed ones.

- Trained by steps, in `devise.training`: `MlpHead`, `ProjectionHead`.
- Solved or learned by `fit(features, labels, label_vectors)`: `RidgeHead`, `SAE`, `ESZSL`, `ALE`, `SJE`,
  `HingeRankHead`.
- Made of a classifier, with nothing to train: `ConseHead`, `LiftHead`; with captions: `JointHead`, the shipped one;
  `ExtendedHead`, that and columns for classes of one's own.
- Taken as they are: `RawHead`, the features themselves; `HiddenHead`, a hidden layer of an MlpHead.

A new head is a subclass of `Head` with a `kind`; `load_head` then reads it back, and it joins the table of
tests/heads/test_head_contract.py.
"""

from devise.heads.base import Head, RawHead, load_head, restored
from devise.heads.bilinear import ALE, SJE, BilinearHead, HingeRankHead
from devise.heads.conse import ConseHead, LiftHead, lift_vectors
from devise.heads.joint import ExtendedHead, JointHead
from devise.heads.linear import ESZSL, SAE, LinearHead, RidgeHead
from devise.heads.mlp import HeadConfig, HiddenHead, MlpHead
from devise.heads.projection import ProjectionHead

__all__ = ["ALE", "BilinearHead", "ConseHead", "ESZSL", "ExtendedHead", "Head", "HeadConfig", "HiddenHead",
           "HingeRankHead", "JointHead", "LiftHead", "LinearHead", "MlpHead", "ProjectionHead", "RawHead", "RidgeHead",
           "SAE", "SJE", "lift_vectors", "load_head", "restored"]
