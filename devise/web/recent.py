"""What was used last, within a bound: the one cache of this room."""

import threading
from collections import OrderedDict


class Recent:
    """Values by key, those used last, from any thread; None is no value.

    Args:
        limit: of the sum of the sizes.
        size: of a value; 1 each unless told otherwise.

    >>> recent = Recent(2)
    >>> for word in ["one", "two", "one", "three"]:
    ...     value = recent.get(word, lambda: word.upper())
    >>> "one" in recent, "two" in recent
    (True, False)
    """

    def __init__(self, limit, size=lambda value: 1):
        self.limit, self.held, self._size = limit, 0, size
        self._values, self._lock = OrderedDict(), threading.Lock()

    def __len__(self):
        return len(self._values)

    def __contains__(self, key):
        return key in self._values

    def peek(self, key):
        """The value of a key, or None where it is not held."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def get(self, key, make):
        """The value of a key, made where it is not held; two threads may both make it, outside the lock."""
        held = self.peek(key)
        if held is not None:
            return held
        value = make()
        with self._lock:
            if key not in self._values and self._size(value) <= self.limit:
                self._values[key] = value
                self.held += self._size(value)
            while self.held > self.limit:
                self.held -= self._size(self._values.popitem(last=False)[1])
        return value
