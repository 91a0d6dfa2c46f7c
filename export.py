"""Export a checkpoint for inference, and check the exported file before reporting success.

    python export.py --config config/quickstart.yaml --checkpoint runs/quickstart/checkpoints/best.ckpt \\
        --format MINDIR --size 96 96 --output runs/quickstart/model
"""

import argparse
from pathlib import Path

from src.errors import UserError, run_command
from src.files import check_writable
from src.inference.opening import find_config, find_weights


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Export a checkpoint for inference.")
    parser.add_argument("--config", metavar="FILE", help="default: the config inside the checkpoint")
    parser.add_argument("--checkpoint", required=True, type=find_weights, metavar="FILE|RUN", help=".ckpt or a run")
    parser.add_argument(
        "--format", required=True, choices=["MINDIR", "AIR", "ONNX"],
        help="AIR needs an Ascend device and is experimental: it has never been run",
    )  # fmt: skip
    parser.add_argument("--size", type=int, nargs=2, metavar=("H", "W"), help="input size (default: data.crop)")
    parser.add_argument("--batch", type=int, default=1, metavar="N", help="images per call (default: 1)")
    parser.add_argument("--output", required=True, type=Path, metavar="STEM", help="file name without suffix")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override a key")
    return parser.parse_args()


def known_classes(checkpoint, config):
    """Class names and colors: the checkpoint's, or those of the named data set for a converted one."""
    from src.data.catalog import load_dataset_info

    if "classes" in checkpoint.meta:
        return checkpoint.meta["classes"], checkpoint.meta["colors"]
    if config.data.name == "folder":
        raise UserError(f"{checkpoint.path}: does not name its classes; give one that train.py wrote")
    info = load_dataset_info(config.data.name)
    return list(info.classes), [list(color) for color in info.colors]


def main() -> None:
    """Load, export, check, describe."""
    arguments = parse_arguments()
    config = find_config(arguments.checkpoint, arguments.config, arguments.set)
    height, width = arguments.size or config.data.crop
    if min(height, width) < 32:
        raise UserError(f"--size {height} {width}: the network needs at least 32 pixels a side")
    if arguments.batch < 1:
        raise UserError(f"--batch {arguments.batch}: expected at least 1")

    from src import device
    from src.checkpoint import load_checkpoint, load_network
    from src.inference.exporter import export, write_description
    from src.models import build_model

    device.setup(config.device.target, config.device.mode, config.device.native)
    check_writable(arguments.output.parent)
    checkpoint = load_checkpoint(arguments.checkpoint)
    classes, colors = known_classes(checkpoint, config)
    network = build_model(config.model, len(classes))
    load_network(network, checkpoint)
    exported = export(network, arguments.format, (arguments.batch, 3, height, width), arguments.output)
    description = write_description(
        exported.path,
        {
            "input": {"shape": [arguments.batch, 3, height, width], "layout": "NCHW", "channels": "RGB"},
            "normalize": {"mean": config.data.mean, "std": config.data.std, "range": "0..255"},
            "output": f"logits [{arguments.batch}, {len(classes)}, {height}, {width}]; arg-max over axis 1",
            "classes": classes,
            "colors": colors,
            "config": config.model_dump(),
            "checkpoint": {"file": arguments.checkpoint.name, "checksum": checkpoint.meta["checksum"]},
        },
    )
    print(
        f"wrote {exported.path} and {description.name}; loaded back in a fresh process, its logits differ from "
        f"the checkpoint's by at most {exported.difference:.2e} (largest logit {exported.largest:.2f})"
    )


if __name__ == "__main__":
    run_command(main)
