"""Multiply-adds and parameters of a network, part by part."""

import json
from pathlib import Path

import numpy as np

from src.files import write_text
from src.schema import Config
from src.tools.benchmark.steps import num_classes


def complexity(config: Config, size: list[int], file: Path | None) -> None:
    """Print multiply-adds and trained parameters of every part of the network, for one image of ``size``."""
    from mindspore import Tensor

    from src import device
    from src.inference.runner import check_image_size
    from src.models import build_model
    from src.models.complexity import by_part, multiply_adds, parameters_by_part

    device.setup(config.device.target, "graph", config.device.native)
    check_image_size(*size)
    network = build_model(config.model, num_classes(config))
    counts = by_part(multiply_adds(network, Tensor(np.zeros((1, 3, *size), np.float32))))
    parameters = parameters_by_part(network)
    rows: dict[str, tuple[int, ...]] = {
        part if "." in part else f"{part}.(own)": (counts.get(part, 0), parameters.get(part, 0))
        for part in (*counts, *parameters)
    }
    for whole in ("backbone", "decoder"):
        inside = [row for part, row in rows.items() if part.startswith(whole)]
        rows[whole] = tuple(sum(column) for column in zip(*inside, strict=True))
    rows["network"] = tuple(sum(column) for column in zip(rows["backbone"], rows["decoder"], strict=True))
    print(f"{'at ' + 'x'.join(map(str, size)):<28} {'multiply-adds, G':>17} {'parameters':>13}")
    for part, (count, number) in rows.items():
        print(f"{part:<28} {count / 1e9:>17.3f} {number:>13,}")
    if file:
        names = ("multiply_adds", "parameters")
        record = {part: dict(zip(names, row, strict=True)) for part, row in rows.items()}
        write_text(file, json.dumps({"size": size, **record}, indent=2) + "\n")
