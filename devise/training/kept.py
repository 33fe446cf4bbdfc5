"""Weights to go back to."""

import numpy as np


class Kept:
    """The values of some variables: those at the start, then those of the best epoch.

    Args:
        variables: a list of keras.Variable or tf.Variable.
    Attributes:
        variables: as given.
        epoch: the epoch whose values these are; None before any is offered.
    """

    def __init__(self, variables):
        self.variables = variables
        self.epoch = None
        self._rank = None
        self._values = [variable.numpy() for variable in variables]

    def offer(self, epoch, verdict):
        """Keep the values as they are now, if (score, -loss) of the verdict is the best so far.

        Returns:
            the verdict.
        """
        rank = verdict.score, -verdict.loss
        if self._rank is None or rank > self._rank:
            self.epoch, self._rank = epoch, rank
            self._values = [variable.numpy() for variable in self.variables]
        return verdict

    def restore(self):
        """Give the variables the values that are kept."""
        for variable, value in zip(self.variables, self._values, strict=True):
            variable.assign(value)

    def finite(self):
        """Whether every variable is finite as it is now."""
        return all(np.isfinite(variable.numpy()).all() for variable in self.variables)
