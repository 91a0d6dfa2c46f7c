"""Measure how much a network relies on each level of its pyramid: flatten one level at a time and score it again.

    python -m src.tools.level_report --config config/ecenet_shapes.yaml \\
        --checkpoint runs/ecenet_shapes/checkpoints/best.ckpt

A flattened level is the mean of its map over all pixels, at every pixel: it still tells what the image holds, and no
longer where. What mIoU loses is what the decoder takes from that level alone; a decoder that passes a level by loses
nothing. The tool prints and writes (level_report.json) mIoU in percent with all levels and with each one flattened.
"""

import argparse
import json
from pathlib import Path

from src.config import load_config
from src.errors import UserError, run_command
from src.files import check_writable, write_text


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Score a network with each level of its pyramid flattened.")
    parser.add_argument("--config", required=True, metavar="FILE", help="the config it was trained with")
    parser.add_argument("--checkpoint", required=True, type=Path, metavar="FILE", help=".ckpt")
    parser.add_argument("--split", metavar="NAME", help="default: data.val_split")
    parser.add_argument("--output", type=Path, metavar="DIR", help="default: runs/<config name>/levels")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override a key")
    return parser.parse_args()


def main() -> None:
    """Score, print, write."""
    arguments = parse_arguments()
    config = load_config(arguments.config, arguments.set)
    if arguments.checkpoint.suffix != ".ckpt":
        raise UserError(f"{arguments.checkpoint}: an exported file hides its levels; use the .ckpt it was made from")
    output = arguments.output or Path("runs") / Path(arguments.config).stem / "levels"

    from src import device
    from src.data.pipeline import EvalPipeline
    from src.data.preparation import ensure_records
    from src.inference.evaluator import evaluate
    from src.inference.runner import network_runner, open_model
    from src.inference.views import together
    from src.models.flattening import FlattenedLevels

    device.setup(config.device.target, config.device.mode, config.device.native)
    check_writable(output)
    split = arguments.split or config.data.val_split
    metadata = ensure_records(config.data, [split])
    if not metadata.split(split).labels:
        raise UserError(f"split '{split}' has no labels and so no score")
    fixed_size = metadata.split(split).size is not None
    network = open_model(config, arguments.checkpoint, fixed_size, metadata.classes).network
    assert network is not None
    network.backbone = levels = FlattenedLevels(network.backbone)
    run = network_runner(network, fixed_size, len(metadata.classes), together(config.eval))
    samples = EvalPipeline(config.data.records, split, config.data)

    def score() -> float:
        return evaluate(run, samples, metadata.classes, config.eval, str(arguments.checkpoint)).scores.mean("IoU")

    whole = score()
    print(f"{'flattened':<12}{'mIoU':>8}{'change':>9}\n{'none':<12}{whole:>8.2f}")
    flattened = []
    for level in range(4):
        levels.flatten(level)
        flattened.append(score())
        print(f"level {level:<6}{flattened[-1]:>8.2f}{flattened[-1] - whole:>+9.2f}", flush=True)
    output.mkdir(parents=True, exist_ok=True)
    report = {"split": split, "weights": str(arguments.checkpoint), "mIoU": whole, "flattened": flattened}
    write_text(output / "level_report.json", json.dumps(report, indent=2) + "\n")
    print(f"wrote {output / 'level_report.json'}")


if __name__ == "__main__":
    run_command(main)
