"""Export every decoder on every backbone family in every form, compare with the network, and write a table.

    python -m src.tools.export_table --output runs/exports --table docs/exports.md
    python -m src.tools.export_table --output runs/exports --decoders cpt --backbones swin_tiny --time 20

Each export is an entry of ``results.json`` in the output folder; what is there already is not done again. The weights
are random, those of norms included, so that a wrong one shows; a trained network's classes are easier to tell apart.
``--time`` also measures each file, the network and, where it has a twin in ``benchmarks``, the same in PyTorch.
"""

import argparse
import gc
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from src.errors import UserError, run_command
from src.files import check_writable, write_text
from src.provenance import commit, now

DECODERS: dict[str, dict[str, Any]] = {
    "fpn": {}, "fcn": {}, "psp": {}, "ecenet": {}, "cpt": {},
    "csnet-fcn": {"base": "fcn"}, "csnet-psp": {"base": "psp"}, "csnet-fpn": {"base": "fpn"},
}  # fmt: skip
BACKBONES = ("resnet18", "efficientnet_lite0", "swin_tiny", "mit_b0")
TWINS = ("resnet18", "efficientnet_lite0", "swin_tiny")  # backbones that are in benchmarks too
KINDS = ("MINDIR", "ONNX", "ONNX uint8, ids", "ONNX fp16", "MINDIR fp16", "ONNX any batch")
HEAD = """# Exported files

Decoders on one backbone of every family, exported for {height}x{width} and {classes} classes with random weights, and
compared with the network on one random image. This command writes this page; with `--time 20` it also times each file
beside the network:

```bash
python -m src.tools.export_table --output runs/exports --table docs/exports.md
```

- **difference**: the largest of a logit, relative to the largest logit. With ids: by how much another class was larger
  than the given one. For fp16 it is the effect of rounding the weights; that the file computes what it should is
  checked against a network with the same rounded weights, to 1e-4 like the others.
- **equal**: pixels with the same class as the network's.
- **csnet-** and a baseline: C-S Net on it; in the rows of commits before f59018c with `fusion: gate`. Of those rows
  PyTorch's times of csnet-psp and csnet-fpn are of `residual`.

Machine and versions are those of [performance.md](performance.md); date and commit are of the export, or of
the change that recorded it."""
TIME = """## Time

Milliseconds for one image of {height}x{width}, from array to array, without reading and drawing: the median of several
runs. *Network* is this project's, compiled; *PyTorch* its twin in `benchmarks`, as it comes. A dash: not timed, or no
twin. Rows of 2026-11-30: 8 to 20 runs each; trainings on the machine were stopped meanwhile, a short test beside some
rows was not, so differences of a fifth say little."""
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Export every decoder on every backbone family and compare.")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="for results.json")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write all results there, as Markdown")
    parser.add_argument("--decoders", nargs="+", default=list(DECODERS), choices=list(DECODERS), metavar="NAME")
    parser.add_argument("--backbones", nargs="+", default=list(BACKBONES), choices=list(BACKBONES), metavar="NAME")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS), metavar="KIND")
    parser.add_argument("--size", type=int, nargs=2, default=[360, 480], metavar=("H", "W"))
    parser.add_argument("--classes", type=int, default=11, metavar="K")
    parser.add_argument(
        "--time", type=int, default=0, metavar="N", help="also time N runs of each file and the network"
    )
    return parser.parse_args()


def randomize(network, num_classes: int) -> None:
    """Give norms, biases and the classifier random values; those of a new network hide mistakes, or are too small."""
    from mindspore import Tensor

    random = np.random.default_rng(0)
    for parameter in network.get_parameters():
        values = parameter.asnumpy()
        if not np.issubdtype(values.dtype, np.floating):
            continue
        if parameter.name.endswith("moving_variance"):
            values = random.uniform(0.5, 1.5, values.shape)
        elif values.ndim == 1:
            values = values + random.normal(0, 0.1, values.shape)
        elif len(values) == num_classes:
            values = random.normal(0, values[0].size ** -0.5, values.shape)
        parameter.set_data(Tensor(values.astype(np.float32)))


def main() -> None:
    """Export, compare, note, and write the table."""
    arguments = parse_arguments()
    check_writable(arguments.output)
    arguments.output.mkdir(parents=True, exist_ok=True)
    results = arguments.output / "results.json"
    rows = json.loads(results.read_text()) if results.is_file() else {}

    from src import device

    device.setup("CPU")
    wanted = [(decoder, backbone) for backbone in arguments.backbones for decoder in arguments.decoders]
    for decoder, backbone in wanted:
        name = f"{decoder} {backbone}"
        missing = [kind for kind in arguments.kinds if arguments.time or kind not in rows.get(name, {})]
        if not missing:
            continue
        network = _build(decoder, backbone, arguments.classes)
        row = rows.setdefault(name, {})
        for kind in missing:
            row[kind], milliseconds = _export(network, kind, arguments.size, arguments.output, arguments.time)
            row[kind]["made"] = _today()
            if milliseconds:
                row.setdefault("milliseconds", {})[kind] = milliseconds
            print(f"{name} {kind}: {row[kind]}", flush=True)
            write_text(results, json.dumps(rows, indent=2) + "\n")
        if arguments.time:
            row["milliseconds"] |= _time_networks(network, decoder, backbone, arguments)
            row["timed"] = _today()
            print(f"{name}, milliseconds: {row['milliseconds']}", flush=True)
            write_text(results, json.dumps(rows, indent=2) + "\n")
        del network
        gc.collect()
    if arguments.table:
        write_text(arguments.table, page(rows, arguments))
        print(f"wrote {arguments.table}")


def _model(decoder: str, backbone: str) -> dict[str, Any]:
    options = {"name": decoder.partition("-")[0], **DECODERS[decoder]}
    return {"backbone": {"name": backbone}, "decoder": options}


def _build(decoder: str, backbone: str, num_classes: int):
    import mindspore as ms

    from src.models import build_model
    from src.schema.model import ModelConfig

    ms.set_seed(0)
    network = build_model(ModelConfig.model_validate(_model(decoder, backbone)), num_classes)
    randomize(network, num_classes)
    return network


def _export(network, kind: str, size: list[int], folder: Path, repeats: int) -> tuple[dict[str, Any], float | None]:
    """What came of an export, and milliseconds of a run of the file, if that was asked for."""
    from src.inference.deployed import Form
    from src.inference.exported import open_exported
    from src.inference.exporter import export

    baked = "uint8" in kind
    form = Form(colors=baked, ids=baked, half="fp16" in kind, mean=MEAN, std=STD)
    shape = (None if "any batch" in kind else 1, 3, size[0], size[1])
    try:
        exported = export(network, kind.partition(" ")[0], shape, folder / "model", form)
    except (UserError, RuntimeError) as error:
        return {"error": str(error)}, None
    found = {
        "difference": exported.difference / exported.largest,
        "equal": exported.equal,
        "megabytes": exported.path.stat().st_size / 1e6,
    }
    milliseconds = None
    if repeats:
        image = np.zeros((1, *size, 3), np.uint8) if baked else np.zeros((1, 3, *size), np.float32)
        file = open_exported(exported.path)
        milliseconds = _milliseconds(lambda: file.run(image), repeats)
    exported.path.unlink()
    return found, milliseconds


def _time_networks(network, decoder: str, backbone: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Milliseconds of a run of the network, and of its twin in PyTorch if there is one."""
    from mindspore import Tensor

    from src.config import load_config
    from src.models.complexity import parameters_by_part
    from src.tools.benchmark.cases import CASES
    from src.tools.benchmark.twin import PYTHON, run_twin

    image = np.zeros((1, 3, *arguments.size), np.float32)
    found = {"network": _milliseconds(lambda: network(Tensor(image)).asnumpy(), arguments.time)}
    if backbone in TWINS and PYTHON.is_file():
        config = load_config(CASES["eval-camvid"].config, [f"model={json.dumps(_model(decoder, backbone))}"])
        twin = run_twin("infer", config, arguments.classes, size=arguments.size, warmup=3, steps=arguments.time)
        if twin["parameters"] != (own := sum(parameters_by_part(network).values())):
            raise UserError(f"{decoder} on {backbone}: {own:,} parameters, and its twin has {twin['parameters']:,}")
        found["PyTorch"] = 1000 * twin["median_seconds"]
    return found


def _today() -> str:
    return f"{now()[:10]}, {commit()}"


def _milliseconds(run: Callable[[], Any], repeats: int) -> float:
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - start))
    return median(times)


def page(rows: dict[str, dict[str, Any]], arguments: argparse.Namespace) -> str:
    """All results as a page of docs."""
    height, width = arguments.size
    lines = [HEAD.format(height=height, width=width, classes=arguments.classes)]
    wanted = [f"{decoder} {backbone}" for decoder in DECODERS for backbone in BACKBONES]
    missing = sum(kind not in rows.get(name, {}) for name in wanted for kind in KINDS)
    if missing:
        lines += ["", f"{missing} of {len(wanted) * len(KINDS)} exports have not been made yet; the command adds them."]
    for kind in KINDS:
        columns = ["decoder, backbone", "difference", "equal", "MB", "date, commit"]
        entries = [(name, entry[kind]) for name, entry in sorted(rows.items()) if kind in entry]
        if entries:
            lines += ["", f"## {kind}", "", f"| {' | '.join(columns)} |", "|---|---:|---:|---:|---|"]
            lines += [f"| {name} | {' | '.join(_cells(row))} |" for name, row in entries]
    return "\n".join(lines + _times(rows, height, width)) + "\n"


def _times(rows: dict[str, dict[str, Any]], height: int, width: int) -> list[str]:
    timed = {name: entry["milliseconds"] for name, entry in sorted(rows.items()) if "milliseconds" in entry}
    if not timed:
        return []
    columns = [kind for kind in ("network", *KINDS, "PyTorch") if any(kind in times for times in timed.values())]
    lines = ["", TIME.format(height=height, width=width), ""]
    head = ["decoder, backbone", *columns, "date, commit"]
    lines += [f"| {' | '.join(head)} |", "|---" + "|---:" * len(columns) + "|---|"]
    for name, times in timed.items():
        cells = [f"{times[column]:.0f}" if column in times else "-" for column in columns]
        lines.append(f"| {name} | {' | '.join(cells)} | {rows[name].get('timed', '-')} |")
    return lines


def _cells(row: dict[str, Any]) -> list[str]:
    made = row.get("made", "-")
    if "error" in row:
        return [row["error"], "-", "-", made]
    return [f"{row['difference']:.1e}", f"{100 * row['equal']:.3f} %", f"{row['megabytes']:.1f}", made]


if __name__ == "__main__":
    run_command(main)
