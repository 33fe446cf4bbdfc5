"""Names for pictures, by classes never seen in training too.

--json prints {"rule", "backbone": {"name", …, "trained"}, "candidates" (what could be named; null for
the softmax rule), "root" (the folder that paths start from), "pictures": [{"path", "tags": [{"name",
"score"}]}], "skipped": [{"path", "reason"}], "sheet" (the drawing of --save, or null)}. Scores are
cosines, of the softmax rule probabilities, of the lift rule logarithms of how many times likelier than
for any picture, best first. Pictures that can't be read are listed, the others are tagged, and the exit
code is 1.
"""

from pathlib import Path

from devise.cli import Answer, WrongUsage, options
from devise.cli.text import progress_bar, say_skipped

EXAMPLE = """\
  devise tag model cat.jpg
  devise tag model cat.jpg dog.jpg --candidates cat,dog,"dollar bill" -k 2 --save tags.png
  devise tag --rule softmax --backbone efficientnet_lite0 cat.jpg
  devise tag --rule lift cat.jpg --candidates cat,dog,lion,violin"""
RULES = {"nearest": "cosine of picture and word", "softmax": "probability",
         "conse": "cosine of picture and word", "lift": "log of how many times likelier than usual"}
UNTRAINED = ("conse", "lift")  # the logits of ImageNet's classes and words are all they need
SETS = ("words", "seen", "unseen", "all")
FRAMEWORK = True
STOPPED = "nothing was changed; the same command starts anew"


def arguments(command):
    command.add_argument("model", metavar="MODEL",
                         help="a folder that `devise train` wrote; only --rule nearest takes one")
    options.add_pictures(command, nargs="*")
    command.add_argument("--rule", choices=tuple(RULES), default="nearest",
                         help="nearest: words near the picture in the model's space; softmax: the classes "
                         "that the backbone was itself trained on; conse, lift: words near those classes, "
                         "without any model of yours (default: nearest)")
    command.add_argument("-k", type=options.count, default=10, metavar="N",
                         help="how many tags (default: 10)")
    command.add_argument("--candidates", metavar="C",
                         help="words, seen, unseen, all (labels), or names between commas (default: words)")
    command.add_argument("--first", type=options.count, default=20_000, metavar="N",
                         help="of words: the first N by frequency (default: 20000)")
    command.add_argument("--any-word", action="store_true",
                         help="let stop words and offensive words be tags too")
    command.add_argument("--merge-plurals", action="store_true",
                         help="no plural where its singular can be had")
    command.add_argument("--save", type=Path, metavar="PNG", help="draw the pictures with their tags")
    command.add_argument("--words", metavar="WORDS",
                         help="of conse and lift: the word vectors (default: glove-6b-50d)")
    options.add_backbone(command)


def run(args):
    table, tags = {"nearest": _nearest, "softmax": _softmax}.get(args.rule, _untrained)(args)
    say_skipped(table.images)
    images, named = table.images, list(zip(table.images.paths, tags, strict=True))
    pictures = [{"path": path, "tags": [tag._asdict() for tag in found]} for path, found in named]
    document = {"rule": args.rule, "backbone": table.backbone, "candidates": _candidates(args),
                "root": str(images.root), "pictures": pictures, "skipped": options.skipped(images),
                "sheet": args.save and str(args.save)}
    width = max(map(len, images.paths))
    text = "\n".join(f"{path.ljust(width)}  " + ", ".join(f"{tag.name} {tag.score:.2f}" for tag in found)
                     for path, found in named)
    if args.save:
        text += f"\n\nthe sheet is {_sheet(table, tags, args)}"
    return Answer(document, text, failed=bool(images.skipped))


def _nearest(args):
    """(FeatureTable, tags) by the words nearest in a model's space."""
    from devise.model import Devise

    options.refuse(args, ("backbone", "weights", "layer", "runtime"), "the model has its own backbone")
    options.refuse(args, ("words",), "the model has its own words")
    if not args.pictures:
        raise WrongUsage("expected the model's folder and then pictures: devise tag MODEL PICTURE…")
    model = Devise.load(args.model)
    table = _table(args.pictures, model.backbone)
    embeddings = model.embed_features(table.matrix)
    return table, model.tag_embeddings(embeddings, args.k, candidates=_candidates(args), first=args.first,
                                       filtered=not args.any_word, merge_plurals=args.merge_plurals)


def _softmax(args):
    """(FeatureTable, tags) by the classes of the backbone's own classifier."""
    from devise.zeroshot import Softmax

    options.refuse(args, ("candidates", "words", "any_word", "merge_plurals"),
                   "the softmax rule knows the backbone's own classes only")
    backbone = options.backbone(args)
    table = _table([args.model, *args.pictures], backbone, logits=True)
    return table, _tags(Softmax(), table.matrix, args.k, backbone.class_names)


def _untrained(args):
    """(FeatureTable, tags) by words near the backbone's own ImageNet classes."""
    import numpy as np

    from devise.backbones import imagenet
    from devise.model import imagenet_rule
    from devise.words import embed_texts, open_words, tag_rows

    wanted = _candidates(args)
    if wanted in SETS[1:]:
        raise WrongUsage(f"--candidates {wanted} needs a model: name the candidates, a,b,c")
    args.words = args.words or "glove-6b-50d"
    words = open_words(options.words(args))
    if wanted == "words":
        rows = np.arange(min(args.first, len(words)))
        if not args.any_word:
            rows = tag_rows(words, args.first, merge_plurals=args.merge_plurals)
        names, vectors = [words.words[row] for row in rows], words.matrix[rows]
    else:
        names, vectors = wanted, embed_texts(wanted, words)
    rule = imagenet_rule(args.rule, names, vectors, words)
    backbone = options.backbone(args)
    if backbone.class_names != imagenet.class_names():
        raise ValueError(f"the {args.rule} rule reads ImageNet's 1,000 classes, which {backbone.name} has "
                         "not: take --backbone efficientnet_lite0")
    table = _table([args.model, *args.pictures], backbone, logits=True)
    return table, _tags(rule, table.matrix, args.k, names)


def _tags(rule, logits, k, names):
    """The best k names of each row of logits, as Tags."""
    from devise.model import Tag

    return [[Tag(names[row], float(score)) for row, score in zip(ids, scores, strict=True)]
            for ids, scores in zip(*rule.tag(logits, min(k, len(names))), strict=True)]


def _table(pictures, backbone, **given):
    from devise import features

    with progress_bar("extract") as progress:
        return features.compute(options.images(pictures), backbone, progress=progress, **given)


def _candidates(args):
    """What may be named: the name of a set, or a list of words and phrases; None for the softmax rule."""
    if args.rule == "softmax" or args.candidates in SETS:
        return args.candidates
    if args.candidates is None:
        return "words"
    names = list(dict.fromkeys(options.names(args.candidates)))
    if not names:
        raise WrongUsage("--candidates holds no name: give some between commas, cat,dog")
    return names


def _sheet(table, tags, args):
    from devise import plots

    images = table.images
    rows = [plots.Tagged(plots.Card(images.file(row), label=images.label_of(row) or ""), tuple(found))
            for row, found in enumerate(tags)]
    return plots.tag_sheet(rows, args.save, score=RULES[args.rule])
