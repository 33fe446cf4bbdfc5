"""The parameters of the whole network, picture in, embedding out; no weights are needed.

--json prints {"backbone", "layer", "feature_dim", "dim", "total", "trainable", "non_trainable"}.
"""

from devise.cli import Answer, options
from devise.cli.text import table

EXAMPLE = "  devise summary --backbone vgg16 --dim 300 --json"
FRAMEWORK = True


def arguments(command):
    command.add_argument("--backbone", default="vgg16", metavar="NAME", help="default: vgg16")
    command.add_argument("--layer", metavar="LAYER", help="take the features from this layer")
    command.add_argument("--dim", type=options.count, default=300, metavar="N",
                         help="of the word vectors (default: 300)")
    options.add_shape(command)


def run(args):
    from devise import backbones
    from devise.heads import HeadConfig, MlpHead
    from devise.model import parameter_counts, whole_model

    backbone = backbones.load(args.backbone, weights=None, layer=args.layer)
    head = MlpHead(HeadConfig(args.dim, args.sizes, activation=args.activation, dropout=args.dropout))
    counts = parameter_counts(whole_model(backbone, head.build(backbone.dim, seed=0)))
    document = {"backbone": backbone.name, "layer": backbone.layer, "feature_dim": backbone.dim,
                "dim": args.dim, **counts}
    text = table([[name.replace("_", "-"), f"{number:,}"] for name, number in counts.items()],
                 [f"{backbone.name} {backbone.layer} → {args.dim}", "parameters"])
    return Answer(document, text)
