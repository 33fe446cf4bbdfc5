"""A trained model as one file: pictures in, unit embeddings out, for programs that don't have devise.

A .keras file is opened by keras.saving.load_model, an .onnx file by onnxruntime and many others. Input:
float32 (n, h, w, 3), 0 to 255, RGB, at the size that is printed; scaling and channel order are inside.

--json prints {"model", "file", "format", "bytes", "input" (shape), "output" (shape), "largest_difference" (of
an embedding's component in the file from the model's own, over two drawn pictures; null where onnxruntime is
not installed)}.
"""

from pathlib import Path

from devise.cli import Answer, options
from devise.figures import DASH

EXAMPLE = """\
  devise export model -o model.keras
  devise export model -o model.onnx"""
FRAMEWORK = True


def arguments(command):
    command.add_argument("model", type=Path, metavar="MODEL", help="a folder that `devise train` or `siamese` wrote")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="FILE",
                         help="model.keras or model.onnx: the ending says which")
    options.add_overwrite(command)


def run(args):
    from devise.model.exporting import export, largest_difference
    from devise.model.spaces import open_model
    from devise.storage import megabytes

    model = open_model(args.model)
    path = export(model, args.output, overwrite=args.overwrite)
    difference = largest_difference(model, path)
    shapes = {"input": [None, *model.backbone.size, 3], "output": [None, model.head.dim]}
    document = {"model": str(args.model), "file": str(path), "format": path.suffix.removeprefix("."),
                "bytes": path.stat().st_size, **shapes, "largest_difference": difference}
    height, width = model.backbone.size
    text = (f"{path} ({megabytes(document['bytes'])}): pictures (n, {height}, {width}, 3), 0 to 255 → unit embeddings "
            f"(n, {model.head.dim}); largest difference from the model's own: "
            f"{DASH if difference is None else f'{difference:.1e}'}")
    return Answer(document, text)
