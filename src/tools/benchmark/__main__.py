"""Measure one part of the work: median seconds after warm-up, images per second, peak memory; or count its size.

    python -m src.tools.benchmark train-step --config config/fpn_resnet18_camvid.yaml
    python -m src.tools.benchmark loss --config config/csnet_shapes.yaml
    python -m src.tools.benchmark eval --config config/fpn_resnet18_camvid.yaml --size 360 480
    python -m src.tools.benchmark evaluate --config config/fpn_resnet18_camvid.yaml --set data.root=CamVid
    python -m src.tools.benchmark data --config config/fpn_resnet18_camvid.yaml --set data.root=CamVid
    python -m src.tools.benchmark complexity --config config/ecenet_swin_base_ade20k_640.yaml

``train-step``, ``loss`` and ``eval`` take random images, so that they need no data; ``data`` reads the real records,
and so does ``evaluate``, which scores the whole validation split. ``complexity`` counts the multiply-adds for one image
and the trained parameters of every part. Run nothing else on the machine at the same time.
"""

import argparse
import json
import os
from pathlib import Path

from src.config import load_config
from src.errors import UserError, run_command
from src.files import write_text
from src.tools.benchmark.steps import STEPS, eval_step


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Measure training, loss, evaluation or the data path, or count multiply-adds."
    )
    parser.add_argument("part", choices=["complexity", *STEPS, "eval"])
    parser.add_argument("--config", required=True, metavar="FILE")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override a key")
    parser.add_argument("--steps", type=int, default=20, metavar="N", help="measured steps (default: 20)")
    parser.add_argument("--warmup", type=int, default=3, metavar="N", help="steps before them (default: 3)")
    parser.add_argument(
        "--size", type=int, nargs=2, metavar=("H", "W"), help="of eval and complexity (default: data.crop)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    arguments = parse_arguments()
    config = load_config(arguments.config, arguments.set)
    if arguments.part == "complexity":
        from src.tools.benchmark.complexity import complexity

        complexity(config, arguments.size or config.data.crop, arguments.json)
        return
    for option, least in (("steps", 1), ("warmup", 0)):
        if getattr(arguments, option) < least:
            raise UserError(f"--{option}: found {getattr(arguments, option)}, expected at least {least}")

    from src import device
    from src.tools.benchmark.measure import measure

    target = device.setup(config.device.target, config.device.mode, config.device.native)
    if arguments.part == "eval":
        work = eval_step(config, arguments.size or config.data.crop)
    else:
        work = STEPS[arguments.part](config)
    figures = measure(work, arguments.warmup, arguments.steps)
    seconds = figures.pop("seconds")
    machine = f"{target}, {len(os.sched_getaffinity(0))} cores"
    print(f"{arguments.part}: {arguments.config}, {work.what}, {machine}")
    for name, value in figures.items():
        print(f"  {name:<18} {value:g}")
    if arguments.json:
        record = {
            "part": arguments.part,
            "config": arguments.config,
            "input": work.what,
            "machine": machine,
            **figures,
            "seconds": seconds,
            "parameters": work.parameters,
        }
        write_text(arguments.json, json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    run_command(main)
