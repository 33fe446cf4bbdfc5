"""The head in a file, of whatever kind."""

from devise.training.heads import read
from devise.training.mlp import MlpHead
from devise.training.projection import ProjectionHead
from devise.training.ridge import RidgeHead

KINDS = {head.kind: head for head in (MlpHead, ProjectionHead, RidgeHead)}


def load_head(path):
    """The head in a file, of whatever kind.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no head, or its weights don't fit its config.

    >>> import tempfile
    >>> from devise.training import RidgeHead
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     RidgeHead(penalty=1.0).fit([[1.0, 0.0], [0.0, 1.0]], [0, 1], [[1, 0], [0, 1]]).save(f"{folder}/head.npz")
    ...     load_head(f"{folder}/head.npz").kind
    'ridge'
    """
    return restored(path, *read(path))


def restored(path, config, weights):
    """The head of what `devise.training.heads.read` gave of a file; the path is for the errors."""
    kind = config.get("kind")
    if kind not in KINDS:
        raise ValueError(f"{path} holds a head of kind {kind!r}: expected one of {', '.join(KINDS)}")
    return KINDS[kind].restored(path, config, weights)
