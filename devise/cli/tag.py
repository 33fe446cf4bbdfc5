"""Pictures that are in no index: `devise tag` names them, `devise similarity` compares two."""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from devise import storage
from devise.cli import Answer, Command, WrongUsage, message, opening, options
from devise.cli.terminal import progress_bar, say_skipped
from devise.figures import counted
from devise.report import Report, Table

if TYPE_CHECKING:
    from devise.datasets import ImageSet
    from devise.features import FeatureTable
    from devise.model import Devise, TaggedImages

SETS = ("concepts", "words", "seen", "unseen", "all")
SOFTMAX = "softmax"
SHEET, FEW = 60, 8  # pictures on a sheet, and those for which two columns are enough
XMP, TABLES = "xmp", ("csv", "json")
UNCHANGED = "nothing was changed; the same command starts anew"


class Tag(Command):
    """Names for pictures, by classes never seen in training too.

    Of the words of the vocabulary, stop words, offensive words and plurals are no tags.

    --json prints {"rule" (nearest, or softmax), "model", "backbone": {"name", …, "trained"}, "candidates"
    (what could be named; null for softmax), "unknown": [{"name", "reason"}] (candidates that no vector is
    known of), "root" (the folder that paths start from), "pictures": [{"path", "tags": [{"name", "score",
    "weak"}]}], "skipped": [{"path", "reason"}], "sheet" (the drawing of --save, or null), "written" (null
    without --write, else {"file" (of a table, or null), "written", "merged", "unchanged" (how many
    sidecars), "unsure" (pictures without a sure tag: nothing is written), "failed": [{"path",
    "reason"}]})}. Scores are cosines, of softmax probabilities, of concepts how sure they are, best first;
    names too unsure to be relied on are "weak", where the model can tell (everyday, and those learnt beside
    it), and --reject leaves them out. Pictures that can't be read and unknown candidates are listed, the
    others are used, and the exit code is 1.

    --write xmp puts the tags of each picture, weak ones left out, into dc:subject of a file beside it,
    cat.jpg.xmp, where photo managers read keywords. Of a file that is there nothing else is changed; pictures
    never are.
    """

    example = """\
        devise tag cat.jpg
        devise tag ~/pictures -k 5 --write xmp
        devise tag ~/pictures --write tags.csv
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
        parser.add_argument("--write", type=written, metavar="FILE", default=argparse.SUPPRESS,
                            help="xmp: keywords in sidecar files; csv, json or a name such as tags.csv: a table")
        parser.add_argument("--overwrite", action="store_true", default=argparse.SUPPRESS,
                            help="--write FILE: replace the file that is there by another table")

    def run(self, args: Namespace) -> Answer:
        place = self._place(args)
        candidates = self._candidates(args)
        found = opening.images(args.pictures, **options.given(args, options.READ))
        unknown: list[dict] = []
        tells = False
        if args.rule == SOFTMAX:
            table, tagged = self._softmax(args, found)
        else:
            model = opening.model(args)
            tells = _tells(model, vars(args).get("space"))
            if options.given(args, ("reject",)) and not tells:
                raise ValueError("this model can't tell which names are too unsure to be relied on: leave --reject "
                                 "out, or take --model everyday")
            candidates, unknown = _known(model, candidates, **options.given(args, ("space",)))
            table, tagged = self._nearest(args, model, found, candidates)
        images = table.images
        say_skipped(images)
        if sheet := vars(args).get("save"):
            from devise import plots

            shown = [plots.Tagged(plots.Card(images.file(row), label=images.label_of(row) or ""), tuple(tags))
                     for row, tags in enumerate(list(tagged)[:SHEET])]
            plots.tag_sheet(shown, sheet, columns=2 if len(shown) <= FEW else 4,
                            score="probability" if args.rule == SOFTMAX else "score of the word")
        rest = f", with the first {SHEET} of {len(images):,} pictures" if len(images) > SHEET else ""
        told = write(place, images, tagged, overwrite=bool(options.given(args, ["overwrite"]))) if place else None
        named = list(zip(images.paths, tagged, strict=True))
        rows = [(path, ", ".join(f"{tag.name} {tag.score:z.2f}{'?' * tag.weak}" for tag in tags))
                for path, tags in named]
        weak = any(tag.weak for tags in tagged for tag in tags)
        report = Report(counted(len(rows), "picture"), tables=(Table(("picture", "tags"), rows),),
                        notes=(*(f"not among the candidates: {lost['name']}: {lost['reason']}" for lost in unknown),
                               *(("?: weak, too unsure to be relied on",) if weak else ()),
                               *((f"the sheet is {sheet}{rest}",) if sheet else ()), *notes(told),
                               *(("this model can't tell which names are unsure: all of each picture are in its "
                                  "sidecar, -k writes fewer",) if place == XMP and not tells else ())),
                        trained=table.backbone["trained"])
        return Answer(report, {
            "rule": args.rule if args.rule == SOFTMAX else "nearest", "model": vars(args).get("model"),
            "backbone": table.backbone, "candidates": candidates, "unknown": unknown, "root": str(images.root),
            "pictures": [{"path": path, "tags": [tag._asdict() for tag in tags]} for path, tags in named],
            "skipped": opening.skipped(images), "sheet": sheet, "written": told},
            failed=bool(unknown or images.skipped or told and told["failed"]))

    def _place(self, args: Namespace) -> str | Path | None:
        """What --write asks for, if that can be written at all."""
        place = vars(args).get("write")
        if place is None or place == XMP:
            options.refuse(args, ["overwrite"], "it is of --write FILE; of a sidecar nothing is lost")
        if place == XMP and args.pictures == [opening.SAMPLES] and not Path(opening.SAMPLES).exists():
            raise WrongUsage("the samples are files of scikit-image, beside which nothing is written: give pictures of "
                             "your own")
        return place

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

    def _nearest(self, args: Namespace, model: Devise, found: Any, candidates: Any
                 ) -> tuple[FeatureTable, TaggedImages]:
        """The features, and the tags by the words nearest in a model's space."""
        with progress_bar("extract") as progress:
            table = model.features(found, progress=progress)
        tagged = model.tag(table, candidates=candidates, **options.given(args, ("k", "first", "space")))
        return table, tagged.sure() if options.given(args, ("reject",)) else tagged

    def _softmax(self, args: Namespace, found: Any) -> tuple[FeatureTable, list]:
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


def _tells(model: Devise, space: str | None) -> bool:
    """Whether names of pictures can be weak in a space of the model."""
    text = model.spaces[model.text_space(space)].text
    return text is not None and text.thresholds(np.empty((0, text.dim), np.float32)) is not None


def _known(model: Devise, names: str | list[str] | None, space: str | None = None) -> tuple[Any, list[dict]]:
    """The candidates that have a place in the space, and of each other one why not; an error where none has one."""
    if not isinstance(names, list):
        return names, []
    unknown: dict[str, str] = {}
    for name in names:
        try:
            model.embed_text(name, space)
        except KeyError as error:
            if len(names) == 1:
                raise
            unknown[name] = str(error.args[0])
    if len(unknown) == len(names):
        raise ValueError(f"none of {len(names)} candidates is known: {'; '.join(unknown.values())}")
    return [name for name in names if name not in unknown], [
        {"name": name, "reason": reason} for name, reason in unknown.items()]


def written(value: str) -> str | Path:
    """An argument that is "xmp", or a table to write: its file, or its kind, which is tags.csv or tags.json here."""
    if value == XMP:
        return value
    place = options.path(f"tags.{value}" if value in TABLES else value)
    if place.suffix.lower().removeprefix(".") not in TABLES:
        raise argparse.ArgumentTypeError(f"{value!r} is neither xmp nor the name of a table: expected xmp, csv, json "
                                         "or a file that ends in .csv or .json")
    if os.path.lexists(place) and (place.is_symlink() or not place.is_file()):
        raise argparse.ArgumentTypeError(f"{place} is a link or no file: name another one")
    return place


def write(place: str | Path, images: ImageSet, tagged: Sequence, *, overwrite: bool = False) -> dict[str, Any]:
    """Write the tags of pictures to sidecars, but for weak ones, or to a table; how many were, for JSON.

    Raises:
        FileExistsError: if another table is there, and may not be replaced.
    """
    told: dict[str, Any] = {"file": None if place == XMP else str(place), "written": 0, "merged": 0, "unchanged": 0,
                            "unsure": 0, "failed": []}
    if not isinstance(place, Path):
        from devise.datasets import write_keywords

        for row, tags in enumerate(tagged):
            sure = [tag.name for tag in tags if not tag.weak]
            try:
                told[write_keywords(images.file(row), sure) if sure else "unsure"] += 1
            except (OSError, ValueError) as error:
                told["failed"].append({"path": images.paths[row], "reason": message(error)})
        return told
    rows = [{"picture": path, "rank": rank, "name": tag.name, "score": round(float(tag.score), 6), "weak": tag.weak}
            for path, tags in zip(images.paths, tagged, strict=True) for rank, tag in enumerate(tags, start=1)]
    if place.suffix.lower() == ".json":
        text = json.dumps(rows, indent=2, ensure_ascii=False) + "\n"
    else:
        with io.StringIO(newline="") as file:
            table = csv.DictWriter(file, ["picture", "rank", "name", "score", "weak"])
            table.writeheader()
            table.writerows(rows)
            text = file.getvalue()
    content = text.encode("utf-8", "surrogateescape")
    if place.exists() and place.read_bytes() == content:
        return told | {"unchanged": 1}
    if place.exists() and not overwrite:
        raise FileExistsError(f"{place} is there and holds something else, which would be lost: name another file, or "
                              "allow it with --overwrite")
    with storage.atomic_path(place) as temporary:
        temporary.write_bytes(content)
    return told | {"written": 1}


def notes(told: dict[str, Any] | None) -> tuple[str, ...]:
    """What `write` did, in sentences."""
    if told is None:
        return ()
    if told["file"]:
        return (f"{told['file']} is {'as it was' if told['unchanged'] else 'written'}",)
    none = f"; nothing for {counted(told['unsure'], 'picture')} without a sure tag" if told["unsure"] else ""
    return (f"sidecars: {told['written']:,} written, {told['merged']:,} merged, {told['unchanged']:,} unchanged{none}",
            *(f"no sidecar of {lost['path']}: {lost['reason']}" for lost in told["failed"]))


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
        for place in filter(os.path.isdir, asked):
            raise WrongUsage(f"{place} is a folder: expected two pictures")
        found = _readable(opening.images(asked))
        model = opening.model(args)
        table = model.features(found)
        _readable(table.images)
        spaces = {name: model.space(name) for name in options.given(args, ("space",)).values()} or model.spaces
        scores = {}
        for name, space in spaces.items():
            first, second = space.embed(table.matrix)
            scores[name] = float(np.clip(first @ second, -1, 1))
        report = Report(" and ".join(asked), trained=table.backbone["trained"], tables=(
            Table(("space", "cosine"), tuple(scores.items()), form="score"),))
        return Answer(report, {"pictures": asked, "model": vars(args).get("model"), "backbone": table.backbone,
                               "similarity": scores})


def _readable(images: ImageSet) -> ImageSet:
    for lost in images.skipped:
        raise ValueError(f"{lost.path} can't be read ({lost.reason}): two pictures are needed")
    return images
