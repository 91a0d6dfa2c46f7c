"""Measure one part of the work, compare it with PyTorch, profile a training step, or count the size of a network.

    python -m src.tools.benchmark train-step --config config/fpn_resnet18_camvid.yaml
    python -m src.tools.benchmark loss --config config/csnet_shapes.yaml
    python -m src.tools.benchmark eval --config config/fpn_resnet18_camvid.yaml --size 360 480
    python -m src.tools.benchmark evaluate --config config/fpn_resnet18_camvid.yaml --set data.root=CamVid
    python -m src.tools.benchmark data --config config/fpn_resnet18_camvid.yaml --set data.root=CamVid
    python -m src.tools.benchmark complexity --config config/ecenet_swin_base_ade20k_640.yaml
    python -m src.tools.benchmark compare fpn-resnet18
    python -m src.tools.benchmark profile --config config/fpn_resnet18_camvid.yaml --output profile

``train-step``, ``loss`` and ``eval`` take random images, so that they need no data; ``data`` reads the real records,
and so does ``evaluate``, which scores the whole validation split. They report the median time after warm-up, images per
second and peak memory. ``complexity`` counts the multiply-adds for one image and the trained parameters of every part.
``compare`` measures a case, or ``all``, beside its PyTorch twin. ``profile`` says where the time of a training step
goes. Run nothing else on the machine at the same time.
"""

import argparse
import json
import os
from pathlib import Path

from src.config import load_config
from src.errors import UserError, run_command
from src.files import write_text
from src.tools.benchmark.cases import CASES
from src.tools.benchmark.steps import STEPS, eval_step


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Time, memory and size of training, evaluation and the data path.")
    parts = parser.add_subparsers(dest="part", required=True, metavar="PART")
    override, config, size, file = (argparse.ArgumentParser(add_help=False) for _ in range(4))
    override.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override a key")
    config.add_argument("--config", required=True, metavar="FILE")
    size.add_argument("--size", type=int, nargs=2, metavar=("H", "W"), help="of the image (default: data.crop)")
    file.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")

    measured = [config, override, _steps(20), file]
    for name in STEPS:
        parts.add_parser(name, parents=measured, help=f"measure {name}")
    parts.add_parser("eval", parents=[*measured, size], help="measure the evaluation of an image")
    parts.add_parser("complexity", parents=[config, override, size, file], help="count multiply-adds and parameters")
    profiled = parts.add_parser("profile", parents=[config, override], help="where the time of a training step goes")
    profiled.add_argument("--output", type=Path, metavar="DIR", help="also draw bar charts into this folder")
    versus = parts.add_parser("compare", parents=[override, _steps(8), file], help="measure a case beside its twin")
    versus.add_argument("case", choices=[*CASES, "all"], metavar="CASE", help=f"all, or one of {', '.join(CASES)}")
    versus.add_argument("--rounds", type=int, default=2, metavar="N", help="runs of each side (default: 2)")
    return parser.parse_args()


def _steps(default: int) -> argparse.ArgumentParser:
    """The options of a measurement."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--steps", type=int, default=default, metavar="N", help=f"measured steps (default: {default})")
    parser.add_argument("--warmup", type=int, default=3, metavar="N", help="steps before them (default: 3)")
    return parser


def main() -> None:
    """Do what the command line says."""
    arguments = parse_arguments()
    for option, least in (("steps", 1), ("warmup", 0), ("rounds", 1)):
        if getattr(arguments, option, least) < least:
            raise UserError(f"--{option}: found {getattr(arguments, option)}, expected at least {least}")
    if arguments.part == "compare":
        from src.tools.benchmark.compare import compare

        names = list(CASES) if arguments.case == "all" else [arguments.case]
        compare(names, arguments.set, arguments.rounds, arguments.steps, arguments.warmup, arguments.json)
    elif arguments.part == "profile":
        from src.tools.benchmark.profile import profile

        profile(load_config(arguments.config, arguments.set), arguments.output)
    elif arguments.part == "complexity":
        from src.tools.benchmark.complexity import complexity

        config = load_config(arguments.config, arguments.set)
        complexity(config, arguments.size or config.data.crop, arguments.json)
    else:
        measure_part(arguments)


def measure_part(arguments: argparse.Namespace) -> None:
    """Measure one of `STEPS`, or the evaluation of an image, and print."""
    from src import device
    from src.tools.benchmark.measure import measure

    config = load_config(arguments.config, arguments.set)
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
