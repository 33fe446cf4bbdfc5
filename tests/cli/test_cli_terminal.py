"""Bars, notes and colours: on terminals, and nothing of them elsewhere."""

import contextlib
import io
import time

import pytest

from devise.cli import terminal as shown


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """A stream that says it is a terminal, and a clock that ticks a hundred times as fast."""
    screen = Terminal()
    monkeypatch.setattr(shown, "TICK", 0.01)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return screen


def own_stream(screen):
    """Another stream to the same screen, as the bar of a whole command has."""
    stream = Terminal()
    stream.write = screen.write
    return stream


def waited(screen, sign):
    """Whether a sign reaches the screen, within a generous time."""
    until = time.monotonic() + 20
    while sign not in screen.getvalue() and time.monotonic() < until:
        time.sleep(0.01)
    return sign in screen.getvalue()


def test_a_counted_bar_has_rate_and_time_left(terminal):
    with shown.progress_bar("extract", file=terminal) as progress:
        assert waited(terminal, "extract … 00:00")
        progress(50, 200)
        assert waited(terminal, "50/200 [")
    assert "25%" in terminal.getvalue() and "<" in terminal.getvalue() and "pictures/s" in terminal.getvalue()


def test_what_comes_behind_the_last_count_is_seen_to_go_on(terminal):
    with shown.progress_bar("index", file=terminal) as progress:
        progress(3, 4)
        assert waited(terminal, "3/4")
        progress(4, 4)
        terminal.truncate(0)
        assert waited(terminal, "index … ") and "4/4" not in terminal.getvalue()


def test_the_innermost_bar_shows_and_all_are_wiped(terminal):
    with shown.progress_bar("devise train", file=terminal):
        assert waited(terminal, "devise train …")
        with shown.progress_bar("extract", file=terminal):
            assert waited(terminal, "extract …")
            terminal.truncate(0)
            assert waited(terminal, "extract …") and "devise train" not in terminal.getvalue()
        assert waited(terminal, "devise train …")
    assert terminal.getvalue().split("\r")[-2].strip() == "" and terminal.getvalue().endswith("\r")
    assert shown.BARS == []


def test_a_note_does_not_fall_into_a_bar(terminal):
    with contextlib.redirect_stderr(terminal), shown.progress_bar("extract", file=own_stream(terminal)):
        assert waited(terminal, "extract …")
        shown.say("one file is skipped")
    assert "\rone file is skipped\n" in terminal.getvalue()


def test_without_a_terminal_it_is_quiet(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(shown, "TICK", 0.001)
    with contextlib.redirect_stderr(screen):
        with shown.progress_bar("extract") as progress:
            progress(1, 2)
            time.sleep(0.02)
        shown.say("a note")
    assert screen.getvalue() == "a note\n"


def test_a_stop_says_how_far_it_came(monkeypatch):
    with pytest.raises(KeyboardInterrupt) as stopped, shown.progress_bar("fetch", unit="B") as progress:
        progress(2_500_000, 10_000_000)
        raise KeyboardInterrupt
    assert stopped.value.__notes__ == ["fetch: 2.5 MB of 10.0 MB"]


def test_colour_is_for_terminals_that_want_it(terminal, monkeypatch):
    assert shown.red("done", terminal) == "\x1b[31mdone\x1b[0m"
    assert shown.red("done", io.StringIO()) == "done"
    for name, value in [("NO_COLOR", "1"), ("TERM", "dumb")]:
        with monkeypatch.context() as here:
            here.setenv(name, value)
            assert shown.red("done", terminal) == "done"
    monkeypatch.setenv("NO_COLOR", "")  # an empty one counts as absent (no-color.org)
    assert shown.red("done", terminal) == "\x1b[31mdone\x1b[0m"
