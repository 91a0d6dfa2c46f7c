"""Measure one part of the work: median seconds after warm-up, images per second, peak memory; or count its size.

    python -m src.tools.benchmark train-step --config config/fpn_resnet18_camvid.yaml
    python -m src.tools.benchmark loss --config config/csnet_shapes.yaml
    python -m src.tools.benchmark eval --config config/fpn_resnet18_camvid.yaml --size 360 480
    python -m src.tools.benchmark evaluate --config config/fpn_resnet18_camvid.yaml --set data.root=CamVid
    python -m src.tools.benchmark data --config config/fpn_resnet18_camvid.yaml --set data.root=CamVid
    python -m src.tools.benchmark complexity --config config/ecenet_swin_base_ade20k_640.yaml
    python -m src.tools.benchmark profile --config config/fpn_resnet18_camvid.yaml --output runs/profile
    python -m src.tools.benchmark compare fpn-resnet18

``train-step``, ``loss`` and ``eval`` take random images, so that they need no data; ``data`` reads the real records,
and so does ``evaluate``, which scores the whole validation split. ``complexity`` counts the multiply-adds for one image
and the trained parameters of every part. ``profile`` says where a training step spends its time. ``compare`` runs a
case beside its PyTorch twin (benchmarks/). Run nothing else on the machine at the same time.
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

DEFAULT_STEPS = {"compare": 8, "profile": 8}


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Measure training, loss, evaluation or the data path, count multiply-adds, profile a training step "
        "or compare with PyTorch."
    )
    parser.add_argument("part", choices=["complexity", *STEPS, "eval", "profile", "compare"])
    parser.add_argument("case", nargs="?", metavar="CASE", help=f"of compare: {', '.join(CASES)}, or all")
    parser.add_argument("--config", metavar="FILE", help="of all parts but compare")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override a key")
    parser.add_argument(
        "--steps", type=int, metavar="N", help="measured steps (default: 20; of profile and compare: 8)"
    )
    parser.add_argument("--warmup", type=int, default=3, metavar="N", help="steps before them (default: 3)")
    parser.add_argument(
        "--size", type=int, nargs=2, metavar=("H", "W"), help="of eval and complexity (default: data.crop)"
    )
    parser.add_argument("--rounds", type=int, default=2, metavar="N", help="of compare: processes a side (default: 2)")
    parser.add_argument("--output", type=Path, metavar="DIR", help="of profile: for profile.json and profile.png")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    return parser.parse_args()


def check(arguments: argparse.Namespace) -> None:
    """Refuse what the part cannot use; fill in its number of steps."""
    part = arguments.part
    if part == "compare":
        if arguments.case not in (*CASES, "all"):
            raise UserError(f"compare: found case {arguments.case}, expected one of {', '.join(CASES)}, or all")
        if arguments.config:
            raise UserError("compare: a case has a config of its own; leave out --config, --set changes its keys")
    elif arguments.case:
        raise UserError(f"{part}: found '{arguments.case}', expected options only; CASE belongs to compare")
    elif not arguments.config:
        raise UserError(f"{part}: --config FILE is missing")
    if arguments.steps is None:
        arguments.steps = DEFAULT_STEPS.get(part, 20)
    for option, least in (("steps", 1), ("warmup", 0), ("rounds", 1)):
        if getattr(arguments, option) < least:
            raise UserError(f"--{option}: found {getattr(arguments, option)}, expected at least {least}")


def main() -> None:
    """Measure and print."""
    arguments = parse_arguments()
    check(arguments)
    if arguments.part == "compare":
        from src.tools.benchmark.compare import compare

        cases = list(CASES) if arguments.case == "all" else [arguments.case]
        compare(cases, arguments.set, arguments.rounds, arguments.warmup, arguments.steps, arguments.json)
        return
    config = load_config(arguments.config, arguments.set)
    if arguments.part == "complexity":
        from src.tools.benchmark.complexity import complexity

        complexity(config, arguments.size or config.data.crop, arguments.json)
        return
    if arguments.part == "profile":
        from src.tools.benchmark.profile import profile

        profile(config, arguments.config, arguments.warmup, arguments.steps, arguments.output, arguments.json)
        return

    from src import device
    from src.tools.benchmark.measure import measure

    target = device.setup(config.device.target, config.device.mode)
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
