"""Questions to an index, and to word vectors: `devise search` and `devise words`."""

from __future__ import annotations

import argparse
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devise.cli import Answer, Command, WrongUsage, opening, options
from devise.cli.terminal import progress_bar, say
from devise.figures import counted, score
from devise.report import Report, Table

LINES, LINE = 30, 12  # of a sheet, and pictures in a line

if TYPE_CHECKING:
    from devise.search import Results
    from devise.search import Search as Engine
    from devise.words import WordVectors


class Search(Command):
    """Pictures by a word, a sentence, a picture, or a picture changed by words; words by a word.

    --json prints {"index", "results": [{"query", "space", "matches": [{"row", "path", "label", "score",
    "file", "weak"}], "threshold", "known"}], "failed": [{"query", "reason"}], "sheet"}: scores are cosines, best
    first; "file" is the picture on this disk and "sheet" the drawing of --save, or null; "index" is a list
    where several are searched. Where the model has a threshold (that of a text is its own), "known" says whether
    the best score reaches it, and "weak" which scores don't: those pictures are merely the nearest, and --reject
    leaves them out. Else "known" and "threshold" are null and nothing is weak. The result of a picture that words
    change has them as "plus" and "minus", lists of text; further pictures are in "also". With --where a result
    has "where": {"condition", "selected" (pictures for which it holds), "lacking": {field: pictures of which
    it is not known}}. With --word it prints {"query", "words": [{"word",
    "score"}]}. Of several queries each that fails is listed, the others are answered, and the exit code is 1.
    """

    example = """\
        devise search index --text ocean --save sheet.png
        devise search index --text "dollar bill" --text lobster -k 5
        devise search index --picture cat.jpg
        devise search index --picture cat.jpg --plus "blue hat" --minus grass --save sheet.png
        devise search index --text "beach -people" --where "taken>=2024-06 and camera~Pixel"
        devise search index --text "red car^2 snow" --also street.jpg
        devise search index --word ocean
        devise search holidays archive --text ocean"""
    stopped = "nothing was changed; the same command starts anew"

    def arguments(self, parser: ArgumentParser) -> None:
        options.add_index(parser, "searched")
        query = parser.add_mutually_exclusive_group()
        several: dict[str, Any] = {"action": "append"}
        query.add_argument("--text", metavar="TEXT", help="words or a sentence; -WORD takes a word away, WORD^2 counts "
                           "it twice, quotes hold a phrase together; may be given several times, for several questions",
                           **several)
        query.add_argument("--picture", metavar="PICTURE", help="an indexed picture or any other file; may be given "
                           "several times", **several)
        query.add_argument("--word", metavar="WORD", help="the words nearest to a word or phrase")
        parser.add_argument("--plus", metavar="TEXT", help="--picture: what it should show more of, in a space shared "
                            "with words; may be given several times", **several)
        parser.add_argument("--minus", metavar="TEXT", help="--picture: what it should show less of", **several)
        parser.add_argument("--also", metavar="PICTURE", help="a further picture that the answer to each question "
                            "shall be like; may be given several times", **several)
        parser.add_argument("--where", metavar="CONDITION", help="only pictures for which it holds: taken, camera, "
                            "folder, label, name, place, latitude, longitude, width or height, with = != < <= > >= or "
                            "~ (contains), joined by and, or, not")
        options.add_reject(parser)
        options.add(parser, "", "false_accept_rate", help="--text: the share of pictures without the thing that may "
                    "pass for it (default: that of the model)")
        options.add(parser, "devise.search.asking:Indexed.by_text", "k")
        options.add(parser, "", "space", "save")

    def run(self, args: Namespace) -> Answer:
        self._check(args)
        engine = opening.search(args.index)
        if args.word:
            found = engine.by_word(args.word, **options.given(args, ("k",)))
            report = replace(words_report(args.word, found), notes=strange_words(args.word, engine.model.words))
            return Answer(report, {"query": args.word, "words": scored(found)})
        results, failed = self._ask(engine, args)
        index = args.index if len(args.index) > 1 else args.index[0]
        sheet = vars(args).get("save")
        drawn = (save_sheet(engine, results, sheet),) if sheet else ()
        from devise.model import weights_of

        texts = [part for result in results if args.text for part in weights_of(result.query)]
        asked = [*texts, *(args.plus or ()), *(args.minus or ())]
        report = Report(f"{counted(len(engine.rows), 'picture')} in {', '.join(args.index)}",
                        tables=tuple(_table(engine, result) for result in results),
                        notes=(*(note for text in asked for note in strange_words(text, engine.model.words)), *drawn))
        return Answer(report, {"index": index, "results": [_result(engine, found) for found in results],
                               "failed": failed, "sheet": sheet}, failed=bool(failed))

    def _check(self, args: Namespace) -> None:
        """Stop where the question makes no sense."""
        if args.word:
            options.refuse(args, ["save", "space", "reject", "also", "where"], "--word finds words, not pictures")
        if not args.text:
            options.refuse(args, ["false_accept_rate"], "it is of --text")
        if args.plus or args.minus or args.picture and args.also:
            options.refuse(args, ["reject"], "a picture that is changed has no threshold")
        if not args.picture:
            options.refuse(args, ["plus", "minus"], "they change a picture: give one with --picture, or write a text "
                           "as \"beach -people\"")
        if not (args.text or args.picture or args.word):
            lacking = [name for name in args.index[1:] if not os.path.exists(options.path(name))]
            meant = f": did you mean --text {' '.join(lacking)!r}?" if lacking else ""
            raise WrongUsage(f"one of the arguments --text --picture --word is required{meant}")

    def _ask(self, engine: Engine, args: Namespace) -> tuple[list[Results], list[dict]]:
        """(results, what failed); an error only where nothing was answered."""
        results, failed, queries = [], [], args.text or args.picture
        how: dict[str, Any] = options.given(args, ("k", "space"))
        changes, also = options.given(args, ("plus", "minus", "also")), options.given(args, ("also",))
        if args.where:
            how["where"] = engine.select(args.where)
        rate, reject = options.given(args, ("false_accept_rate",)), bool(options.given(args, ("reject",)))
        for query in queries:
            try:
                results.append(engine.by_text(query, reject=reject, **rate, **how, **also) if args.text else
                               engine.by_change(query, **how, **changes) if changes else
                               engine.by_image(query, reject=reject, **how))
            except (KeyError, ValueError) as error:
                if len(queries) == 1:
                    raise
                failed.append({"query": query, "reason": str(error.args[0])})
                say(f"{query}: {error.args[0]}")
        if not results:
            raise ValueError(f"none of {len(failed)} queries could be answered")
        return results, failed


def strange_words(text: str, words: WordVectors) -> tuple[str, ...]:
    """A sentence a word of a text that is rare and no known noun: where it lies, only the words near it say."""
    from devise.words.auditing import strange

    found = []
    for word in strange(text, words):
        near = ", ".join(other for other, _ in words.neighbours(word, 3))
        spelt = words.near_spellings(word)
        found.append(f"{word!r} is a rare word of {words.name}, found only through the words near it ({near})"
                     + (f": did you mean {' or '.join(spelt)}?" if spelt else ""))
    return tuple(found)


def scored(found: Sequence[tuple[str, float]]) -> list[dict]:
    """Words with their cosines, for JSON."""
    return [{"word": word, "score": float(score)} for word, score in found]


def words_report(word: str, found: list[tuple[str, float]]) -> Report:
    """The words near a word."""
    return Report(f"words near {word!r}", tables=(Table(("word", "cosine"), found, form="score"),))


class Duplicates(Command):
    """Copies in an index: the same bytes, resized, recompressed, slightly cropped pictures, bursts.

    Pictures are grouped by their features and a perceptual hash. Nothing is deleted: what to keep is yours
    to say.

    --json prints {"index", "groups": [[{"row", "path", "score" (the cosine with the nearest other of the
    group), "same_as" (the path of a picture with the same bytes, or null), "file"}]], "sheet"}; "file" is the
    picture on this disk and "sheet" the drawing of --save, or null.
    """

    example = """\
        devise duplicates index
        devise duplicates index --save copies.png"""
    stopped = "nothing was changed; the same command starts anew"

    def arguments(self, parser: ArgumentParser) -> None:
        options.add_index(parser, "looked at")
        parser.add_argument("--alike", type=options.fraction, metavar="COSINE", default=argparse.SUPPRESS,
                            help="of features, from which pictures are nearly the same whatever their hashes say "
                            "(default: 0.85)")
        options.add(parser, "", "save")

    def run(self, args: Namespace) -> Answer:
        engine = opening.search(args.index)
        with progress_bar("compare") as progress:
            groups = engine.duplicates(**options.given(args, ("alike",)), progress=progress)
        sheet = vars(args).get("save")
        drawn = (_save_groups(engine, groups, sheet),) if sheet and groups else ()
        rows = [(number, copy.score, copy.path, f"same bytes as {copy.same_as}" if copy.same_as else "")
                for number, group in enumerate(groups, 1) for copy in group]
        n, of, names = sum(map(len, groups)), counted(len(engine.rows), "picture"), ", ".join(args.index)
        report = Report(f"{n:,} of {of} in {names} are in {counted(len(groups), 'group')} of near copies",
                        tables=(Table(("group", "cosine", "picture", ""), rows, form={"cosine": "score"}),) if rows
                        else (), notes=drawn)
        return Answer(report, {"index": args.index if len(args.index) > 1 else args.index[0], "groups": [
            [copy._asdict() | {"file": _file(engine, copy)} for copy in group] for group in groups],
            "sheet": sheet if groups else None})


def _save_groups(engine, groups, path):
    """Draw a group a line, its first picture before the others; a sentence on the sheet."""
    from devise import plots
    from devise.search.pictures import shown

    def card(copy, label):
        return plots.Card(shown(engine, copy.row), label=label, score=copy.score, name=copy.path)

    return _drawn([(card(first, "first")._replace(score=None), [
        (copy, "same bytes" if copy.same_as else "") for copy in others]) for first, *others in groups], card, path)


def _drawn(rows, card, path):
    """Draw rows (query, found), as many as one sheet holds; a sentence on the sheet.

    Args:
        card: from each of what was found to its Card; called for what is drawn.
    """
    from devise import plots

    kept, lines, n = [], 0, sum(len(found) for _, found in rows)
    for query, found in rows:
        if lines < LINES:
            kept.append(plots.Row(query, tuple(card(*one) for one in found[:LINE * (LINES - lines)])))
            lines += max(1, -(-len(found) // LINE))
    plots.sheet(kept, path, columns=LINE)
    shown = sum(len(row.hits) for row in kept)
    return f"the sheet is {path}" + (f", with the first {shown:,} of {n:,} pictures" if shown < n else "")


def save_sheet(engine: Engine, results: list[Results], path: Path) -> str:
    """Draw each query and what it found; a sentence on the sheet."""
    from devise import plots
    from devise.search.pictures import shown

    def query(result):
        row = engine.row(result.query)
        if row is None and not os.path.isfile(result.query):
            return result.query
        picture = result.query if row is None else shown(engine, row)
        return plots.Card(picture, label=result.change or "query", name=Path(result.query).name)

    def card(match, weak):
        return plots.Card(shown(engine, match.row), label=match.label or "", score=match.score, name=match.path,
                          weak=weak)

    return _drawn([(query(result), list(zip(result.matches, result.weak, strict=True))) for result in results], card,
                  path)


def _file(engine, match):
    try:
        return str(engine.images.file(match.row))
    except FileNotFoundError:  # it is on no disk of this machine
        return None


def _result(engine, result):
    """A result for JSON."""
    change = {name: list(texts) for name, texts in (("plus", result.plus), ("minus", result.minus),
                                                    ("also", result.also)) if result.change}
    if (among := result.among) is not None:
        change["where"] = {"condition": among.where, "selected": len(among.rows), "lacking": among.lacking}
    return {"query": result.query, "space": result.space, "threshold": result.threshold, "known": result.known,
            "matches": [match._asdict() | {"file": _file(engine, match), "weak": weak}
                        for match, weak in zip(result.matches, result.weak, strict=True)]} | change


def _table(engine, result):
    """A result for a person."""
    rows = [(match.score, "weak" if weak else "", match.path, match.label)
            for match, weak in zip(result.matches, result.weak, strict=True)]
    caption = f"{result.asked} (cosine, {result.space} space)"
    if (among := result.among) is not None:
        unknown = ", ".join(f"{n:,} without {field}" for field, n in among.lacking.items())
        caption += f", of {counted(len(among.rows), 'picture')} where {among.where}"
        caption += f" (of the whole index {unknown})" if unknown else ""
    if among is not None and not len(among.rows):
        caption += ": it holds for none"
    elif result.known is False:
        calibration = engine.model.spaces[result.space].calibration
        rate = f" (false accepts {100 * calibration['asked']:.1f} % on validation classes)" if calibration else ""
        best = f": the best score {score(rows[0][0])} is below {score(result.threshold)}" if rows else ""
        caption += f", no match in the index{best}{rate}{'; the nearest:' if rows else ''}"
    columns = ("cosine", "", "picture", "class")
    if not any(result.weak):
        columns, rows = ("cosine", "picture", "class"), [(score, *named) for score, _, *named in rows]
    return Table(columns, rows, caption, form={"cosine": "score"})


class Words(Command):
    """What word vectors hold, the neighbours of a word, and whether labels have vectors.

    --json prints {"words" (their name), "n", "dim", "fingerprint"}; with --near also "near": {word: [{"word",
    "score"}]}, scores being cosines; with --audit also "audit": [{"label", "words" (those it is
    called by), "failed" (those without a vector), "neighbours": [{"word", "score"}], "rank" (of its rarest word,
    by frequency), "warnings", "extras" (words it was moved towards: a plural, a sense), "occurrences" (of how
    many frequent words it is among the first 10 neighbours)}] and "coverage": {"labels", "found" (those with a
    vector), "warned" (those of them with a warning)}. A file of synonyms may name senses: 'crane = crane (bird)'
    or 'crane = crane [n02012849]', a synset of WordNet 3.0. The exit code is 1 where a label has no vector.
    """

    example = """\
        devise words glove-6b-50d --near ocean
        devise words --audit labels.txt --synonyms synonyms.txt"""

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("words", nargs="?", default="glove-6b-50d", metavar="WORDS",
                            help="glove-6b-50d, … or a file of vectors (default: glove-6b-50d)")
        parser.add_argument("--near", metavar="WORD", help="the words nearest to this word or phrase")
        options.add(parser, "devise.search.asking:Indexed.by_word", "k")
        parser.add_argument("--audit", type=options.path, metavar="LABELS",
                            help="a file with one label a line: what each is made of, and warnings")
        options.add(parser, "", "synonyms")
        parser.add_argument("--plurals", action="store_true",
                            help="of --audit: average singulars with their plurals")

    def run(self, args: Namespace) -> Answer:
        if args.audit:
            opening.existing(args.audit, "a file with one label a line")
        words = opening.word_vectors(args.words)
        keys = {"words": words.name, "n": len(words), "dim": words.dim, "fingerprint": words.fingerprint}
        report = Report(f"{words.report()}, fingerprint {words.fingerprint[:12]}")
        if args.near:
            from devise.words import phrase_vector

            near = words.neighbours(args.near if args.near in words else phrase_vector(args.near, words),
                                    vars(args).get("k", options.default("devise.search.asking:Indexed.by_word", "k")))
            keys["near"] = {args.near: scored(near)}
            report = replace(report, tables=words_report(args.near, near).tables, notes=strange_words(args.near, words))
        if not args.audit:
            return Answer(report, keys)
        audit, coverage, table = self._audit(words, args)
        failed = coverage["found"] < coverage["labels"]
        told = "{found:,} of {labels:,} labels have a vector, {warned:,} of these a warning".format(**coverage)
        report = replace(report, tables=(*report.tables, table), notes=(*report.notes, told))
        return Answer(report, keys | {"audit": audit, "coverage": coverage}, failed=failed)

    def _audit(self, words: WordVectors, args: Namespace):
        """Records and coverage for JSON, and the table."""
        from devise.words import audit, audit_table, coverage

        try:
            lines = args.audit.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise ValueError(f"{args.audit} is not UTF-8 text: expected one label a line") from error
        records = audit([line.strip() for line in lines if line.strip()], words, plurals=args.plurals,
                        **opening.synonyms(args))
        document = [record._asdict() | {"neighbours": scored(record.neighbours)} for record in records]
        return document, coverage(records), audit_table(records)
