"""A process of its own for what is measured, so that its memory is its own too.

The measuring process asks a question as a line of JSON, the worker answers with another. It stays as it
is between two questions, so that several can be measured in turns and be there at the same time.
"""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path


class Worker:
    """Calls functions of a module in another process.

    Args:
        module: dotted name; its functions that are asked for take a dict, which lives as long as the worker,
            and named values that JSON can hold, and return another.
    """

    def __init__(self, module):
        call = f"from devise.bench.worker import serve; serve({module!r})"
        root = Path(__file__).resolve().parents[2]  # runs from a checkout that is not installed too
        self._process = subprocess.Popen([sys.executable, "-c", call], cwd=root, text=True, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def ask(self, function, **values):
        """What the function returned.

        Raises:
            RuntimeError: if the worker ended over it; the message has its last line.
        """
        try:
            self._process.stdin.write(json.dumps([function, values]) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended before, and left a reason
        answer = self._process.stdout.readline()
        if not answer:
            reason = self._process.stderr.read().strip().splitlines() or ["without a word"]
            raise RuntimeError(f"{function} failed: {reason[-1]}")
        return json.loads(answer)

    def close(self):
        """End the process."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is not None:
            self._process.kill()
        self.close()


def serve(module):
    """Answer until the questions end; engines that print to stdout don't disturb the answers."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    functions, state = importlib.import_module(module), {}
    for line in sys.stdin:
        name, values = json.loads(line)
        answers.write(json.dumps(getattr(functions, name)(state, **values)) + "\n")
        answers.flush()
