"""Pictures that are in no index: `devise tag` names them, `devise similarity` compares two."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

import numpy as np

from devise.cli import Answer, Command, WrongUsage, opening, options
from devise.cli.terminal import progress_bar, say_skipped
from devise.report import Report, Table

if TYPE_CHECKING:
    from devise.features import FeatureTable
    from devise.model import TaggedImages

SETS = ("concepts", "words", "seen", "unseen", "all")
SOFTMAX = "softmax"
UNCHANGED = "nothing was changed; the same command starts anew"


class Tag(Command):
    """Names for pictures, by classes never seen in training too.

    Of the words of the vocabulary, stop words, offensive words and plurals are no tags.

    --json prints {"rule" (nearest, or softmax), "model", "backbone": {"name", …, "trained"}, "candidates"
    (what could be named; null for softmax), "root" (the folder that paths start from), "pictures": [{"path",
    "tags": [{"name", "score", "weak"}]}], "skipped": [{"path", "reason"}], "sheet" (the drawing of --save, or
    null)}. Scores are cosines, of softmax probabilities, of concepts how sure they are, best first; concepts
    too unsure to be relied on are "weak", and --reject leaves them out. Pictures that can't be read are
    listed, the others are tagged, and the exit code is 1.
    """

    example = """\
        devise tag cat.jpg
        devise tag cat.jpg dog.jpg --candidates cat,dog,"dollar bill" -k 2 --save tags.png
        devise tag ~/pictures --model model
        devise tag --rule softmax --backbone efficientnet_lite0 cat.jpg"""
    stopped = UNCHANGED

    def arguments(self, parser: ArgumentParser) -> None:
        options.add_pictures(parser)
        options.add_model(parser)
        parser.add_argument("--rule", choices=(*opening.PRETRAINED, SOFTMAX),
                            help="conse and lift are the models of these names; softmax: the classes that the backbone "
                            "was itself trained on")
        options.add_reject(parser)
        options.add(parser, "devise.model.devise:Devise.tag", "k", "candidates", "first")
        options.add(parser, "", "space", "save")

    def run(self, args: Namespace) -> Answer:
        candidates = self._candidates(args)
        found = opening.images(args.pictures, **options.given(args, options.READ))
        table, tagged = (self._softmax if args.rule == SOFTMAX else self._nearest)(args, found, candidates)
        images = table.images
        say_skipped(images)
        if sheet := vars(args).get("save"):
            from devise import plots

            shown = [plots.Tagged(plots.Card(images.file(row), label=images.label_of(row) or ""), tuple(tags))
                     for row, tags in enumerate(tagged)]
            plots.tag_sheet(shown, sheet, score="probability" if args.rule == SOFTMAX else "score of the word")
        named = list(zip(images.paths, tagged, strict=True))
        rows = [(path, ", ".join(f"{tag.name} {tag.score:.2f}{'?' * tag.weak}" for tag in tags))
                for path, tags in named]
        weak = any(tag.weak for tags in tagged for tag in tags)
        report = Report(f"{len(rows):,} pictures", tables=(Table(("picture", "tags"), rows),),
                        notes=(*(("?: weak, too unsure to be relied on",) if weak else ()),
                               *((f"the sheet is {sheet}",) if sheet else ())), trained=table.backbone["trained"])
        return Answer(report, {
            "rule": args.rule if args.rule == SOFTMAX else "nearest", "model": vars(args).get("model"),
            "backbone": table.backbone, "candidates": candidates, "root": str(images.root),
            "pictures": [{"path": path, "tags": [tag._asdict() for tag in tags]} for path, tags in named],
            "skipped": opening.skipped(images), "sheet": sheet}, failed=bool(images.skipped))

    def _candidates(self, args: Namespace) -> str | list[str] | None:
        """What may be named: the name of a set, or a list of words and phrases; None for what the rule names."""
        if args.rule == SOFTMAX:
            options.refuse(args, ("candidates", "words", "model", "first", "space", "reject"),
                           "softmax knows the backbone's own classes only")
            return None
        if args.rule:
            options.refuse(args, ("model",), f"--rule {args.rule} is a model of its own")
            args.model = args.rule
        asked = vars(args).get("candidates")
        if asked is None or asked in SETS:
            return asked
        if not (names := list(dict.fromkeys(options.names(asked)))):
            raise WrongUsage("--candidates holds no name: give some between commas, cat,dog")
        return names

    def _nearest(self, args: Namespace, found: Any, candidates: Any) -> tuple[FeatureTable, TaggedImages]:
        """The features, and the tags by the words nearest in a model's space."""
        model = opening.model(args)
        with progress_bar("extract") as progress:
            table = model.features(found, progress=progress)
        tagged = model.tag(table, candidates=candidates, **options.given(args, ("k", "first", "space")))
        return table, tagged.sure() if options.given(args, ("reject",)) else tagged

    def _softmax(self, args: Namespace, found: Any, candidates: Any) -> tuple[FeatureTable, list]:
        """The logits, and the tags by the classes of the backbone's own classifier."""
        backbone = opening.backbone(args)
        from devise import features
        from devise.model import Tag as Named
        from devise.zeroshot import Softmax

        with progress_bar("extract") as progress:
            table = features.compute(found, backbone, logits=True, progress=progress)
        names, k = backbone.class_names, vars(args).get("k", options.default("devise.model.devise:Devise.tag", "k"))
        hits = Softmax().tag(table.matrix, min(k, len(names)))
        return table, [[Named(names[row], float(score)) for row, score in zip(ids, scores, strict=True)]
                       for ids, scores in zip(*hits, strict=True)]


class Similarity(Command):
    """The cosine of two pictures, in each space of a model, or in one.

    --json prints {"pictures" (the two paths), "model", "backbone": {"name", …, "trained"}, "similarity":
    {"raw", "shared", … (each space)}}, cosines in [-1, 1].
    """

    example = """\
        devise similarity cat.jpg dog.jpg
        devise similarity cat.jpg dog.jpg --model model --space shared"""
    stopped = UNCHANGED

    def arguments(self, parser: ArgumentParser) -> None:
        for name in ("first_picture", "second_picture"):
            parser.add_argument(name, metavar="PICTURE")
        options.add_model(parser)
        options.add(parser, "", "space", help="one of the model's (default: each)")

    def run(self, args: Namespace) -> Answer:
        asked = [args.first_picture, args.second_picture]
        found = opening.images(asked)
        if found.skipped:
            lost = found.skipped[0]
            raise ValueError(f"{lost.path} can't be read ({lost.reason}): two pictures are needed")
        model = opening.model(args)
        table = model.features(found)
        if len(table) < 2:
            lost = table.images.skipped[0]
            raise ValueError(f"{lost.path} can't be read ({lost.reason}): two pictures are needed")
        spaces = {name: model.space(name) for name in options.given(args, ("space",)).values()} or model.spaces
        scores = {}
        for name, space in spaces.items():
            first, second = space.embed(table.matrix)
            scores[name] = float(np.clip(first @ second, -1, 1))
        report = Report(" and ".join(asked), trained=table.backbone["trained"], tables=(
            Table(("space", "cosine"), tuple(scores.items()), form="score"),))
        return Answer(report, {"pictures": asked, "model": vars(args).get("model"), "backbone": table.backbone,
                               "similarity": scores})
