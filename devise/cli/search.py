"""Pictures by a word, a sentence, a picture, or a picture changed by words; words by a word.

--json prints {"index", "results": [{"query", "space", "matches": [{"row", "path", "label", "score",
"file"}], "threshold", "known"}], "failed": [{"query", "reason"}], "sheet"}: scores are cosines, best
first; "file" is the picture on this disk and "sheet" the drawing of --save, or null; "index" is a list
where several are searched. Where the model has a threshold, "known" says whether the best score reaches
it: if not, the index has no match; else both are null. The result of a picture that words change has them
as "plus" and "minus", lists of text. With --word it prints {"query", "words": [{"word", "score"}]}. Of
several queries each that fails is listed, the others are answered, and the exit code is 1.
"""

import math
from pathlib import Path

from devise.cli import Answer, options, quiet_framework
from devise.cli.text import paint, say
from devise.figures import percent

EXAMPLE = """\
  devise search index --text ocean --save sheet.png
  devise search index --text "dollar bill" --text lobster -k 5
  devise search index --picture cat.jpg
  devise search index --picture cat.jpg --plus "blue hat" --minus grass --save sheet.png
  devise search index --word ocean
  devise search holidays archive --text ocean"""
FRAMEWORK = False
STOPPED = "nothing was changed; the same command starts anew"


def arguments(command):
    command.add_argument("index", type=Path, nargs="+", metavar="INDEX",
                         help="a folder that `devise index` wrote; several of one model are searched as one")
    query = command.add_mutually_exclusive_group(required=True)
    query.add_argument("--text", action="append", metavar="TEXT",
                       help="a word, a phrase or a sentence; may be given several times")
    query.add_argument("--picture", action="append", metavar="PICTURE",
                       help="an indexed picture or any other file; may be given several times")
    query.add_argument("--word", metavar="WORD", help="the words nearest to a word or phrase")
    command.add_argument("--plus", action="append", metavar="TEXT",
                         help="--picture: what it should show more of, in the space shared with words; may be given "
                         "several times")
    command.add_argument("--minus", action="append", metavar="TEXT", help="--picture: what it should show less of")
    command.add_argument("-k", type=options.count, default=10, metavar="N", help="how many (default: 10)")
    command.add_argument("--space", metavar="SPACE",
                         help="of --picture: raw features, hidden, shared with the words, or learnt (default: learnt "
                         "where the model has it, else raw)")
    command.add_argument("--save", type=Path, metavar="PNG", help="draw what was found")


def run(args):
    from devise.search import Search

    if args.word:
        options.refuse(args, ["save"], "--word finds words, not pictures")
    if not args.picture:
        options.refuse(args, ["plus", "minus"], "they change a picture: give one with --picture")
    elif args.plus or args.minus:
        options.refuse(args, ["space"], "pictures meet words in the shared space alone")
    if args.picture:
        quiet_framework()  # for words it is not needed, and it takes seconds
    search = Search.load(*args.index)
    if args.word:
        found = search.by_word(args.word, args.k)
        words = [{"word": word, "score": float(score)} for word, score in found]
        return Answer({"query": args.word, "words": words},
                      "\n".join(f"{score:6.3f}  {word}" for word, score in found))
    results, failed = _ask(search, args)
    folders = [str(folder) for folder in args.index]
    document = {"index": folders if len(folders) > 1 else folders[0], "results": [
        {"query": result.query, "space": result.space,
         "matches": [match._asdict() | {"file": _file(search, match)} for match in result.matches],
         "threshold": _finite(result.threshold), "known": result.known} | _change(result)
        for result in results], "failed": failed, "sheet": args.save and str(args.save)}
    text = "\n\n".join(_lines(search, result) for result in results)
    if args.save:
        text += f"\n\nthe sheet is {save_sheet(search, results, args.save)}"
    return Answer(document, text, failed=bool(failed))


def _ask(search, args):
    """(results, what failed); an error only where nothing was answered."""
    results, failed = [], []
    for query in args.text or args.picture:
        try:
            results.append(_answer(search, query, args))
        except (KeyError, ValueError) as error:
            if len(args.text or args.picture) == 1:
                raise
            failed.append({"query": query, "reason": str(error.args[0])})
            say(f"{query}: {error.args[0]}")
    if not results:
        raise ValueError(f"none of {len(failed)} queries could be answered")
    return results, failed


def _answer(search, query, args):
    if args.text:
        return search.by_text(query, args.k)
    if args.plus or args.minus:
        return search.by_change(query, args.k, plus=args.plus or (), minus=args.minus or ())
    return search.by_picture(query, args.k, space=args.space)


def _change(result):
    """What a picture was changed by, for JSON."""
    return {"plus": list(result.plus), "minus": list(result.minus)} if result.change else {}


def save_sheet(search, results, path):
    """Draw each query and what it found."""
    from devise import plots

    rows = [plots.Row(_query(search, result), tuple(_card(search, match) for match in result.matches))
            for result in results]
    return plots.sheet(rows, path)


def _query(search, result):
    """The words of a text query; the picture of a picture query."""
    from devise import plots

    row = search.row(result.query)
    if row is None and not Path(result.query).is_file():
        return result.query
    return plots.Card(result.query if row is None else search.images.file(row), label=result.change or "query")


def _card(search, match):
    from devise import plots

    return plots.Card(_file(search, match), label=match.label or "", score=match.score, name=match.path)


def _file(search, match):
    return str(search.images.file(match.row)) if search.images.root else None


def _lines(search, result):
    lines = [f"{match.score:6.3f}  {match.path}" + (f"  ({match.label})" if match.label else "")
             for match in result.matches]
    head = paint(f"{result.asked} (cosine, {result.space} space)", "bold")
    if result.known is False:
        head += "\nno match in the index"
    if result.known is False and result.matches:
        head += (f": the best score {result.matches[0].score:.3f} is below {result.threshold:.3f} (false accepts "
                 f"{percent(search.model.far)} on validation classes); the nearest:")
    return "\n".join([head, *lines])


def _finite(value):
    """A threshold as JSON has it; one that lets all in is null."""
    return value if value is not None and math.isfinite(value) else None
