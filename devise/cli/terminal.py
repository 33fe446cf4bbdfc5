"""What a person sees beside the answer: lines on stderr, progress bars, colours."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from tqdm import tqdm

    from devise.datasets import ImageSet

BARS: list[tqdm] = []  # those on the terminal, the innermost last
TICK = 1  # seconds between two looks at the clock
UNCOUNTED = "{desc} … {elapsed}"


def say(line: str) -> None:
    """A note for the person, on stderr: stdout belongs to the answer."""
    from tqdm import tqdm

    from devise.figures import printable

    with tqdm.get_lock():  # so that no bar is drawn between the wiping of one and the line
        if BARS:
            BARS[-1].clear(nolock=True)
        print(printable(line), file=sys.stderr, flush=True)


def say_skipped(images: ImageSet) -> None:
    """Say which pictures could not be used and why, if there are any."""
    if images.skipped:
        say(images.report())


@contextlib.contextmanager
def progress_bar(what: str, unit: str = "pictures", file: TextIO | None = None
                 ) -> Iterator[Callable[[int, int | None], None]]:
    """A progress callable that draws a bar with rate and time left; quiet when stderr is no terminal.

    What is never counted shows how long it has been going on; so does the rest of the work behind
    the last count. Nothing is drawn in the first second. Of bars within bars the innermost shows.

    Args:
        what: the word before the bar.
        unit: what is counted; of "B", thousands become k, M, G.
        file: where to draw, by default stderr.
    """
    from tqdm import tqdm

    from devise.storage import megabytes

    file = file or sys.stderr
    bar = tqdm(desc=what, unit=unit if unit == "B" else f" {unit}", unit_scale=unit == "B", leave=False, file=file,
               disable=not file.isatty(), dynamic_ncols=True, delay=TICK, position=0, bar_format=UNCOUNTED)
    ended = threading.Event()
    reached: list[int] = []

    def progress(done, total):
        reached[:] = [done, total]
        bar.total = total
        bar.bar_format = UNCOUNTED if done == total else None
        bar.update(done - bar.n)

    def tick():
        while not ended.wait(TICK):
            if BARS[-1] is bar:
                bar.refresh()

    if BARS:
        BARS[-1].clear()
    BARS.append(bar)
    clock = threading.Thread(target=tick, daemon=True)
    try:
        if not bar.disable:
            clock.start()
        yield progress
    except KeyboardInterrupt as stop:
        if reached:
            numbers = [megabytes(number) if unit == "B" else f"{number:,}" for number in reached if number is not None]
            stop.add_note(f"{what}: {' of '.join(numbers)}{'' if unit == 'B' else f' {unit}'}")
        raise
    finally:
        ended.set()
        if clock.ident:
            clock.join()
        BARS.pop()
        bar.clear()
        bar.close()


def red(text: str, stream: TextIO) -> str:
    """`text` in red where the stream is a terminal with colours and NO_COLOR (no-color.org) is not set."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty()
    return text if plain else f"\x1b[31m{text}\x1b[0m"  # ECMA-48
