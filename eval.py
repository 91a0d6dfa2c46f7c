"""Score a checkpoint or an exported file on the validation split or another one.

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
        "--checkpoint",
        required=True,
        type=find_weights,
        metavar="FILE|RUN",
        help="checkpoint, exported file or run",
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="default: runs/<config or run name>/eval")
    parser.add_argument("--split", metavar="NAME", help="default: data.val_split")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override a key")
    parser.add_argument(
        "--save-predictions",
        nargs="*",
        choices=["color", "ids", "raw"],
        metavar="KIND",
        help="write every prediction as PNG: color (default), ids, or raw, the data set's own numbering",
    )
    parser.add_argument("--sheet", type=int, default=0, metavar="N", help="draw the first N images on one sheet")
    parser.add_argument("--worst", type=int, default=0, metavar="N", help="draw the N images of lowest mIoU on a sheet")
    parser.add_argument(
        "--explain", type=int, default=0, metavar="N", help="draw what happens inside the decoder on the first N images"
    )
    parser.add_argument(
        "--per-image", type=Path, metavar="FILE.csv", help="write the scores of each image, worst first"
    )
    parser.add_argument("--boundary", action="store_true", help="measure boundary IoU too")
    parser.add_argument(
        "--resume", choices=["auto", "never"], default="auto", help="whether to go on with an interrupted evaluation"
    )
    return parser.parse_args()


def main() -> None:
    """Evaluate and report."""
    arguments = parse_arguments()
    config = find_config(arguments.checkpoint, arguments.config, arguments.set)
    name = Path(arguments.config).stem if arguments.config else run_name(arguments.checkpoint)
    output = arguments.output or Path("runs") / name / "eval"
    for key in ("sheet", "worst", "explain"):
        if (number := getattr(arguments, key)) < 0:
            raise UserError(f"--{key} {number}: expected a number of images, 0 or more")
    kinds = ["color"] if arguments.save_predictions == [] else arguments.save_predictions or []

    if arguments.explain:
        from src.explain import check_decoder  # Matplotlib takes a second

        check_decoder(config.model.decoder.name)
        if arguments.checkpoint.suffix != ".ckpt":
            raise UserError(f"{arguments.checkpoint}: an exported file explains nothing; use its .ckpt")

    from src import device
    from src.data.pipeline import EvalPipeline
    from src.data.preparation import ensure_records
    from src.inference.evaluation_files import EvaluationFiles
    from src.inference.evaluator import evaluate
    from src.inference.gallery import Gallery
    from src.inference.journal import Journal, identity
    from src.inference.predictions import Predictions
    from src.inference.report_file import write_report_file
    from src.inference.runner import open_model
    from src.parallel import rank, world_size
    from src.report.page import write_report

    device.setup(config.device.target, config.device.mode, config.device.native)
    for folder in (output, *([arguments.per_image.parent] if arguments.per_image else [])):
        check_writable(folder)
    split = arguments.split or config.data.val_split
    metadata = ensure_records(config.data, [split])
    labeled = metadata.split(split).labels
    if not labeled and not (kinds or arguments.sheet):
        key = "--split" if arguments.split else "data.val_split"
        raise UserError(f"{key}: '{split}' has no labels and so no score; add --save-predictions or --sheet N")
    for key in ("per_image", "worst", "boundary"):
        if getattr(arguments, key) and not labeled:
            raise UserError(f"--{key.replace('_', '-')}: '{split}' has no labels and so no score; leave it out")
    model = open_model(config, arguments.checkpoint, metadata.split(split).size is not None, metadata.classes)
    samples = EvalPipeline(config.data.records, split, config.data, rank(), world_size())
    predictions = Predictions(output, kinds, metadata.colors, metadata.label_map, metadata.name, split)
    what = identity(config, arguments.checkpoint, split, kinds, arguments.boundary)
    with Journal(output, what, rank(), world_size(), arguments.resume == "auto") as journal:
        rest = samples.only(samples.indices[len(journal.images) :])
        if journal.images:
            print(f"continuing an interrupted evaluation: {len(journal.images)} of {len(samples)} images are done")
        gallery = Gallery(len(rest), len(metadata.classes), config) if config.report.write and rank() == 0 else None
        result = evaluate(
            model.run, rest, metadata.classes, config.eval, str(arguments.checkpoint), predictions,
            boundary=arguments.boundary, journal=journal, gallery=gallery,
        )  # fmt: skip
        if rank() == 0:
            print(result.table() if labeled else f"split '{split}' has no labels: no score ({result.images} images)")
            files = EvaluationFiles(output, model.run, samples, config, metadata, labeled)
            files.write(result, journal.all_images(), arguments.per_image, arguments.sheet, arguments.worst)
            written = [*files.written, *predictions.folders.values()]
            if arguments.explain:
                from src.inference.explained import draw_inside

                first, folder = samples.only(samples.indices[: arguments.explain]), output / "explain"
                draw_inside(folder, model.network, first, config, metadata.classes, metadata.colors)
                written.append(folder)
            if gallery:
                write_report_file(output, result, gallery, config, split, metadata.colors)
                written.append(write_report([output], output / "report.html"))
            for path in written:
                print(f"wrote {path}")
        journal.finish()


if __name__ == "__main__":
    run_command(main)
