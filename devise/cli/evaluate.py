"""Flat hit@k of a model on the pictures it was made with, over stated candidates.

--json prints {"model", "backbone": {"name", …, "trained"}, "hit_at_k": {part: {candidates: {k: fraction
in [0, 1]}}}, "n": {part: pictures}, "candidates": {candidates: {"count", "added" (labels that joined
the words), "ks_left_out" (too few candidates for them)}}, "without_answer"}. Parts are "train", "test"
and "unseen"; candidates are "seen", "unseen", "all" (labels) and "words20000", the most frequent
words and every label. A k is text, as JSON has it: {"test": {"seen": {"1": 0.94, …}}}.
"""

from pathlib import Path

from devise.cli import Answer, options
from devise.cli.text import table
from devise.figures import percent

EXAMPLE = "  devise evaluate model --json"
FRAMEWORK = True
STOPPED = "nothing was changed; the same command starts anew"


def arguments(command):
    command.add_argument("model", type=Path, metavar="MODEL", help="a folder that `devise train` wrote")
    command.add_argument("--features", type=Path, metavar="DIR",
                         help="the features of the training's pictures (default: where they lay)")
    command.add_argument("--first", type=options.count, default=20_000, metavar="N",
                         help="how many words the word candidates take (default: 20000)")


def run(args):
    from devise import features
    from devise.model import Devise

    model = Devise.load(args.model)
    evaluation = model.evaluate(features.load(args.features) if args.features else None, first=args.first)
    return Answer({"model": str(args.model), **figures(model, evaluation)}, figures_text(model, evaluation))


def figures(model, evaluation):
    """The part of a document that says what was measured, and of which backbone."""
    return {"backbone": model.backbone_record, **evaluation.to_json()}


def figures_text(model, evaluation):
    """The hit@k table of an evaluation; each row states its candidates."""
    from devise.report import RANDOM

    found = evaluation.hit_at_k
    depths = sorted({k for sets in found.values() for values in sets.values() for k in values})
    rows = []
    for part, sets in found.items():
        for name, values in sets.items():
            number = evaluation.candidates[name]["count"]
            rows.append([f"{part} ({evaluation.n[part]:,} pictures) over {name} ({number:,})",
                         *(percent(values.get(k)) for k in depths)])
    lines = [] if model.backbone_record["trained"] else [f"{RANDOM}."]
    lines.append(table(rows, ["flat hit@k", *(f"@{k}" for k in depths)]))
    lines += [f"{name} holds these labels too, which its words lack: {', '.join(stated['added'])}"
              for name, stated in evaluation.candidates.items() if stated.get("added")]
    return "\n".join(lines)
