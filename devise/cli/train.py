"""Trainings: `devise train`, `siamese` and `captions`, each of which writes a model and says what it can."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devise.cli import Answer, Command, WrongUsage, opening, options
from devise.cli.model import best_epochs, report_of, thresholds_notes
from devise.cli.terminal import progress_bar, say, say_skipped
from devise.figures import counted, some

if TYPE_CHECKING:
    from devise.datasets import ImageSet, Split
    from devise.features import FeatureTable
    from devise.model import Devise, Figures

PLACES = "a folder a class, features from `devise extract`, or 'caltech37', the features that come with devise"


class Training(Command):
    """What the trainings share: they write a model, and their answer is the report of an evaluation."""

    stopped = "an older model in the folder is as it was; the features are kept, and the same command goes on from them"

    def _answer(self, args: Namespace, model: Devise, keys: dict, figures: Figures | None, images: ImageSet,
                notes: tuple[str, ...] = ()) -> Answer:
        say_skipped(images)
        model.save(args.output, overwrite=args.overwrite)
        report = report_of(model, figures, f"{model}, in {args.output}", (*best_epochs(model), *notes))
        return Answer(report, {"model": str(args.output), "backbone": model.network.record, **keys,
                               "skipped": opening.skipped(images)})


class Train(Training):
    """Pictures with classes → a model that carries them onto the word vectors of their labels.

    --json prints {"model", "seen", "unseen" (class names), "history": {"loss", "validation_loss", "score",
    "best_epoch", "batch_size", "seconds"} (null without epochs), "start" (the model beside which it learnt, null
    for none), "left_out" (labels that --skip-unknown left out), "warnings" (what is doubtful about the
    labels), "unseen_beside" ({"trained", "everyday", "chance"}: right among the unseen labels, fractions; null
    without two such), "skipped": [{"path", "reason"}]} and what `devise evaluate` prints: "backbone", "hit_at_k",
    "n", "candidates", "without_answer". Files that can't be read are listed and don't change the exit code.
    """

    example = """\
        devise train ~/pictures --unseen elephant,lobster -o model
        devise train caltech37 --from none --head ridge -o model
        devise train features --words glove-6b-300d --epochs 30 -o model"""
    split = ("unseen", "test", "validation", "seed", "skip_unknown")
    training = ("epochs", "batch_size", "optimiser", "learning_rate", "momentum", "patience")

    def arguments(self, parser: ArgumentParser) -> None:
        source = "devise.model.labels:train_labels"
        options.add_pictures(parser, nargs=None, help=PLACES)
        options.add_output(parser)
        options.add(parser, source, *self.split, "words", "synonyms")
        options.add_network(parser)
        parser.add_argument("--from", dest="start", metavar="MODEL", default=SUPPRESS, help="learn beside this model, "
                            "which goes on finding and naming what it knew: everyday, the one that comes with devise, "
                            "a folder of one trained beside it, or none (default: everyday where backbone and words "
                            "are its own and none of the options below is given)")
        options.add(parser, "", "head")
        options.add(parser, "devise.heads.mlp:HeadConfig", *options.SHAPE)
        options.add(parser, source, "loss", choices=("cosine", "hinge", "infonce"), help="of the mlp: cosine, DeViSE's "
                    "hinge rank, or InfoNCE over the labels")
        options.add(parser, options.TRAIN, *self.training)

    def run(self, args: Namespace) -> Answer:
        training, start = options.given(args, (*self.training, "loss")), self._start(args)
        if "head" in args and args.head == "ridge":
            options.refuse(args, (*self.training, "loss", *options.SHAPE), "the ridge head has a closed form")
        found = opening.data(args, args.pictures)
        asked = {**options.given(args, self.split), **opening.words(args), **opening.synonyms(args)}
        if args.pictures == opening.BUNDLED and "unseen" not in asked:
            from devise.recipes import bundled_table

            asked["unseen"] = bundled_table()[1].unseen
        opening.keep(args, found)
        backbone = opening.network(args, found)
        from devise import plots
        from devise.datasets import Split
        from devise.model import train_labels
        from devise.model.pretrained import unseen_beside

        with progress_bar("train", unit="steps") as progress:
            model = train_labels(found, backbone=backbone, head=opening.head(args), progress=progress, start=start,
                                 **asked, **training)
        figures, beside = model.evaluate(), unseen_beside(model)
        used = model.split or Split()
        history = next((history.to_json() for history in model.history.values()), None)
        start = model.record["start"]
        parts = [f"{len(rows):,} {what}" for rows, what in (
            (used.train, "to train on"), (used.validation, "to choose by"), (used.test, "to test"),
            (used.unseen_rows, "of unseen classes")) if len(rows)]
        told = (f"Of {counted(len(model.table), 'picture')}: {', '.join(parts)}.",
                f"Learnt beside the model {start!r}: other words find and name what they did." if start else
                "Learnt from nothing: words that are no labels know only what these classes say of them.",
                *((_told(beside, start),) if beside else ()))
        lone = [name for name in model.table.images.single if name in used.seen]
        told = (*told, *_lone(lone, "trained and not tested"))
        answer = self._answer(args, model, {
            "seen": list(used.seen), "unseen": list(used.unseen), **figures.to_json(),
            **{name: model.record[name] for name in ("start", "left_out")}, "warnings": model.record["doubts"],
            "unseen_beside": beside, "history": history}, figures, model.table.images,
            (*map(options.typed, model.record["doubts"]), *told))
        if history:
            plots.history_curve(history, args.output / "history.png")
        return answer

    def _start(self, args: Namespace) -> str | Path | None:
        """What to learn beside: as asked, else nothing where the training itself is asked for."""
        asked = vars(args).get("start")
        own = ("head", *options.SHAPE, "loss", *self.training)
        if asked is None:
            return None if options.given(args, own) else "auto"
        if asked != "none":
            options.refuse(args, own, "they are for a training from nothing, --from none")
        return None if asked == "none" else asked


def _lone(names: Sequence[str], what: str) -> list[str]:
    """That some classes have one picture, and what follows from it; of many the first ones.

    >>> _lone(["fish"], "trained and not tested"), _lone([], "")
    (['1 class of one picture, trained and not tested: fish'], [])
    """
    return [f"{counted(len(names), 'class')} of one picture, {what}: {some(names, 10)}"] if names else []


def _told(beside: dict[str, float], start: str | None = None) -> str:
    """What the figures of unseen classes say of words beyond the trained ones.

    >>> _told({"trained": 0.2, "everyday": 0.9, "chance": 0.25})[-45:]
    '--from everyday for words beyond the classes.'
    """
    other = "beside which this one learnt" if start else "that comes with devise"
    told = (f"Unseen pictures among the unseen labels: {beside['trained']:.1%} right, {beside['everyday']:.1%} by the "
            f"model {other}, {beside['chance']:.1%} by chance.")
    if start or beside["trained"] > max(beside["everyday"], beside["chance"]):
        return told
    worse = "not better than that model" if beside["trained"] > beside["chance"] else "not better than chance"
    return f"{told} The training is {worse} here: --from everyday for words beyond the classes."


class Siamese(Training):
    """Pictures, or features made before, → a model for picture → picture search by a learnt distance.

    Some classes train, others choose the best epoch and the threshold of a match, and others, which nothing
    has seen, are for the figures: the raw features before, the learnt space after. --loss is triplet,
    contrastive, margin, range, n-pair, multi-similarity, …

    --json prints {"model", "backbone", "classes": {"train", "validation", "test"} (names), "single"
    (classes of one picture, which give no pair), "loss" (its name, miner and options), "before" and "after"
    (raw and learnt: {"hit_at_k", "recall_at_k", "precision_at_k", "ceiling_at_k", "r_precision",
    "map_at_r", "n", "gallery", "undefined", "ks_left_out"}, fractions), "difference" ({"difference", "low",
    "high", "p", "n"} of MAP@R, by drawing whole classes), "false_accept_rate", "thresholds" ({space:
    cosine}), "trust" ({space: what the threshold rests on: intervals of it and of the false accepts on other
    classes, "classes"}), "open_set" ({space: {"unknown_accepted", "known_rejected", "identified", …}}),
    "galleries" ({"sizes": {size: {space: figures}}, "left_out", "smallest", "largest", "draws"}),
    "history", "skipped"}. Without test classes "before", "after", "difference", "open_set" and "galleries"
    are null, and without --gallery the last is.
    """

    example = """\
        devise siamese ~/pictures -o model
        devise siamese ~/pictures --loss triplet --miner semi-hard --epochs 30 --false-accept-rate 0.01 -o model
        devise siamese features --loss multi-similarity --test elephant,lobster,crab --gallery 100,1000 -o model"""
    settable = ("loss", "miner", "validation", "test", "classes", "per_class", "epochs", "optimiser", "learning_rate",
                "false_accept_rate", "seed")
    shape = ("dim", "start", "power")

    def arguments(self, parser: ArgumentParser) -> None:
        source = "devise.model.classes:train_classes"
        options.add_pictures(parser, nargs=None, help=PLACES)
        options.add_output(parser)
        options.add_network(parser, source)
        options.add(parser, source, *self.settable)
        options.add(parser, options.TRAIN, "patience")
        options.add(parser, "", *self.shape, "gallery")

    def run(self, args: Namespace) -> Answer:
        found = opening.data(args, args.pictures)
        opening.keep(args, found)
        backbone = opening.network(args, found)
        from devise.datasets import Split
        from devise.model import train_classes
        from devise.model.classes import projection

        head = projection(**shape) if (shape := options.given(args, self.shape)) else None
        with progress_bar("train", unit="steps") as progress:
            model = train_classes(found, backbone=backbone, head=head, progress=progress,
                                  **options.given(args, (*self.settable, "patience")))
        used, images = model.split or Split(), model.table.images
        names = used.names
        figures = model.evaluate(galleries=vars(args).get("gallery", ())) if len(used.test) else None
        single = list(images.single)
        trust = {name: space.calibration for name, space in model.spaces.items() if space.calibration}
        told = figures.to_json() if figures else {}
        keys = {"classes": {part: list(names[part]) for part in ("train", "validation", "test")}, "single": single,
                "loss": model.record["loss"], "before": told.get("retrieval", {}).get("raw"),
                "after": told.get("retrieval", {}).get("learnt"),
                "difference": figures.difference() if figures else None,
                "false_accept_rate": trust["learnt"]["asked"],
                "thresholds": {name: model.spaces[name].threshold for name in trust}, "trust": trust,
                "open_set": told.get("open_set"), "galleries": told.get("galleries"),
                "history": model.history["learnt"].to_json()}
        return self._answer(args, model, keys, figures, images, (
            *thresholds_notes(model), *_lone(single, "without a pair to learn from or to find")))


class Captions(Training):
    """Pictures with sentences about them → a model that finds pictures by a sentence, or by a picture as people
    would describe it.

    PICTURES is a folder in Flickr8k's layout (pictures, a file of captions, lists of the parts), or any folder
    with --captions. Some pictures train, others (validation) choose the best epoch, others (test) are for the
    figures. At search time pictures alone are given.

    --json prints {"model", "backbone", "words", "loss", "pictures": {"train", "validation", "test"} (how
    many), "figures": {"by_space": {"raw", "learnt", "shared": {"agreement", "ndcg", "area", "pearson", "n",
    "ties", "undecided", "triplets"}}, "text" ({space: {"image → text @1": fraction, …}}), "pictures",
    "sentences", "left_out"}, "difference" ({"agreement", "ndcg": {"difference", "low", "high", "p", "n"}} of
    learnt to raw), "history" ({space: …}), "unlisted" (pictures in no part), "skipped"}. Without test
    pictures "figures" and "difference" are null.
    """

    example = """\
        devise captions ~/flickr8k -o model
        devise captions ~/pictures --captions captions.csv -o model
        devise captions features --captions results_20130124.token --loss ranking -o model"""

    def arguments(self, parser: ArgumentParser) -> None:
        source = "devise.model.captions:train_captions"
        options.add_pictures(parser, nargs=None, help="a folder of pictures, or of features from `devise extract`")
        options.add_output(parser)
        options.add(parser, "", "captions")
        options.add(parser, source, "words", "validation", "test", "seed")
        options.add(parser, source, "loss", choices=("triplet", "ranking"), help="of picture → picture: a hinge on "
                    "triplets, or listwise")
        options.add_network(parser, source)
        options.add(parser, "", "epochs", help="of either training (default: 30 for pictures, 25 for sentences)")

    def run(self, args: Namespace) -> Answer:
        found, split = self._data(args)
        opening.keep(args, found)
        words, backbone = opening.words(args), opening.network(args, found)
        from devise.datasets import Skipped, Split
        from devise.model import train_captions

        epochs: dict[str, Any] = {}
        if "epochs" in args:
            epochs = {name: {"epochs": args.epochs} for name in ("visual", "joint")}
        with progress_bar("train", unit="steps") as progress:
            model = train_captions(found, **words, backbone=backbone, split=split, progress=progress, **epochs,
                                   **options.given(args, ("loss", "seed", "validation", "test")))
        images = model.table.images
        lost = (*images.skipped, *(Skipped(*item) for item in model.record["skipped"]))
        used = model.split or Split()
        parts = {part: len(used.rows(part)) for part in ("train", "validation", "test")}
        figures = model.evaluate() if parts["test"] > 2 else None
        told = figures and figures.captions
        unlisted = 0 if split is None else len(found) - sum(len(split.rows(part)) for part in parts)
        if unlisted:
            say(f"not used, since in no list: {counted(unlisted, 'picture')}")
        keys = {"words": model.words_record, "loss": model.record["loss"], "pictures": parts,
                "figures": told and told.to_json(),
                "difference": told and {figure: told.difference(figure) for figure in ("agreement", "ndcg")},
                "history": {space: history.to_json() for space, history in model.history.items()},
                "unlisted": unlisted}
        return self._answer(args, model, keys, figures, replace(images, skipped=lost))

    def _data(self, args: Namespace) -> tuple[ImageSet | FeatureTable, Split | None]:
        """Pictures or features with captions, and the parts that their folder lists."""
        if opening.is_table(args.pictures):
            if "captions" not in args:
                raise WrongUsage("features have no captions beside them: name the file with --captions FILE")
            return opening.captioned(args, opening.data(args, args.pictures)), None
        place = opening.existing(args.pictures, "a folder of pictures")
        if not place.is_dir():
            raise WrongUsage(f"{args.pictures} is a file: name a folder of pictures")
        from devise.datasets import caption_set

        found = caption_set(place, vars(args).get("captions"))
        if found.split and (shares := options.given(args, ("validation", "test"))):
            raise WrongUsage(f"{', '.join(map(options.flag, shares))} can't be used here: the folder lists its own "
                             "parts")
        missing = [part for part in ("train", "validation") if found.split and not len(found.split.rows(part))]
        if missing:
            say(f"the folder has lists and none of {' and '.join(missing)} pictures that are here: a split is drawn")
        return found.images, None if missing else found.split
