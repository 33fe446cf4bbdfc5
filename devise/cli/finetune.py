"""What is done to a model afterwards: `devise finetune` and `devise calibrate`, each of which writes another one."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

from devise.cli import Answer, Command, WrongUsage, opening, options
from devise.cli.evaluate import figures_keys, report_of, thresholds_notes
from devise.cli.terminal import progress_bar, say_skipped

UNTOUCHED = "the model is as it was, and nothing was written; the same command starts anew"


def _other_place(args: Namespace) -> None:
    """Refuse to write a model over the one that it is made from."""
    if Path(args.output).resolve() == Path(args.model).expanduser().resolve():
        raise WrongUsage(f"{args.output} is the model itself, which stays as it is: name another folder")


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
        from devise.features import FeatureTable
        from devise.metrics import paired_difference
        from devise.model import LEARNT
        from devise.model.captions import captioned
        from devise.model.reporting import gain_table

        if args.pictures:
            images = opening.classed(args, args.pictures)
        if "captions" in args:
            images = opening.captioned(args, model.table.images if images is None else images)
        before = None
        if model.split is not None and len(model.split.test):
            shown = images.images if isinstance(images, FeatureTable) else images
            told = shown is not None and shown.captions is not None
            before = model.evaluate(captioned(model.table, shown) if shown is not None and told else None)
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
            report = replace(report, tables=tuple(tables))
        if before and after and LEARNT in before.retrieval:
            gain = paired_difference(before.retrieval[LEARNT].map_at_r, after.retrieval[LEARNT].map_at_r,
                                     after.retrieval[LEARNT].labels)
            report = replace(report, tables=(*report.tables, gain_table({"MAP@R": gain}, "after − before", "classes")))
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
