"""Whether features, models, indexes and word vectors are whole, and fit together.

Of each place: the digests of its files, shapes, NaN, pictures that are gone; of a model its words, backbone
and features; of an index the model it was built with. Several places are also checked against one another.

--json prints {"ok", "places": [{"place", "kind", "ok", "facts", "problems": [{"place", "what", "do"}],
"notes"}]}. The exit code is 1 where there is a problem.
"""

from devise.cli import Answer, options
from devise.cli.text import paint, progress_bar
from devise.figures import number

EXAMPLE = """\
  devise check index
  devise check model features index
  devise check index --recompute 10
  devise check index --repair"""
FRAMEWORK = True  # a head may be a network


def arguments(command):
    command.add_argument("places", nargs="+", metavar="PLACE",
                         help="folders that devise wrote: features, a model, an index, word vectors")
    command.add_argument("--repair", action="store_true",
                         help="remove what an index has left over in its database: rows of a run that was stopped, "
                              "collections that were replaced; nothing else may write to it meanwhile")
    command.add_argument("--recompute", type=options.count, default=0, metavar="N",
                         help="put N pictures of each through the network again and compare")


def run(args):
    from devise.checks import check

    with progress_bar("check", unit="B") as progress:
        results = check(*args.places, recompute=args.recompute, repair=args.repair, progress=progress)
    document = {"ok": all(found.ok for found in results), "places": [found.to_json() for found in results]}
    return Answer(document, "\n\n".join(map(_text, results)), failed=not document["ok"])


def _text(found):
    sign = paint("✓", "good") if found.ok else paint("✗", "bad")
    facts = ", ".join(f"{name} {number(value)}" for name, value in found.facts.items())
    lines = [f"{sign} {paint(found.place, 'bold')} ({found.kind}){': ' if facts else ''}{facts}"]
    for problem in found.problems:
        where = "" if problem.place == found.place else f"{problem.place}: "
        lines += [paint(f"  {where}{problem.what}", "bad"), f"    → {problem.do}"]
    return "\n".join([*lines, *(paint(f"  {note}", "quiet") for note in found.notes)])
