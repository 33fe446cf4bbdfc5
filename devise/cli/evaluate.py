"""Figures: `devise evaluate`, and what the trainings say of the models that they make."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import replace
from typing import TYPE_CHECKING

from devise.cli import Answer, Command, opening, options
from devise.cli.terminal import progress_bar, say_skipped
from devise.report import Report

if TYPE_CHECKING:
    from devise.model import Devise, Figures


def figures_keys(model: Devise, figures: Figures) -> dict:
    """What --json has of an evaluation: the backbone and the figures."""
    return {"backbone": model.network.record, **figures.to_json()}


def report_of(model: Devise, figures: Figures | None, title: str, notes: tuple[str, ...] = ()) -> Report:
    """The report of an evaluation, or, without one, of nothing but its notes."""
    report = Report(title) if figures is None else figures.report(title)
    return replace(report, notes=(*notes, *report.notes), trained=model.network.record["trained"])


def best_epochs(model: Devise) -> tuple[str, ...]:
    """A sentence a trained space on the epoch that was kept."""
    found = []
    for space, history in model.history.items():
        best = (f"epoch {history.best_epoch} of {history.epochs}" if history.best_epoch else
                f"the start, which none of {history.epochs} epochs improved on")
        scores = [score for score in (history.start_score, *history.score) if score is not None]
        gained = f" ({100 * scores[0]:.1f} → {100 * max(scores):.1f} % on validation)" if scores else ""
        found.append(f"the space {space}: kept {best}{gained}")
    return tuple(found)


def thresholds_notes(model: Devise) -> tuple[str, ...]:
    """A sentence a space with a threshold: what that rests on."""
    from devise.model.calibration import sentence

    return tuple(f"the space {name}: {sentence(space)}" for name, space in model.spaces.items() if space.calibration)


class Evaluate(Command):
    """What a model retrieves and names, space by space: on the pictures that it was made with, or on others.

    Pictures with classes give flat hit@k over stated candidates, where the model knows words, and retrieval
    of each among all others; pictures with captions are retrieved as these say, and found by sentences. Of
    the training's own pictures those count that a figure may be taken from.

    --json prints {"model", "backbone": {"name", …, "trained"}} and what was measured. Of labels: "hit_at_k"
    ({part: {candidates: {k: fraction in [0, 1]}}}), "n" ({part: pictures}), "candidates" ({candidates:
    {"count", "added" (labels that joined the words), "ks_left_out" (too few candidates for them)}}),
    "without_answer"; "retrieval" ({space: {"hit_at_k", "map_at_r", …}}), "open_set" ({space: …}), "galleries".
    Of captions: "captions" ({"by_space", "text", …}). Parts are "train", "test" and "unseen"; candidates are
    "seen", "unseen", "all" (labels) and "words20000", the most frequent words and every label. A k is text,
    as JSON has it: {"test": {"seen": {"1": 0.94, …}}}. "skipped" lists pictures that can't be read.
    """

    example = """\
        devise evaluate model --json
        devise evaluate conse ~/pictures
        devise evaluate told ~/flickr8k/images --captions ~/flickr8k/captions.token.txt"""
    stopped = "nothing was changed; the same command starts anew"

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("model", metavar="MODEL", help=options.OPTIONS["model"][2])
        options.add_pictures(parser, nargs="*", help="a folder a class, or features of it (default: those of the "
                             "training, where they lay)")
        options.add(parser, "", "captions", "gallery")
        options.add(parser, "devise.model.evaluating:evaluate", "first")

    def run(self, args: Namespace) -> Answer:
        found = opening.data(args, args.pictures) if args.pictures else None
        model = opening.model(args)
        if "captions" in args:
            found = opening.captioned(args, model.table if found is None else found)
        table = None
        if found is not None:
            with progress_bar("extract") as progress:
                table = model.features(found, progress=progress)
            say_skipped(table.images)
        asked = {"galleries" if name == "gallery" else name: value
                 for name, value in options.given(args, ("first", "gallery")).items()}
        figures = model.evaluate(table, **asked)
        return Answer(report_of(model, figures, f"{model}: {args.model}"),
                      {"model": str(args.model), **figures_keys(model, figures),
                       "skipped": opening.skipped(table.images) if table else []})
