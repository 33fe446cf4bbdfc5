"""A report of what was measured, with what, over which candidates: for machines and for readers."""

import html
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from devise import notebook
from devise.evaluation.protocols import Combined
from devise.evaluation.tables import Table, escape, fact, grid, plain, plain_values
from devise.storage import atomic_path, write_json

RANDOM = "RANDOM WEIGHTS: this backbone was not trained, no figure here says what the method can do"


class Example(NamedTuple):
    """A picture's tags: (word, score) pairs, best first; `right` holds the words that are right.

    >>> Example("lobster/3.jpg", "lobster", (("crab", 0.83), ("lobster", 0.8)), right=("lobster",)).tags[0]
    ('crab', 0.83)
    """

    picture: str
    label: str | None
    tags: tuple
    right: tuple = ()


@dataclass(frozen=True)
class Report:
    """All that one run of a recipe has to say.

    Attributes:
        title: one line.
        facts: {name: text, number, Spread, sequence or None}: backbone, words, head, seeds, sizes, times …;
            a number's unit stands in its name, as in "training time (s)".
        trained: whether the backbone's weights are trained ones; if not, every table says so.
        tables, examples: what was measured, and tags of single pictures.
        pictures: (caption, file name relative to the report) pairs.
        notes: sentences: skipped files, caveats.

    >>> report = Report("hybrid", {"seeds": 5}, tables=(Table("hit@k.", (1,), {"seen": {1: 0.5}}),))
    >>> print(report.to_markdown().splitlines()[0])
    # hybrid
    """

    title: str
    facts: dict = field(default_factory=dict)
    trained: bool = True
    tables: tuple[Table, ...] = ()
    examples: tuple[Example, ...] = ()
    pictures: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self):
        """The report as a JSON document, in a fixed order of keys."""
        examples = [{"picture": example.picture, "label": example.label,
                     "tags": [{"word": word, "score": plain(score)} for word, score in example.tags],
                     "right": list(example.right)} for example in self.examples]
        return {"title": self.title, "trained": self.trained, "facts": plain_values(self.facts),
                "tables": [table.to_json() for table in self.tables], "examples": examples,
                "pictures": [{"caption": caption, "file": str(name)} for caption, name in self.pictures],
                "notes": list(self.notes)}

    def to_markdown(self):
        """The report as a Markdown page."""
        parts = [f"# {escape(self.title)}"]
        parts += [] if self.trained else [f"> **{RANDOM}.**"]
        if self.facts:
            rows = [[escape(name), fact(value)] for name, value in self.facts.items()]
            parts.append("\n".join(grid(["fact", "value"], rows)))
        for number, table in enumerate(self.tables, start=1):
            parts += [table.to_markdown(number=number)] + ([] if self.trained else [f"**{RANDOM}.**"])
        if self.examples:
            rows = [[escape(example.picture), fact(example.label), _tags(example)]
                    for example in self.examples]
            parts += ["## Tags", "\n".join(grid(["picture", "label", "tags, with their cosine"], rows))]
        if self.pictures:
            parts.append("## Pictures")
            parts += [f"![{escape(caption)}]({quote(Path(name).as_posix())})\n\n{escape(caption)}"
                      for caption, name in self.pictures]
        if self.notes:
            parts += ["## Notes", "\n".join(f"- {escape(note)}" for note in self.notes)]
        return "\n\n".join(parts) + "\n"

    def _repr_html_(self):
        facts = notebook.table(["fact", "value"], [[name, fact(value, str)] for name, value in self.facts.items()])
        warning = "" if self.trained else f"<b>{html.escape(RANDOM)}.</b>"
        tables = "".join(shown._repr_html_() for shown in self.tables)
        return f"<h3>{html.escape(self.title)}</h3>{warning}{facts if self.facts else ''}{tables}"

    def save(self, folder):
        """Write `report.json` and `report.md`, each whole or not at all; return the path of the latter."""
        folder = Path(folder)
        page = self.to_markdown()
        write_json(folder / "report.json", self.to_json())
        with atomic_path(folder / "report.md") as temporary:
            temporary.write_text(page, encoding="utf-8")
        return folder / "report.md"


def hit_table(evaluation, part, *, published=()):
    """Flat hit@k of one part, a row for each set of candidates; the caption says what they are.

    Args:
        evaluation: Evaluation, or Combined for several runs.
        part: "train", "test", "unseen" …
        published: Published rows with k as columns.
    Raises:
        KeyError: if the part was not measured.

    >>> from devise.evaluation.protocols import Evaluation
    >>> run = Evaluation({"test": {"seen": {1: 0.948}}}, {"test": 316}, {"seen": {"count": 32}})
    >>> print(hit_table(run, "test").to_markdown())
    Flat hit@k, in % of 316 test pictures; one seed. Candidates: seen = 32 labels.
    <BLANKLINE>
    | candidates, k = | 1 |
    | --- | ---: |
    | seen | 94.8 |
    """
    if part not in evaluation.hit_at_k:
        raise KeyError(f"part {part!r} was not measured: expected one of {', '.join(evaluation.hit_at_k)}")
    rows = evaluation.hit_at_k[part]
    published = tuple(published)
    columns = {k for values in [*rows.values(), *(row.values for row in published)] for k in values}
    return Table(_caption(evaluation, part), tuple(sorted(columns)), rows, "candidates, k =", published)


def exact_table(exact):
    """How many pictures of each class have their own label among their first tags, from an ExactTags.

    >>> from devise.evaluation.protocols import ExactTags
    >>> exact_table(ExactTags(3, 4, k=10, candidates="words", by_class={"crab": (3, 4)})).rows["all"]
    {'found': 3, 'of': 4}
    """
    rows = {label: {"found": found, "of": n} for label, (found, n) in exact.by_class.items()}
    rows["all"] = {"found": exact.found, "of": exact.n}
    return Table(f"Pictures that have exactly their label among their first {exact.k} tags. "
                 f"Candidates: {exact.candidates}.", ("found", "of"), rows, "class")


def _caption(evaluation, part):
    n, runs = evaluation.n[part], 1
    if isinstance(evaluation, Combined):
        runs = evaluation.runs
        n = f"{n[0]:,}" if n[0] == n[1] else f"{n[0]:,} to {n[1]:,}"
    else:
        n = f"{n:,}"
    seeds = f"{runs} seeds, mean ± standard deviation" if runs > 1 else "one seed"
    chosen = [_candidates(name, evaluation.candidates[name]) for name in evaluation.hit_at_k[part]]
    lost = [f"{count} pictures without an answer in {name} are left out"
            for name, count in evaluation.without_answer.get(part, {}).items()]
    return ". ".join([f"Flat hit@k, in % of {n} {part} pictures; {seeds}",
                      f"Candidates: {'; '.join(chosen)}", *lost]) + "."


def _candidates(name, statement):
    """A set of candidates in words: its size, what joined the vocabulary, which k it is too small for."""
    text = f"{name} = {statement['count']:,} labels"
    if "added" in statement:
        added = statement["added"]
        text = f"{name} = {statement['count']:,}: {statement['count'] - len(added):,} words"
        text += f" and the labels that none of them stands for ({', '.join(added)})" if added else ""
    if "ks_left_out" in statement:
        text += f", too few for k = {', '.join(map(str, statement['ks_left_out']))}"
    return text


def _tags(example):
    bold = {word: "**" for word in example.right}
    return ", ".join(f"{bold.get(word, '')}{escape(word)}{bold.get(word, '')} {score:.3f}"
                     for word, score in example.tags)
