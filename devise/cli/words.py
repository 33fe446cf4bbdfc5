"""What word vectors hold, the neighbours of a word, and whether labels have vectors.

--json prints {"words" (their name), "n", "dim", "fingerprint"}; with --near also "near": {word: [{"word",
"score"}]}, scores being cosines; with --audit also "audit": [{"label", "words" (those it is
called by), "failed" (those without a vector), "neighbours": [{"word", "score"}], "rank" (of its rarest word,
by frequency), "warnings", "extras" (words it was moved towards: a plural, a sense), "occurrences" (of how
many frequent words it is among the first 10 neighbours)}] and "coverage": {"labels", "found" (those with a
vector), "warned" (those of them with a warning)}. A file of synonyms may name senses: 'crane = crane (bird)'
or 'crane = crane [n02012849]', a synset of WordNet 3.0. The exit code is 1 where a label has no vector.
"""

from pathlib import Path

from devise.cli import Answer, options
from devise.cli.text import progress_bar

EXAMPLE = """\
  devise words glove-6b-50d --near ocean
  devise words --audit labels.txt --synonyms synonyms.txt"""
FRAMEWORK = False


def arguments(command):
    command.add_argument("words", nargs="?", default="glove-6b-50d", metavar="WORDS",
                         help="glove-6b-50d, … or a file of vectors (default: glove-6b-50d)")
    command.add_argument("--near", metavar="WORD", help="the words nearest to this word or phrase")
    command.add_argument("-k", type=options.count, default=10, metavar="N",
                         help="how many of them (default: 10)")
    command.add_argument("--audit", type=Path, metavar="LABELS",
                         help="a file with one label a line: what each is made of, and warnings")
    command.add_argument("--synonyms", type=Path, metavar="FILE",
                         help="of --audit: lines such as 'car_side = car' or 'crane = crane (bird)'")
    command.add_argument("--plurals", action="store_true",
                         help="of --audit: average singulars with their plurals")


def run(args):
    from devise.words import open_words

    with progress_bar("words", unit="B") as progress:
        words = open_words(args.words, progress=progress)
    document = {"words": words.name, "n": len(words), "dim": words.dim, "fingerprint": words.fingerprint}
    if not (args.near or args.audit):
        return Answer(document, f"{words.report()}, fingerprint {words.fingerprint[:12]}")
    parts, failed = [], False
    if args.near:
        near = _near(words, args)
        document["near"] = {args.near: _scored(near)}
        parts.append("\n".join(f"{score:6.3f}  {word}" for word, score in near))
    if args.audit:
        document["audit"], document["coverage"], audited = _audit(words, args)
        failed = document["coverage"]["found"] < document["coverage"]["labels"]
        parts.append(audited)
    return Answer(document, "\n\n".join(parts), failed=failed)


def _near(words, args):
    from devise.words import phrase_vector

    asked = args.near if args.near in words else phrase_vector(args.near, words)
    return words.neighbours(asked, args.k)


def _audit(words, args):
    """(records and coverage for JSON, the table)."""
    from devise.words import audit, audit_table, coverage

    try:
        lines = args.audit.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{args.audit} is not UTF-8 text: expected one label a line") from error
    records = audit([line.strip() for line in lines if line.strip()], words, synonyms=options.synonyms(args),
                    plurals=args.plurals)
    document = [record._asdict() | {"neighbours": _scored(record.neighbours)} for record in records]
    known = coverage(records)
    summary = "{found:,} of {labels:,} labels have a vector, {warned:,} of these a warning".format(**known)
    return document, known, f"{audit_table(records)}\n\n{summary}"


def _scored(pairs):
    return [{"word": word, "score": float(score)} for word, score in pairs]
