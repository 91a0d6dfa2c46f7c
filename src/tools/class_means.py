"""Write the mean of every class in a backbone's deepest map over the training set, for CPT's memory to start from.

    python -m src.tools.class_means --config config/cpt_effnet_lite0_camvid.yaml --output means.npz
    python train.py --config config/cpt_effnet_lite0_camvid.yaml --set model.decoder.memory.init=means.npz

The backbone is the config's, with the weights that ``model.backbone.weights`` names. Images are taken whole, by
``data.eval_transforms``; a position of the map counts for the class that covers at least ``losses.consistency.purity``
(0.75) of the labeled pixels of its cell.
The file, a ``.npz`` or a ``.ckpt``, holds ``means`` [K, C], zero for a class without a pixel, and ``pixels`` [K].
"""

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from src.config import load_config
from src.errors import UserError, run_command
from src.schema.losses import ConsistencyConfig


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Write the class means of a backbone's deepest map.")
    parser.add_argument("--config", required=True, metavar="FILE", help="backbone, its weights and the data")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help=".npz or .ckpt")
    parser.add_argument("--split", metavar="NAME", help="default: data.train_split")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override a key")
    return parser.parse_args()


def class_means(
    runner: Callable[[np.ndarray], np.ndarray],
    samples: Iterable,
    num_classes: int,
    ignore_index: int = 255,
    purity: float = 0.75,
) -> tuple[np.ndarray, np.ndarray]:
    """Average the map of all positions of a class.

    Args:
        runner: from an image fp32 [1, 3, H, W] to a map [1, C, h, w].
        samples: (image, label int32 [H, W], name).
        purity: what a position's cell needs to count, see ``src.models.layers.labels.majority_label``.

    Returns:
        means fp32 [K, C], zero for a class without a position; positions of each class int64 [K].

    Raises:
        UserError: the map of an image is not finite.
    """
    from src.metrics.positions import labeled_positions

    sums, pixels = 0.0, np.zeros(num_classes, np.int64)
    title, hint = "backbone's features", "check model.backbone.weights"
    for features, ids in labeled_positions(runner, samples, num_classes, ignore_index, purity, title, hint):
        members = np.arange(num_classes)[:, None] == ids
        sums = sums + members.astype(np.float64) @ features
        pixels += members.sum(1)
    return (sums / np.maximum(pixels, 1)[:, None]).astype(np.float32), pixels


def write(path: Path, means: np.ndarray, pixels: np.ndarray, facts: dict) -> None:
    """Write the file in one step; ``facts`` go into a ``.ckpt`` only."""
    from src.checkpoint import write_checkpoint

    if path.suffix == ".ckpt":
        write_checkpoint(path, {"means": means, "pixels": pixels}, facts)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.stem}.writing.npz")
    np.savez(beside, means=means, pixels=pixels)
    beside.replace(path)


def main() -> None:
    """Run the backbone over the split, average, write."""
    arguments = parse_arguments()
    if arguments.output.suffix not in (".npz", ".ckpt"):
        raise UserError(f"--output {arguments.output}: expected a name that ends with .npz or .ckpt")
    config = load_config(arguments.config, arguments.set)

    import mindspore as ms

    from src import device
    from src.data.info import IGNORE
    from src.data.pipeline import EvalPipeline
    from src.data.preparation import ensure_records
    from src.files import check_writable
    from src.inference.runner import deepest_map_runner
    from src.models import build_model
    from src.weights.loading import load_backbone_weights

    device.setup(config.device.target, config.device.mode, config.device.native)
    check_writable(arguments.output.parent)
    metadata = ensure_records(config.data)
    split = arguments.split or config.data.train_split
    fixed_size = metadata.split(split).size is not None
    ms.set_seed(config.train.seed)
    network = build_model(config.model, len(metadata.classes))
    backbone = config.model.backbone
    if backbone.weights:
        print(load_backbone_weights(network.backbone, backbone, backbone.weights, config.data))
    else:
        print("warning: model.backbone.weights is not set: these are the means of a backbone with random weights")
    samples = EvalPipeline(config.data.records, split, config.data)
    purity = (config.losses.consistency or ConsistencyConfig()).purity
    runner = deepest_map_runner(network, fixed_size)
    means, pixels = class_means(runner, samples, len(metadata.classes), IGNORE, purity)
    write(arguments.output, means, pixels, {"backbone": backbone.name, "split": split, "classes": metadata.classes})
    for name, count in zip(metadata.classes, pixels, strict=True):
        print(f"{name:24} {count:>10} positions")
    print(f"wrote {arguments.output}: {len(samples)} images, {means.shape[0]} classes, {means.shape[1]} channels")


if __name__ == "__main__":
    run_command(main)
