"""Make a small file of a checkpoint: the network alone, with all that is needed to run it.

    python -m src.tools.strip_checkpoint runs/fpn_effnet_lite0_camvid pretrained/camvid_fpn_effnet_lite0.ckpt --half

The optimizer and the state of the training stay out; config, classes, colors, normalization and provenance are inside.
Of a training with averaged weights (``train.ema``) the averages are kept, which are the ones that are evaluated.
"""

import argparse
from pathlib import Path
from typing import Any

from src.errors import UserError, run_command
from src.files import sha256
from src.inference.opening import find_config, find_weights
from src.schema import Config


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Keep a checkpoint's network and what is needed to run it.")
    parser.add_argument("source", type=find_weights, metavar="RUN|FILE", help="a run folder (its best), or a .ckpt")
    parser.add_argument("output", type=Path, metavar="OUT.ckpt", help="checkpoint to write")
    parser.add_argument("--half", action="store_true", help="weights in half precision; loading makes them fp32 again")
    parser.add_argument("--note", metavar="TEXT", help="goes into the provenance, such as the data's terms of use")
    parser.add_argument("--config", metavar="FILE", help="default: the config inside the checkpoint")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override a key")
    return parser.parse_args()


def score(weights: Path, meta: dict[str, Any]) -> float | None:
    """The checkpoint's mIoU in percent: its own, or the one that its run logged at the same step."""
    from src.training.run_folder import RunFolder

    if "mIoU" in meta or weights.parent.name != "checkpoints":
        return meta.get("mIoU")
    lines = RunFolder(weights.parent.parent).read_metrics()
    return next((line.get("mIoU") for line in lines if "split" in line and line["step"] == meta.get("step")), None)


def provenance(weights: Path, meta: dict[str, Any], config: Config, note: str | None) -> dict[str, Any]:
    """What made the weights."""
    facts = {
        "model": f"{config.model.decoder.name} on {config.model.backbone.name}",
        "data": config.data.name,
        "step": meta.get("step"),
        "seed": config.train.seed,
        "commit": meta.get("commit"),
        "split": config.data.val_split,
        "mIoU": score(weights, meta),
        "source_checksum": meta["checksum"],
    }
    return {**facts, "note": note} if note else facts


def describe(facts: dict[str, Any]) -> str:
    """The provenance in one line."""
    known = [f"{facts['model']}, {facts['data']}, step {facts['step']}, seed {facts['seed']}"]
    if facts["commit"]:
        known.append(f"commit {facts['commit']}")
    if facts["mIoU"] is not None:
        known.append(f"{facts['split']} mIoU {facts['mIoU']:.2f}")
    return ", ".join(known + ([facts["note"]] if "note" in facts else []))


def main() -> None:
    """Read, strip, write, describe."""
    arguments = parse_arguments()
    source, output = arguments.source, arguments.output
    if source.suffix != ".ckpt" or output.suffix != ".ckpt":
        wrong = source if source.suffix != ".ckpt" else output
        raise UserError(f"{wrong}: expected a checkpoint, FILE.ckpt")
    if output.resolve() == source.resolve():
        raise UserError(f"{output}: is the checkpoint itself; choose another name for the stripped one")

    from src.checkpoint import averaged, halved, load_checkpoint, write_checkpoint

    checkpoint = load_checkpoint(source)
    config = find_config(source, arguments.config, arguments.set)
    meta = checkpoint.meta
    if "classes" not in meta:
        raise UserError(f"{source}: does not name its classes; give a checkpoint that train.py wrote")
    facts = meta.get("provenance") or provenance(source, meta, config, arguments.note)
    kept: dict[str, Any] = {
        name: meta[name] for name in ("step", "classes", "colors", "commit", "mIoU") if name in meta
    }
    kept |= {"config": config.model_dump(), "provenance": facts}
    kept |= {"mean": config.data.mean, "std": config.data.std, "channels": "RGB"}
    tensors = averaged(checkpoint)
    write_checkpoint(output, halved(tensors) if arguments.half else tensors, kept)
    print(f"wrote {output}: {output.stat().st_size / 1e6:.2f} MB, {describe(facts)}, SHA-256 {sha256(output)}")


if __name__ == "__main__":
    run_command(main)
