"""Score a checkpoint or an exported file on the validation split.

python eval.py --config config/fpn_resnet18_camvid.yaml --checkpoint runs/fpn_resnet18_camvid/checkpoints/best.ckpt
"""

import argparse
from pathlib import Path

from src.errors import UserError, run_command
from src.files import check_writable
from src.inference.opening import find_config, find_weights, run_name


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Score a checkpoint or an exported file.")
    parser.add_argument("--config", metavar="FILE", help="default: the config inside the checkpoint")
    parser.add_argument(
        "--checkpoint", required=True, type=find_weights, metavar="FILE|RUN", help=".ckpt, .mindir or a run folder"
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="default: runs/<config or run name>/eval")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override a key")
    parser.add_argument("--save-predictions", action="store_true", help="write every prediction as a color PNG")
    parser.add_argument("--sheet", type=int, default=0, metavar="N", help="draw the first N images on one sheet")
    return parser.parse_args()


def main() -> None:
    """Evaluate and report."""
    arguments = parse_arguments()
    config = find_config(arguments.checkpoint, arguments.config, arguments.set)
    name = Path(arguments.config).stem if arguments.config else run_name(arguments.checkpoint)
    output = arguments.output or Path("runs") / name / "eval"

    from src import device
    from src.data.pipeline import EvalPipeline
    from src.data.preparation import ensure_records
    from src.inference.evaluator import Pictures, evaluate
    from src.inference.gallery import Gallery
    from src.inference.report_file import write_report_file
    from src.inference.runner import open_model
    from src.parallel import rank, world_size
    from src.report.page import write_report

    device.setup(config.device.target, config.device.mode, config.device.native)
    check_writable(output)
    split = config.data.val_split
    metadata = ensure_records(config.data, [split])
    labeled = metadata.split(split).labels
    if not labeled and not (arguments.save_predictions or arguments.sheet):
        raise UserError(f"data.val_split: '{split}' has no labels and so no score; add --save-predictions or --sheet N")
    model = open_model(config, arguments.checkpoint, metadata.split(split).size is not None, metadata.classes)
    samples = EvalPipeline(config.data.records, split, config.data, rank(), world_size())
    output.mkdir(parents=True, exist_ok=True)
    pictures = Pictures(
        output, metadata.classes, metadata.colors, config.data.mean, config.data.std,
        arguments.save_predictions, arguments.sheet,
    )  # fmt: skip
    gallery = Gallery(len(samples), len(metadata.classes), config) if config.report.write and rank() == 0 else None
    result = evaluate(
        model.run, samples, metadata.classes, config.eval, str(arguments.checkpoint), pictures, gallery=gallery
    )  # fmt: skip
    if rank() == 0:
        print(result.table() if labeled else f"split '{split}' has no labels: no score ({result.images} images)")
        result.write(output / "eval.json")
        written = [output / "eval.json", *pictures.finish()]
        if gallery:
            write_report_file(output, result, gallery, config, split, metadata.colors)
            written.append(write_report([output], output / "report.html"))
        for path in written:
            print(f"wrote {path}")


if __name__ == "__main__":
    run_command(main)
