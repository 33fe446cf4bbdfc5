"""A trained model → one whose network is trained along with its head, on the pictures (DeViSE's second phase).

The pictures of the training part train, the weights kept are those with the best hit@1 on the
validation part, the start included. The model itself stays as it is.

--json prints {"model" (the new one), "base", "history" (as `devise train` has it), "before" and "after"
(what `devise evaluate` prints: "backbone", "hit_at_k", "n", "candidates", "without_answer")}.
"""

from pathlib import Path

from devise.cli import Answer, options
from devise.cli.evaluate import figures, figures_text
from devise.cli.text import progress_bar

EXAMPLE = """\
  devise finetune model -o tuned
  devise finetune model ~/pictures --layers 2 --epochs 5 -o tuned"""
FRAMEWORK = True


def arguments(command):
    command.add_argument("model", type=Path, metavar="MODEL", help="a folder that `devise train` wrote, an mlp")
    command.add_argument("pictures", nargs="?", metavar="PICTURES",
                         help="the folder of its pictures (default: where they lay)")
    command.add_argument("-o", "--output", type=options.folder, required=True, metavar="MODEL",
                         help="the folder to write")
    options.add_labels(command)
    command.add_argument("--layers", type=options.count, metavar="N",
                         help="of the network that train, the last ones with weights (default: 10)")
    command.add_argument("--epochs", type=options.count, metavar="N", help="default: 3")
    command.add_argument("--batch-size", type=options.count, metavar="N", help="pictures (default: 8)")
    command.add_argument("--optimiser", choices=("sgd", "adam", "adagrad"), help="default: adagrad")
    command.add_argument("--learning-rate", type=float, metavar="RATE", help="default: 0.001")
    command.add_argument("--loss", choices=("cosine", "hinge", "infonce"), default="cosine", help="default: cosine")


def run(args):
    from devise.model import Devise

    if args.output.resolve() == args.model.resolve():
        raise ValueError(f"{args.output} is the model itself, which stays as it is: name another folder")
    model = Devise.load(args.model)
    images = None
    if args.pictures:
        images = options.images(args.pictures, labels=args.labels, class_level=args.class_level)
    settable = ("layers", "epochs", "batch_size", "optimiser", "learning_rate")
    training = {name: getattr(args, name) for name in settable if getattr(args, name) is not None}
    before = model.evaluate()
    with progress_bar("fine-tune") as progress:
        tuned = model.finetune(images, loss=args.loss, progress=progress, **training)
    tuned.save(args.output)
    after = tuned.evaluate()
    document = {"model": str(args.output), "base": str(args.model), "history": tuned.history.to_json(),
                "before": figures(model, before), "after": figures(tuned, after)}
    text = f"before\n{figures_text(model, before)}\n\nafter\n{figures_text(tuned, after)}"
    return Answer(document, f"{text}\n\nthe model is in {args.output}")
