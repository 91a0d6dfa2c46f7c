"""Measure one part of the work: median seconds after warm-up, images per second, peak memory; or count its size.

    python -m src.tools.benchmark train-step --config config/fpn_resnet18_camvid.yaml
    python -m src.tools.benchmark loss --config config/csnet_shapes.yaml
    python -m src.tools.benchmark eval --config config/fpn_resnet18_camvid.yaml --size 360 480
    python -m src.tools.benchmark complexity --config config/ecenet_swin_base_ade20k_640.yaml
    python -m src.tools.benchmark data --config config/fpn_resnet18_camvid.yaml --set data.root=CamVid

``train-step``, ``loss`` and ``eval`` take random images, so that they need no data; ``data`` reads the real records.
``complexity`` counts the multiply-adds for one image and the trained parameters of every part.
Run nothing else on the machine at the same time.
"""

import argparse
import json
import os
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from src.config import load_config
from src.errors import UserError, run_command
from src.files import write_text
from src.schema import Config


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Measure training, loss, evaluation or the data path, or count multiply-adds."
    )
    parser.add_argument("part", choices=["complexity", "train-step", "loss", "eval", "data"])
    parser.add_argument("--config", required=True, metavar="FILE")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override a key")
    parser.add_argument("--steps", type=int, default=20, metavar="N", help="measured steps (default: 20)")
    parser.add_argument("--warmup", type=int, default=3, metavar="N", help="steps before them (default: 3)")
    parser.add_argument(
        "--size", type=int, nargs=2, metavar=("H", "W"), help="of eval and complexity (default: data.crop)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    return parser.parse_args()


def measure(step: Callable[[], object], images: int, warmup: int, steps: int) -> dict[str, float]:
    """Time ``step``; the first call, which compiles, is reported on its own."""
    from src import device

    start = time.perf_counter()
    step()
    first = time.perf_counter() - start
    device.pin_threads()
    for _ in range(warmup):
        step()
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds)
    return {
        "first_seconds": round(first, 3),
        "median_seconds": round(median, 4),
        "slowest_seconds": round(max(seconds), 4),
        "images_per_second": round(images / median, 2),
        "peak_memory_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "steps": steps,
        "warmup": warmup,
    }


def train_step(config: Config) -> tuple[Callable[[], object], int]:
    """The whole compiled update (forward, loss, gradient, clip, optimizer) on random images of ``data.crop``."""
    from mindspore import Tensor

    from src.data.info import IGNORE
    from src.losses import build_criterion
    from src.models import build_model
    from src.training.step_builder import build_step

    classes = _num_classes(config)
    network = build_model(config.model, classes).set_train()
    step = build_step(config, network, build_criterion(config, classes, IGNORE))
    parts = config.train.accumulate
    image, label = (Tensor(one[: len(one) // parts]) for one in _random_batch(config, classes))

    def update():
        for part in range(parts):
            result = step(image, label, part == parts - 1).asnumpy()
        return result

    return update, config.train.batch_size


def loss_step(config: Config) -> tuple[Callable[[], object], int]:
    """The criterion alone, value and gradient, on the untrained network's outputs for random images."""
    import mindspore as ms
    from mindspore import Tensor

    from src.data.info import IGNORE
    from src.losses import build_criterion
    from src.models import build_model

    classes = _num_classes(config)
    image, label = map(Tensor, _random_batch(config, classes))
    network = build_model(config.model, classes).set_train()
    outputs = network(image)
    step = ms.value_and_grad(build_criterion(config, classes, IGNORE), 0, has_aux=True)
    return lambda: step(outputs, label)[0][0].asnumpy(), config.train.batch_size


def _random_batch(config: Config, classes: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    shape = (config.train.batch_size, *config.data.crop)
    image = random.standard_normal((shape[0], 3, *shape[1:]), dtype=np.float32)
    return image, random.integers(0, classes, shape).astype(np.int32)


def eval_step(config: Config, size: list[int]) -> tuple[Callable[[], object], int]:
    """One image through the network and the evaluation protocol to a class map."""
    from src.inference.protocol import predict
    from src.inference.runner import network_runner
    from src.models import build_model

    runner = network_runner(build_model(config.model, _num_classes(config)))
    image = np.random.default_rng(0).standard_normal((1, 3, *size), dtype=np.float32)
    return lambda: predict(runner, image, config.eval, size), 1


def data_batch(config: Config) -> tuple[Callable[[], object], int]:
    """Ten training batches from the records: decode, augment, batch (single batches arrive in bursts)."""
    from src.data.pipeline import TrainPipeline
    from src.data.preparation import ensure_records

    ensure_records(config.data)
    data, train = config.data, config.train
    batches = TrainPipeline(data.records, data.train_split, data, train.batch_size, train.seed).batches(0)
    return lambda: [next(batches) for _ in range(10)], 10 * train.batch_size


def complexity(config: Config, size: list[int], file: Path | None) -> None:
    """Print multiply-adds and trained parameters of every part of the network, for one image of ``size``."""
    from mindspore import Tensor

    from src import device
    from src.inference.runner import check_image_size
    from src.models import build_model
    from src.models.complexity import by_part, multiply_adds, parameters_by_part

    device.setup(config.device.target, "graph", config.device.native)
    check_image_size(*size)
    network = build_model(config.model, _num_classes(config))
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


def _num_classes(config: Config) -> int:
    from src.data.catalog import load_dataset_info
    from src.data.records import read_metadata

    data = config.data
    if Path(data.records).is_dir():
        return len(read_metadata(data.records).classes)
    return len(load_dataset_info(data.name, data.root, data.classes).classes)


def main() -> None:
    """Measure and print."""
    arguments = parse_arguments()
    config = load_config(arguments.config, arguments.set)
    if arguments.part == "complexity":
        complexity(config, arguments.size or config.data.crop, arguments.json)
        return
    for option, least in (("steps", 1), ("warmup", 0)):
        if getattr(arguments, option) < least:
            raise UserError(f"--{option}: found {getattr(arguments, option)}, expected at least {least}")

    from src import device

    target = device.setup(config.device.target, config.device.mode, config.device.native)
    size = arguments.size or config.data.crop
    if arguments.part in ("train-step", "loss"):
        step, images = train_step(config) if arguments.part == "train-step" else loss_step(config)
        what = f"batch {images} at {'x'.join(map(str, config.data.crop))}"
    elif arguments.part == "eval":
        step, images = eval_step(config, size)
        what = f"batch 1 at {'x'.join(map(str, size))}"
    else:
        step, images = data_batch(config)
        what = f"{images} images at {'x'.join(map(str, config.data.crop))}, {config.data.workers} threads"
    figures = measure(step, images, arguments.warmup, arguments.steps)
    machine = f"{target}, {len(os.sched_getaffinity(0))} cores"
    print(f"{arguments.part}: {arguments.config}, {what}, {machine}")
    for name, value in figures.items():
        print(f"  {name:<18} {value:g}")
    if arguments.json:
        record = {
            "part": arguments.part,
            "config": arguments.config,
            "input": what,
            "machine": machine,
            **figures,
        }
        write_text(arguments.json, json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    run_command(main)
