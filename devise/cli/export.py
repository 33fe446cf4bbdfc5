"""The whole network: `devise export` writes it as one file, `devise summary` counts its parameters."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from devise.cli import Answer, Command, opening, options
from devise.report import Report, Table


class Export(Command):
    """A model as one file: pictures in, unit embeddings of a space out, for programs that don't have devise.

    A .keras file is opened by keras.saving.load_model, an .onnx file by onnxruntime and many others. Input:
    float32 (n, h, w, 3), 0 to 255, RGB, at the size that is printed; scaling and channel order are inside.

    --json prints {"model", "space", "file", "format", "bytes", "input" (shape), "output" (shape),
    "largest_difference" (of an embedding's component in the file from the model's own, over two drawn
    pictures; null where onnxruntime is not installed)}.
    """

    example = """\
        devise export model -o model.keras
        devise export model --space shared -o model.onnx"""

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("model", metavar="MODEL", help="a folder that a training of devise wrote")
        options.add_output(parser, "FILE", type=options.path, help="model.keras or model.onnx: the ending says which")
        options.add(parser, "", "space")

    def run(self, args: Namespace) -> Answer:
        model = opening.model(args)
        from devise.model.exporting import largest_difference
        from devise.storage import megabytes

        space = vars(args).get("space")
        path = model.export(args.output, space, overwrite=args.overwrite)
        head = model.embedding_space(space).head
        difference, size = largest_difference(model, path, space), path.stat().st_size
        shapes = {"input": [None, *model.backbone.size, 3], "output": [None, head.dim]}
        height, width = model.backbone.size
        report = Report(f"{path} ({megabytes(size)})", {
            "input": f"pictures (n, {height}, {width}, 3), 0 to 255", "output": f"unit embeddings (n, {head.dim})",
            "largest difference from the model's own": difference})
        return Answer(report, {"model": str(args.model), "space": space, "file": str(path),
                               "format": path.suffix.removeprefix("."), "bytes": size, **shapes,
                               "largest_difference": difference})


class Summary(Command):
    """The parameters of the whole network, picture in, embedding out; no weights are needed.

    --json prints {"backbone", "layer", "feature_dim", "dim", "total", "trainable", "non_trainable"}.
    """

    example = "devise summary --backbone vgg16 --dim 300 --json"

    def arguments(self, parser: ArgumentParser) -> None:
        options.add(parser, "", "backbone", default="vgg16", help="default: vgg16")
        options.add(parser, "", "layer")
        options.add(parser, "", "dim", default=300, help="of the word vectors (default: 300)")
        options.add(parser, "devise.heads.mlp:HeadConfig", *options.SHAPE)

    def run(self, args: Namespace) -> Answer:
        from devise import backbones
        from devise.heads import HeadConfig, MlpHead
        from devise.model import parameter_counts, whole_network

        backbone = backbones.load(args.backbone, weights=None, **options.given(args, ("layer",)))
        head = MlpHead(HeadConfig(args.dim, **options.given(args, options.SHAPE)))
        counts = parameter_counts(whole_network(backbone, head.build(backbone.dim, seed=0)))
        rows = [(name.replace("_", "-"), number) for name, number in counts.items()]
        report = Report(f"{backbone.name} {backbone.layer} → {args.dim}",
                        tables=(Table(("weights", "parameters"), rows, form="plain"),))
        return Answer(report, {"backbone": backbone.name, "layer": backbone.layer, "feature_dim": backbone.dim,
                               "dim": args.dim, **counts})
