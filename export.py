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
    # fmt: off
    parser.add_argument("--config", metavar="FILE", help="default: the config inside the checkpoint")
    parser.add_argument("--checkpoint", required=True, type=find_weights, metavar="FILE|RUN", help=".ckpt or a run")
    parser.add_argument(
        "--format", required=True, choices=["MINDIR", "AIR", "ONNX"],
        help="ONNX needs requirements-onnx.txt; AIR needs an Ascend device and has never been run",
    )
    parser.add_argument("--size", type=int, nargs=2, metavar=("H", "W"), help="input size (default: data.crop)")
    parser.add_argument(
        "--batch", type=batch_size, default=1, metavar="N|any",
        help="images per call (default: 1); any: as many as are given, in ONNX alone",
    )
    parser.add_argument("--uint8", action="store_true", help="take RGB bytes [N, H, W, 3]; the file normalizes them")
    parser.add_argument("--ids", action="store_true", help="give the class of each pixel, uint8 [N, H, W], not logits")
    parser.add_argument("--half", action="store_true", help="store the weights in fp16, half the size; compute in fp32")
    parser.add_argument("--output", required=True, type=Path, metavar="STEM", help="file name without suffix")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override a key")
    # fmt: on
    return parser.parse_args()


def batch_size(text: str) -> int | None:
    """The number of images, None for any."""
    return None if text == "any" else int(text)


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
    if arguments.batch is not None and arguments.batch < 1:
        raise UserError(f"--batch {arguments.batch}: expected at least 1")

    from src import device
    from src.checkpoint import load_checkpoint, load_network
    from src.inference.deployed import Form
    from src.inference.description import describe
    from src.inference.exporter import export, write_description
    from src.models import build_model

    device.setup(config.device.target, config.device.mode, config.device.native)
    check_writable(arguments.output.parent)
    checkpoint = load_checkpoint(arguments.checkpoint)
    classes, colors = known_classes(checkpoint, config)
    network = build_model(config.model, len(classes))
    load_network(network, checkpoint)
    form = Form(arguments.uint8, arguments.ids, arguments.half, config.data.mean, config.data.std)
    shape = (arguments.batch, 3, height, width)
    exported = export(network, arguments.format, shape, arguments.output, form)
    description = write_description(
        exported.path,
        {
            **describe(form, shape, len(classes)),
            "classes": classes,
            "colors": colors,
            "config": config.model_dump(),
            "checkpoint": {"file": arguments.checkpoint.name, "checksum": checkpoint.meta["checksum"]},
            "checked": exported.facts(),
        },
    )
    what = "its logits differ from the checkpoint's"
    if arguments.ids:
        what = "the checkpoint's logits of its classes are below the largest"
    print(
        f"wrote {exported.path} and {description.name}; loaded back, {what} by at most {exported.difference:.2e} "
        f"(largest logit {exported.largest:.2f}), and {100 * exported.equal:.3f} % of the pixels have the same class"
    )


if __name__ == "__main__":
    run_command(main)
