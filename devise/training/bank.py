"""Features of a picture as it is and as it looks when it is changed, ever more as the epochs go on."""

import numpy as np

from devise.training.curriculum import Schedule


class FeatureBank:
    """Copies of the features at rising strengths of augmentation, and when each comes into play.

    Augmenting pictures would put every one through the network in every epoch. Here each goes
    through it once a level, and an epoch draws, for every row that it trains on, one of the levels
    that the schedule has opened. At a share s of L levels the draw is even over 0 to s · (L - 1),
    and the next level comes in with the fraction that is left.

    Args:
        levels: (n, d) matrices of the same rows, level 0 plain and each stronger than the one
            before; may be memory-mapped.
        schedule: a function of the epoch, counted from 1, to the share of levels that is open:
            0 is level 0 alone, 1 is all. A `Schedule`, or None for all from the start.
    Attributes:
        levels: as given, a tuple.
        shape: (n, d).
    Raises:
        ValueError: if there is no level, their shapes differ, or the schedule leaves 0..1.

    >>> bank = FeatureBank([np.zeros((4, 2)), np.ones((4, 2))], Schedule(0.0, 1.0, epochs=9))
    >>> bank.draw(4, epoch=1, rng=np.random.default_rng(0))
    array([0, 0, 0, 0])
    """

    def __init__(self, levels, schedule=None):
        self.levels = tuple(np.asanyarray(level) for level in levels)
        shapes = {level.shape for level in self.levels}
        if len(shapes) != 1 or len(next(iter(shapes))) != 2:
            raise ValueError(f"levels have shapes {sorted(shapes)}: expected one or more matrices of one shape, "
                             "(n, dim), one row a picture")
        self.shape = self.levels[0].shape
        self._schedule = schedule or (lambda epoch: 1.0)
        if isinstance(schedule, Schedule):
            _check_share(schedule.start), _check_share(schedule.end)

    def __len__(self):
        return self.shape[0]

    def draw(self, n, epoch, rng):
        """The levels of n rows in an epoch.

        Returns:
            int64 (n,), in 0..L - 1.
        """
        share = _check_share(self._schedule(epoch))
        top = share * (len(self.levels) - 1)
        return np.minimum(rng.random(n) * (top + 1), len(self.levels) - 1).astype(np.int64)


def _check_share(share):
    if not 0 <= share <= 1:
        raise ValueError(f"the schedule gives {share}: expected the share of levels that is open, in 0..1")
    return share
