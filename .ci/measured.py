"""The measured parts of the docs, from reports: python .ci/measured.py [results/bench | results/faults.jsonl]

The reports of `make bench` or the counts of `make test-faults` are taken over into .ci/measured first.
What stands between a mark and the next `<!-- end -->` of a page of docs/ is written anew.
"""

import json
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
REPORTS = Path(__file__).parent / "measured"
MARKED = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- end -->)", flags=re.DOTALL)


def page(text, reports):
    """The text with its marked parts as the reports have them."""
    return MARKED.sub(lambda found: f"{found[1]}{PARTS[found[2]](reports)}\n{found[3]}", text)


def known():
    """{name: document} of the reports that lie here."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(REPORTS.glob("*.json"))}


def take(path):
    """Take over the lines of a file as one document, or each folder's report.json by the folder's name."""
    if path.is_file():
        told = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            told |= json.loads(line)
        known_order = known().get(path.stem, {})
        told = {trial: told[trial] for trial in (*known_order, *told) if trial in told}
        (REPORTS / f"{path.stem}.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    for report in sorted(path.glob("*/report.json")):
        shutil.copyfile(report, REPORTS / f"{report.parent.name}.json")


def speed(reports):
    """What is compared with what, and the ratio, of the benchmarks whose reports are here."""
    rows = [row for name, of in SPEED.items() if name in reports for row in of(reports[name])]
    return _table(["what", "against", "times as fast", "`devise bench`"], "llrl", rows)


def engines(reports):
    """A row an engine and size."""
    rows = [[f"{row['n']:,}" + ("" if "drawn" in row["vectors"] else f", {row['vectors']}"), f"{row['engine']}",
             f"{row['recall_at_10']:.3f}", _number(row["p50_ms"]), f"{row['batched_per_s']:,.0f}",
             _number(row["build_s"]), f"{row['disk_mib']:,.0f}", f"{row['resident_mib']:,.0f}",
             "–" if row["each_of_3_mib"] is None else f"{row['each_of_3_mib']:,.0f}"]
            for name in ("index", "index-1000000") if name in reports for row in reports[name]["rows"]]
    heads = ["vectors", "engine", "recall@10", "ms a query", "queries/s, batched", "build, s", "disk, MiB",
             "held, MiB", "each of 3"]
    return _table(heads, "llrrrrrrr", rows)


def machine(reports):
    """What all was measured on."""
    told = next(report["machine"] for report in reports.values() if "machine" in report)
    names = ("tensorflow-cpu", "tensorflow", "keras", "openvino", "onnxruntime", "numpy", "gensim", "usearch",
             "hnswlib", "faiss-cpu", "annoy")
    versions = ", ".join(f"{name} {told['versions'][name]}" for name in names if name in told["versions"])
    return f"{told['cpus']} processors ({told['system']}, {told['architecture']}), Python {told['python']}, {versions}."


def reliability(reports):
    """A row a kind of trial: what its trials counted, summed; of memory and waiting the most."""
    kinds = {}
    for trial, told in reports["faults"].items():
        kind, _, what = trial.partition(", ")
        kinds.setdefault(kind, []).append((what, told))
    rows = []
    for kind, trials in kinds.items():
        names = dict.fromkeys(name for _, told in trials for name in told)
        together = {name: (max if name.endswith(("_ms", "_mb")) else sum)(told.get(name, 0) for _, told in trials)
                    for name in names}
        of = ", ".join(dict.fromkeys(what.partition(", ")[0] for what, _ in trials if what))
        rows.append([f"{kind}: {of}" if of else kind,
                     ", ".join(f"{name.replace('_', ' ')} {number:,}" for name, number in together.items())])
    return _table(["trial", "counted"], "ll", rows)


def _start(document):
    for row in document["rows"][1:]:
        ratio = document["ratios"]["seconds"][row["what"]]
        yield [f"{row['what']}, a process of its own: {row['peak_mib']:,.0f} MiB", "`import tensorflow`",
               _number(1 / ratio), "start"]


def _extract(document):
    chosen = document["chosen"]
    for name in document["networks"]:
        per_second = {(row["what"], row["runtime"]): row["per_second"] for row in document["rows"]
                      if row["backbone"] == name}
        base = per_second["decode, then forward", "predict"]
        yield [f"features of {name} by {chosen}, decoded meanwhile, {per_second['decode and forward', chosen]:.1f} "
               "pictures/s", "decode, then `keras.Model.predict`",
               _number(per_second["decode and forward", chosen] / base), "extract"]
        for runtime in ("openvino", "onnxruntime", "function"):
            if ("forward", runtime) in per_second:
                ratio = document["ratios"][name][f"forward, {runtime}"]
                yield [f"{name} without decoding, {runtime}", "`keras.Model.predict`", _number(ratio), "extract"]


def _distributed(document):
    yield [f"extraction by {document['workers']} workers of one thread", "one worker",
           _number(document["ratios"]["workers_over_one"]), "distributed"]
    yield [f"extraction by {document['workers']} workers of one thread",
           f"one process of {document['workers']} threads", _number(document["ratios"]["workers_over_local"]),
           "distributed"]


def _train(document):
    ratios, epochs = document["ratios"], document["epochs"]
    yield [f"{epochs} epochs of a head on {document['n']:,} cached features", "`fit` of Keras",
           _number(ratios["over_fit"]), "train"]
    for rows, small in ratios["small"].items():
        yield [f"the same on {int(rows):,}", "`fit`; at our batch", f"{_number(small['over_fit'])}; "
               f"{_number(small['over_fit_same_batch'])}", "train"]
    yield [f"the same on {document['n']:,}, in large batches", "`fit`", _number(ratios["large_batch_over_fit"]),
           "train"]
    yield [f"{epochs} epochs on {document['n']:,} cached features", "each picture through VGG16 in each epoch",
           _number(ratios["over_frozen_vgg16"]), "train"]


def _words(document):
    ratios, size = document["ratios"], document["input"]
    peak = {row["what"]: row.get("peak_mib") for row in document["rows"]}["devise, first opening: conversion"]
    name, command = f"{size['words']:,} × {size['dim']} GloVe text", f"words -n {size['words']}"
    yield [f"first opening of {name}, {peak:,.0f} MiB", "gensim's text load",
           _number(ratios["conversion_over_text_load"]), command]
    yield ["later openings", "gensim's text load", _number(ratios["opening_over_text_load"]), command]
    yield ["later openings", '`KeyedVectors.load(mmap="r")`', _number(ratios["opening_over_gensim_mmap"]), command]
    yield ["exact neighbours of a word", "gensim's `most_similar`", _number(ratios["exact_over_most_similar"]), command]


def _evaluation(document):
    whole, part = document["rows"][0], document["rows"][2]
    yield [f"recall, precision and MAP@R of {part['queries']:,} × {document['dim']} against themselves",
           "the whole matrix, sorted", _number(document["ratios"]["naive_time"]), f"evaluation -n {document['n']}"]
    yield [f"the same of {document['n']:,}: {whole['seconds'] / 60:.0f} minutes, {whole['mib_above']:,.0f} MiB",
           "the matrix products alone", _number(1 / document["ratios"]["over_products"]),
           f"evaluation -n {document['n']}"]


def _serve(document):
    every = next(row for row in document["rows"] if row["asked"] == "all")
    yield [f"{document['clients']} clients ask the page's server at once: {document['requests_per_second']:,.0f} "
           f"requests/s, median answer {every['p50_ms']:,.0f} ms, {every['errors']} of {every['requests']:,} failed",
           "–", "–", "serve"]
    yield [f"one client alone: median answer {every['alone_p50_ms']:.1f} ms", "–", "–", "serve"]


def _number(value):
    """Three digits of a number, fewer where they say nothing."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _table(heads, sides, rows):
    lines = [heads, ["---:" if side == "r" else "---" for side in sides], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


SPEED = {"start": _start, "extract": _extract, "distributed": _distributed, "train": _train, "words": _words,
         "words-400000": _words, "evaluation": _evaluation, "serve": _serve}
PARTS = {"speed": speed, "engines": engines, "machine": machine, "reliability": reliability}

if __name__ == "__main__":
    if sys.argv[1:]:
        take(Path(sys.argv[1]))
    for path in sorted((ROOT / "docs").glob("*.md")):
        path.write_text(page(path.read_text(encoding="utf-8"), known()), encoding="utf-8")
