"""A trained model → one whose network is trained along with its head, on the pictures.

Of a model of `devise train` that is DeViSE's second phase: the pictures of the training part train, and
the weights kept are those with the best hit@1 on the validation part. Of one of `devise siamese` it is
the training of a siamese network end to end: pairs of the training classes train, MAP@R on the
validation classes decides. The start is among the candidates, and the model itself stays as it is.

--json prints {"model" (the new one), "base", "history" (as `devise train` has it), "before" and "after"}:
what `devise evaluate` prints ("backbone", "hit_at_k", "n", "candidates", "without_answer"), or of a
siamese model {"raw", "learnt"}, each as "after" of `devise siamese`, and then also "difference", of
MAP@R in the learnt space before and after, and "thresholds".
"""

from pathlib import Path

from devise.cli import Answer, WrongUsage, options
from devise.cli.evaluate import figures, figures_text
from devise.cli.siamese import finite, gain_text, spaces_text, trust_text
from devise.cli.text import progress_bar

EXAMPLE = """\
  devise finetune model -o tuned
  devise finetune model ~/pictures --layers 2 --epochs 5 -o tuned
  devise finetune learnt --augment 0.5 --epochs 5 -o tuned"""
FRAMEWORK = True
STOPPED = "the model is as it was, and nothing was written; the same command starts anew"
OF_WORDS = ("cosine", "hinge", "infonce")


def arguments(command):
    command.add_argument("model", type=Path, metavar="MODEL",
                         help="a folder that `devise train` (with an mlp head) or `devise siamese` wrote")
    command.add_argument("pictures", nargs="?", metavar="PICTURES",
                         help="the folder of its pictures (default: where they lay)")
    command.add_argument("-o", "--output", type=options.folder, required=True, metavar="MODEL",
                         help="the folder to write")
    options.add_overwrite(command)
    options.add_labels(command)
    command.add_argument("--layers", type=options.count, metavar="N",
                         help="of the network that train, the last ones with weights (default: 10)")
    command.add_argument("--epochs", type=options.count, metavar="N", help="default: 3")
    command.add_argument("--batch-size", type=options.count, metavar="N",
                         help="pictures, of a `devise train` model (default: 8)")
    command.add_argument("--classes", type=options.count, metavar="P",
                         help="of a batch, of a `devise siamese` model (default: 8)")
    command.add_argument("--per-class", type=options.count, metavar="K", help="pictures of each (default: 4)")
    command.add_argument("--augment", type=float, metavar="STRENGTH",
                         help="of a `devise siamese` model: change the pictures ever more, cut-outs included, up to "
                         "this strength in the last epoch, 0 to 1 (default: 0)")
    command.add_argument("--optimiser", choices=("sgd", "adam", "adagrad"), help="default: adagrad")
    command.add_argument("--learning-rate", type=float, metavar="RATE", help="default: 0.001")
    command.add_argument("--loss", metavar="NAME",
                         help=f"of a `devise train` model: {', '.join(OF_WORDS)} (default: cosine); of a `devise "
                         "siamese` model: triplet, contrastive, … (default: its own)")
    command.add_argument("--miner", metavar="NAME", help="as of `devise siamese`")


def run(args):
    from devise.model.spaces import open_model

    if args.output.resolve() == args.model.resolve():
        raise ValueError(f"{args.output} is the model itself, which stays as it is: name another folder")
    model = open_model(args.model)
    siamese = hasattr(model, "thresholds")
    options.keep_model(args, "siamese" if siamese else "model")
    refused = ("batch_size",) if siamese else ("classes", "per_class", "augment", "miner")
    options.refuse(args, refused, f"the model is one of `devise {'siamese' if siamese else 'train'}`")
    if not siamese and args.loss not in (None, *OF_WORDS):
        raise WrongUsage(f"--loss is {args.loss!r}: expected {', '.join(OF_WORDS)} for a model of `devise train`")
    images = None
    if args.pictures:
        images = options.images(args.pictures, labels=args.labels, class_level=args.class_level)
    settable = ("layers", "epochs", "batch_size", "classes", "per_class", "augment", "optimiser", "learning_rate",
                "loss", "miner")
    training = {name: getattr(args, name) for name in settable if getattr(args, name) is not None}
    before = _evaluated(model)
    with progress_bar("fine-tune") as progress:
        tuned = model.finetune(images, progress=progress, **training)
    tuned.save(args.output, overwrite=args.overwrite)
    after = _evaluated(tuned)
    document = {"model": str(args.output), "base": str(args.model), "history": tuned.history.to_json()}
    shown = _siamese if siamese else _words
    more, text = shown(model, before, tuned, after)
    return Answer(document | more, f"{text}\n\nthe model is in {args.output}")


def _evaluated(model):
    """The figures on what the model kept for testing, or None where a siamese model kept nothing."""
    return model.evaluate() if not hasattr(model, "thresholds") or len(model.split.test) else None


def _words(model, before, tuned, after):
    """(what the document says of it, the text) of a model in the space of words."""
    return ({"before": figures(model, before), "after": figures(tuned, after)},
            f"before\n{figures_text(model, before)}\n\nafter\n{figures_text(tuned, after)}")


def _siamese(model, before, tuned, after):
    """(what the document says of it, the text) of a siamese model."""
    from devise.model.siamese import difference

    thresholds = {space: finite(value) for space, value in tuned.thresholds.items()}
    if before is None:
        return {"before": None, "after": None, "difference": None, "thresholds": thresholds}, trust_text(tuned)
    gain = difference({"raw": before["learnt"], "learnt": after["learnt"]})
    document = {when: {space: run.to_json() for space, run in runs.items()}
                for when, runs in (("before", before), ("after", after))}
    document |= {"difference": {name: finite(value) for name, value in gain._asdict().items()},
                 "thresholds": thresholds}
    text = [f"before\n{spaces_text(before)}", f"after\n{spaces_text(after)}", gain_text(gain, "after − before"),
            trust_text(tuned)]
    return document, "\n\n".join(text)
