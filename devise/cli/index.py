"""An index of pictures: `devise index` makes it, `add`, `remove` and `sync` change it."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from devise.cli import Answer, Command, WrongUsage, opening, options
from devise.cli.terminal import progress_bar, say, say_skipped
from devise.figures import counted, some
from devise.report import Report
from devise.spelling import meant

if TYPE_CHECKING:
    from devise.search import Changes, Search

KNOBS = {"trees": ({"annoy"}, "n_trees"), "search_k": ({"annoy"}, "search_k"), "uri": ({"milvus", "lancedb"}, "uri"),
         "recall": ({"annoy", "faiss", "hnswlib", "usearch", "auto"}, "recall")}
SHOWN = 5  # skipped files
AS_IT_WAS = "the index is as it was; the features are kept, and the same command goes on from them"


def _answer(search: Search, output: Path, title: str, **more: object) -> Answer:
    """What an index is like now."""
    parts = search.indexes
    engine = next(iter(parts.values())).engine
    recall = {space: part.recall() for space, part in parts.items()}
    facts = {"engine": engine, **{f"recall@10 in {space}, measured": value for space, value in recall.items()}}
    return Answer(Report(f"{title} in {output}", facts),
                  {"index": str(output), "n": len(search), **more, "engine": engine, "recall_at_10": recall})


class Index(Command):
    """Pictures → an index to search, complete on its own: it holds the model too.

    The model is one that needs no training, unless --model names one of `devise train`, `siamese` or
    `captions`. Each space of it is indexed: raw features, shared with the words, hidden (the last hidden
    layer of an mlp), learnt.

    --json prints {"index", "n", "model", "engine", "recall_at_10": {space: fraction of the exact answers,
    measured on this index}, "skipped": [{"path", "reason"}]}. Files that can't be read are listed and don't
    change the exit code.
    """

    example = """\
        devise index ~/pictures -o index
        devise index ~/pictures ~/more --model model -o index
        devise index ~/pictures --model lift --words glove-6b-300d -o index
        devise index features --thumbnails -o index"""
    stopped = AS_IT_WAS.replace("the index", "an older index", 1)

    def arguments(self, parser: ArgumentParser) -> None:
        options.add_pictures(parser)
        options.add_output(parser, "INDEX")
        options.add_model(parser)
        parser.add_argument("--spaces", type=options.names, metavar="A,B",
                            help="those to index (default: all that the model has)")
        parser.add_argument("--engine", default="auto", metavar="NAME",
                            help="exact, annoy, usearch, hnswlib, faiss, lancedb or milvus (default: auto, exact while "
                            "that is fast, then the best that is installed)")
        parser.add_argument("--uri", metavar="URI",
                            help="where the vectors lie. lancedb: ./vectors or s3://bucket/vectors, its keys in the "
                            "environment; milvus: ./pictures.db or http://host:19530, its token in MILVUS_TOKEN")
        parser.add_argument("--thumbnails", action="store_true",
                            help="keep a small copy of each picture in the index, also of those added later: what the "
                            "page and sheets show where the picture itself can't be reached")
        parser.add_argument("--recall", type=options.fraction, metavar="R",
                            help="annoy, faiss, hnswlib, usearch: look as deep as it takes to find this share of the "
                            "10 nearest, measured when the index is built (default: 0.97)")
        parser.add_argument("--trees", type=options.count, metavar="N",
                            help="annoy: more trees find more and take more room (default: 50)")
        parser.add_argument("--search-k", type=options.count, metavar="N",
                            help="annoy: look at more candidates, find more, take longer")

    def run(self, args: Namespace) -> Answer:
        knobs = self._knobs(args)
        found = opening.data(args, args.pictures)
        from devise import index, storage
        from devise.search import Search

        storage.vacant(args.output)
        decisive = tuple(set(knobs) - {"recall"})
        if args.engine == "auto":  # what can fail does so before the long part
            index.choose(1, 1, options=decisive)
        else:
            index.make(args.engine, **knobs)
        model = opening.model(args)
        with progress_bar("extract") as progress:
            search = Search.build(model, found, engine=args.engine, spaces=args.spaces, progress=progress, **knobs)
        say_skipped(search.images)
        if args.engine == "auto":
            dim = max(part.dim or 0 for part in search.indexes.values())
            engine, why = index.choose(len(search), dim, options=decisive)
            say(f"engine {engine}: {why}")
        for space, part in search.indexes.items():
            if part.looks:
                say(f"{space}: {part.looks}")
        if args.thumbnails:
            with progress_bar("thumbnails") as progress:
                lost = search.make_thumbnails(progress)
            if lost:
                say(f"{len(lost):,} of {len(search):,} pictures have no thumbnail, such as {lost[0].path}: "
                    f"{lost[0].reason}")
        search.save(args.output, overwrite=args.overwrite)
        return _answer(search, args.output, counted(len(search), "picture"), model=vars(args).get("model"),
                       skipped=opening.skipped(search.images))

    def _knobs(self, args: Namespace) -> dict[str, Any]:
        """The options that were given for an engine, as it calls them."""
        given = options.given(args, KNOBS)
        for name in given:
            engines = KNOBS[name][0]
            if args.engine not in (engines if len(engines) > 1 else {*engines, "auto"}):
                named = " or ".join(sorted(engines))
                raise WrongUsage(f"{options.flag(name)} belongs to {named}, the engine is {args.engine}: say --engine "
                                 f"{named}, or leave it out")
        return {KNOBS[name][1]: value for name, value in given.items()}


class Add(Command):
    """More pictures into an index, of new classes too; nothing is trained.

    --json prints {"index", "n", "added" (pictures), "engine", "recall_at_10", "skipped": [{"path",
    "reason"}]}, as `devise index` has it. A picture that is there already is skipped, unless its file has changed
    or was moved: then the index follows.
    """

    example = """\
        devise add index ~/more
        devise add index photo.jpg --label ketch"""
    stopped = AS_IT_WAS

    def arguments(self, parser: ArgumentParser) -> None:
        options.add_index(parser)
        options.add_pictures(parser)
        parser.add_argument("--label", metavar="NAME", help="the class of pictures that no folder names")

    def run(self, args: Namespace) -> Answer:
        found = opening.classed(args, args.pictures)
        search = opening.search([args.index])
        if args.label:
            label = meant(args.label, {*found.label_names, *search.images.label_names})
            names = tuple(dict.fromkeys((*found.label_names, label)))
            found = replace(found, label_names=names,
                            labels=np.where(found.labels < 0, names.index(label), found.labels))
        with progress_bar("extract") as progress:
            before, added = len(search), search.add(found, progress=progress)
        say_skipped(added)
        if len(added):
            search.save(args.index)
        new = len(search) - before
        renewed = f", {len(added) - new:,} brought up to date" if len(added) > new else ""
        return _answer(search, args.index, f"{counted(new, 'picture')} added{renewed}: {len(search):,}", added=new,
                       skipped=opening.skipped(added))


class Remove(Command):
    """Pictures out of an index; their files stay.

    --json prints {"index", "n", "removed" (paths), "engine", "recall_at_10"}, as `devise index` has it.
    """

    example = "devise remove index ~/pictures/blurred.jpg beach/4.jpg ~/pictures/screenshots"
    stopped = "the index is as it was"

    def arguments(self, parser: ArgumentParser) -> None:
        options.add_index(parser)
        parser.add_argument("pictures", nargs="+", metavar="PICTURES",
                            help="files or folders, or paths as the index has them")

    def run(self, args: Namespace) -> Answer:
        search = opening.search([args.index])
        root, sources = search.images.root, search.images.sources
        gone = search.remove(args.pictures)
        there = [path for path in gone if root and (root / path).is_file() and any(
            (root / path).resolve().is_relative_to(source) for source in sources)]
        search.save(args.index)
        told = _answer(search, args.index, f"{counted(len(gone), 'picture')} removed: {len(search):,}",
                       removed=list(gone))
        note = (f"devise sync would bring {some(there)} back: to keep a picture out, move its file out of the folders "
                "of the index",) if there else ()
        return told._replace(report=replace(told.report, notes=(*told.report.notes, *note)))


class Sync(Command):
    """An index in line with its folders: what is new there, has changed, has moved or is gone.

    It shows what it finds and asks; --yes does it without asking, --dry-run shows only. A picture that was
    moved or renamed keeps its vectors, and its class follows where its folder named it. Where a folder is
    missing or empty, as a drive is that is not mounted, or more than half of the pictures would leave, nothing
    is done without --allow-empty. No picture's file is touched.

    --json prints {"index", "n", "done" (whether the index was changed), "new", "changed", "gone" (paths),
    "moved": [{"path", "now", "label"}], "unreached" (paths that stay, since it can't be seen whether they are
    there), "skipped": [{"path", "reason"}]}, and, where the index was changed, "engine" and "recall_at_10" as
    `devise index` has them.
    """

    example = """\
        devise sync index
        devise sync index --dry-run
        devise sync index ~/pictures/2024 --yes"""
    stopped = AS_IT_WAS
    waits = True  # for an answer

    def arguments(self, parser: ArgumentParser) -> None:
        options.add_index(parser)
        parser.add_argument("folder", nargs="?", metavar="FOLDER",
                            help="look at its pictures alone, or at a further folder (default: all that the index has "
                            "read)")
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--yes", action="store_true", help="do it without asking")
        how.add_argument("--dry-run", action="store_true", help="show what would be done, and do nothing")
        parser.add_argument("--allow-empty", action="store_true", help="take out what can't be found even where a "
                            "folder is missing or empty, or more than half of the pictures would leave")

    def run(self, args: Namespace) -> Answer:
        if not (args.yes or args.dry_run or sys.stdin.isatty()):
            raise WrongUsage("nobody can be asked here: say --yes to do what is found, or --dry-run to see it")
        search = opening.search([args.index])
        with progress_bar("look") as progress:
            found = search.changes(args.folder, allow_empty=args.allow_empty, progress=progress)
        done = bool(found or found.stamps) and not args.dry_run and (args.yes or not found or _agreed(found))
        if not done:
            report = Report(f"{counted(len(search), 'picture')} in {args.index}, to bring in line: {len(found):,}",
                            tables=(found.table(),), notes=_skipped(found))
            return Answer(report, {"index": str(args.index), "n": len(search), "done": False, **found.to_json()})
        with progress_bar("extract") as progress:
            found = search.sync(changes=found, progress=progress)
        search.save(args.index)
        told = _answer(search, args.index, f"{counted(len(found), 'picture')} brought in line: {len(search):,}",
                       done=True, **found.to_json())
        return told._replace(report=replace(told.report, tables=(found.table(),),
                                            notes=(*told.report.notes, *_skipped(found))))


def _skipped(changes: Changes) -> list[str]:
    """Of each file in the folders that is not read, why; of many the first ones."""
    notes = [f"skipped: {item.path}: {item.reason}" for item in changes.skipped[:SHOWN]]
    left = len(changes.skipped) - SHOWN
    return notes + ([f"skipped: {left:,} more, see --json"] if left > 0 else [])


def _agreed(changes: Changes) -> bool:
    """Whether the person at the terminal agrees to what is shown."""
    say(changes.table().text())
    print("Bring the index in line? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
