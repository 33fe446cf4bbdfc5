"""What is done with a model that is there: evaluated, trained on, calibrated, exported, its parameters counted."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from devise.cli import Answer, Command, WrongUsage, opening, options
from devise.cli.terminal import progress_bar, say_skipped
from devise.report import Report, Table

if TYPE_CHECKING:
    from devise.model import Devise, Figures

UNTOUCHED = "the model is as it was, and nothing was written; the same command starts anew"


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
    return tuple(f"the space {name}: {space.threshold_note()}" for name, space in model.spaces.items()
                 if space.calibration)


def _other_place(args: Namespace) -> None:
    """Refuse to write a model over the one that it is made from."""
    if Path(args.output).resolve() == Path(args.model).expanduser().resolve():
        raise WrongUsage(f"{args.output} is the model itself, which stays as it is: name another folder")


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


class Finetune(Command):
    """A trained model → one whose network is trained along with the head of a space, on the pictures.

    Of a model of `devise train` that is DeViSE's second phase, of one of `devise siamese` the training of a
    siamese network end to end, of one of `devise captions` pictures and sentences. The pictures of the
    training part train, and the weights kept are those that serve the validation part best; the start is
    among the candidates, and the model itself stays as it is. --loss is cosine, hinge or infonce for a model
    of `devise train`, triplet, contrastive, … for one of `devise siamese`.

    --json prints {"model" (the new one), "base", "history" ({space: as `devise train` has it}), "before" and
    "after" (each what `devise evaluate` prints, null where nothing was kept for testing), "difference" (of
    MAP@R before and after, null where there is no MAP@R), "thresholds"}.
    """

    example = """\
        devise finetune model -o tuned
        devise finetune model ~/pictures --layers 2 --epochs 5 -o tuned
        devise finetune learnt --augment 0.5 --epochs 5 -o tuned"""
    stopped = UNTOUCHED
    trained = ("layers", "batch_size", "optimiser", "learning_rate")
    own = ("loss", "augment", "epochs")
    of_classes = ("miner", "classes", "per_class")

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("model", metavar="MODEL", help="a folder that a training of devise wrote")
        options.add_pictures(parser, nargs="?", help="the folder of its pictures (default: where they lay)")
        options.add_output(parser)
        options.add(parser, "", "captions")
        options.add(parser, "devise.training.finetuning:finetune", *self.trained)
        options.add(parser, "devise.model.finetuning:finetune", *self.own)
        options.add(parser, "devise.model.classes:objective", *self.of_classes)

    def run(self, args: Namespace) -> Answer:
        _other_place(args)
        opening.keep(args)
        model, images = opening.saved(args.model), None
        from devise.metrics import paired_difference
        from devise.model import LEARNT
        from devise.model.captions import captioned
        from devise.model.evaluating import gain_table

        if args.pictures:
            images = opening.classed(args, args.pictures)
        if "captions" in args:
            images = opening.captioned(args, model.table.images if images is None else images)
        before = None
        shown = None if images is None else opening.of_training(images)[0]
        if model.split is not None and len(model.split.test):
            before = model.evaluate(None if shown is None or shown.captions is None else captioned(model.table, shown))
        with progress_bar("fine-tune") as progress:
            tuned = model.finetune(images, progress=progress,
                                   **options.given(args, (*self.trained, *self.own, *self.of_classes)))
        tuned.save(args.output, overwrite=args.overwrite)
        after = tuned.evaluate() if before else None
        report = report_of(tuned, after, f"{tuned}, in {args.output}", thresholds_notes(tuned))
        gain = None
        if before and after:
            tables = [replace(table, caption=f"{when}: {table.caption}")
                      for when, found in (("Before", before), ("After", after)) for table in found.report("").tables]
            if LEARNT in before.retrieval:
                learnt = after.retrieval[LEARNT]
                gain = paired_difference(before.retrieval[LEARNT].map_at_r, learnt.map_at_r, learnt.labels)
                tables.append(gain_table({"MAP@R": gain}, "after − before", "classes"))
            report = replace(report, tables=tuple(tables))
        thresholds = {name: space.threshold for name, space in tuned.spaces.items() if space.threshold is not None}
        return Answer(report, {"model": str(args.output), "base": str(args.model),
                               "history": {space: found.to_json() for space, found in tuned.history.items()},
                               "before": before and figures_keys(model, before),
                               "after": after and figures_keys(tuned, after), "difference": gain,
                               "thresholds": thresholds})


class Calibrate(Command):
    """A model → one that says whether there is a match at all: a threshold for a space.

    PICTURES are of classes that the model was not trained on, in a folder a class. Each asks the others as if
    its class were not among them, and the threshold lets in the wanted share.

    --json prints {"model", "space", "threshold" (a cosine; null lets all in), "false_accept_rate", "trust"
    (intervals of the threshold and of the false accepts on other classes, "classes"), "skipped"}.
    """

    example = "  devise calibrate model ~/others --false-accept-rate 0.01 -o sure"
    stopped = UNTOUCHED

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("model", metavar="MODEL", help=options.OPTIONS["model"][2])
        options.add_pictures(parser, help="a folder a class, or features from `devise extract`")
        options.add_output(parser)
        options.add(parser, "devise.model.devise:Devise.calibrate", "space", "false_accept_rate")

    def run(self, args: Namespace) -> Answer:
        _other_place(args)
        opening.keep(args)
        found = opening.data(args, args.pictures)
        model = opening.model(args)
        with progress_bar("extract") as progress:
            table = model.features(found, progress=progress)
        say_skipped(table.images)
        sure = model.calibrate(table, **options.given(args, ("space", "false_accept_rate")))
        sure.save(args.output, overwrite=args.overwrite)
        name = vars(args).get("space") or next(iter(sure.spaces))
        space = sure.spaces[name]
        report = report_of(sure, None, f"{sure}, in {args.output}", thresholds_notes(sure))
        return Answer(report, {"model": str(args.output), "space": name, "threshold": space.threshold,
                               "false_accept_rate": (space.calibration or {})["asked"], "trust": space.calibration,
                               "skipped": opening.skipped(table.images)})


class Export(Command):
    """A model as one file: pictures in, unit embeddings of a space out, for programs that don't have devise.

    A .keras file is opened by keras.saving.load_model, an .onnx file by onnxruntime and many others. Input:
    float32 (n, h, w, 3), 0 to 255, RGB, at the size that is printed; scaling and channel order are inside.

    --json prints {"model", "space", "file", "format", "bytes", "input" (shape), "output" (shape),
    "largest_difference" (of an embedding's component in the file from the model's own, over two drawn
    pictures; null where onnxruntime is not installed)}.
    """

    example = """\
        devise export model -o model.keras
        devise export model --space shared -o model.onnx"""

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("model", metavar="MODEL", help="a folder that a training of devise wrote")
        options.add_output(parser, "FILE", type=options.path, help="model.keras or model.onnx: the ending says which")
        options.add(parser, "", "space")

    def run(self, args: Namespace) -> Answer:
        model = opening.model(args)
        from devise.model.saving import largest_difference
        from devise.storage import megabytes

        space = vars(args).get("space")
        path = model.export(args.output, space, overwrite=args.overwrite)
        head = model.embedding_space(space).head
        difference, size = largest_difference(model, path, space), path.stat().st_size
        shapes = {"input": [None, *model.backbone.size, 3], "output": [None, head.dim]}
        height, width = model.backbone.size
        report = Report(f"{path} ({megabytes(size)})", {
            "input": f"pictures (n, {height}, {width}, 3), 0 to 255", "output": f"unit embeddings (n, {head.dim})",
            "largest difference from the model's own": difference})
        return Answer(report, {"model": str(args.model), "space": space, "file": str(path),
                               "format": path.suffix.removeprefix("."), "bytes": size, **shapes,
                               "largest_difference": difference})


class Summary(Command):
    """The parameters of the whole network, picture in, embedding out; no weights are needed.

    --json prints {"backbone", "layer", "feature_dim", "dim", "total", "trainable", "non_trainable"}.
    """

    example = "devise summary --backbone vgg16 --dim 300 --json"

    def arguments(self, parser: ArgumentParser) -> None:
        options.add(parser, "", "backbone", default="vgg16", help="default: vgg16")
        options.add(parser, "", "layer")
        options.add(parser, "", "dim", default=300, help="of the word vectors (default: 300)")
        options.add(parser, "devise.heads.mlp:HeadConfig", *options.SHAPE)

    def run(self, args: Namespace) -> Answer:
        from devise import backbones
        from devise.heads import HeadConfig, MlpHead
        from devise.model import parameter_counts, whole_network

        backbone = backbones.load(args.backbone, weights=None, **options.given(args, ("layer",)))
        head = MlpHead(HeadConfig(args.dim, **options.given(args, options.SHAPE)))
        counts = parameter_counts(whole_network(backbone, head.build(backbone.dim, seed=0)))
        rows = [(name.replace("_", "-"), number) for name, number in counts.items()]
        report = Report(f"{backbone.name} {backbone.layer} → {args.dim}",
                        tables=(Table(("weights", "parameters"), rows, form="plain"),))
        return Answer(report, {"backbone": backbone.name, "layer": backbone.layer, "feature_dim": backbone.dim,
                               "dim": args.dim, **counts})
