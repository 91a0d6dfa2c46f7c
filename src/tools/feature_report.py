"""Measure how compact and how far apart the classes are in a network's features.

    python -m src.tools.feature_report --config config/csnet_shapes.yaml \\
        --checkpoint runs/csnet_shapes/checkpoints/best.ckpt

The features are the map before the decoder's classifier, or with ``--features NAME`` another feature map that the
decoder names in its ``EXPLAINS`` (C-S Net: ``consistent``), on whole images; a pixel counts for the class that covers
at least ``losses.consistency.purity`` (0.75) of the labeled pixels of its cell. The tool prints and writes
(feature_report.json) the mean distance of pixels from their class center (intra), the mean distance between centers
(inter) and the ratio of the two, as defined in ``src/metrics/separability.py``. It draws the similarities of the
centers (similarities.png; distances with ``--distance euclidean``) and the two principal components of randomly chosen
pixels (projection.png).
"""

import argparse
from pathlib import Path

import numpy as np

from src.config import load_config
from src.errors import UserError, run_command
from src.files import check_writable
from src.schema.losses import ConsistencyConfig


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure the distances within and between classes in the features.")
    parser.add_argument("--config", required=True, metavar="FILE", help="the config it was trained with")
    parser.add_argument("--checkpoint", required=True, type=Path, metavar="FILE", help=".ckpt")
    parser.add_argument("--split", metavar="NAME", help="default: data.val_split")
    parser.add_argument(
        "--features", default="classifier", metavar="NAME",
        help="classifier (default): the map before the classifier; or another map that the decoder can explain",
    )  # fmt: skip
    parser.add_argument("--distance", choices=["cosine", "euclidean"], default="cosine")
    parser.add_argument("--output", type=Path, metavar="DIR", help="default: runs/<config name>/features")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of pixels that are drawn (default: 0)")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override a key")
    return parser.parse_args()


def draw(report, colors, output: Path) -> list[Path]:
    """Write the two pictures; return their files."""
    from src.metrics.separability import principal_components
    from src.report.charts import draw_matrix, draw_projection

    matrix, projection = output / "similarities.png", output / "projection.png"
    present = report.present
    names = [report.classes[index] for index in present]
    between = report.between[np.ix_(present, present)]
    if report.distance == "cosine":
        draw_matrix(matrix, 1 - between, names, "cosine similarity of the class centers", (-1.0, 1.0))
    else:
        draw_matrix(matrix, between, names, "distance of the class centers", (0.0, max(float(between.max()), 1e-6)))
    points, shares = principal_components(report.sample)
    axes = [f"component {index + 1} ({share:.0%} of the variance)" for index, share in enumerate(shares)]
    totals = report.totals()
    title = ", ".join(f"{name} {value:.3f}" for name, value in totals.items() if value is not None)
    title = f"{len(points)} pixels' features: {title} ({report.distance})"
    draw_projection(projection, points, report.sample_ids, report.classes, colors, title, axes)
    return [matrix, projection]


def main() -> None:
    """Measure, print, write, draw."""
    arguments = parse_arguments()
    config = load_config(arguments.config, arguments.set)
    if arguments.checkpoint.suffix == ".mindir":
        raise UserError(
            f"{arguments.checkpoint}: an exported file gives logits alone; use the .ckpt that it was exported from"
        )
    output = arguments.output or Path("runs") / Path(arguments.config).stem / "features"

    from src import device
    from src.data.pipeline import EvalPipeline
    from src.data.preparation import ensure_records
    from src.inference.runner import features_runner, open_model
    from src.metrics.separability import measure_features

    device.setup(config.device.target, config.device.mode, config.device.native)
    check_writable(output)
    metadata = ensure_records(config.data)
    split = arguments.split or config.data.val_split
    fixed_size = metadata.split(split).size is not None
    network = open_model(config, arguments.checkpoint, fixed_size, metadata.classes).network
    runner = features_runner(network, fixed_size, arguments.features)
    samples = EvalPipeline(config.data.records, split, config.data)
    weights = str(arguments.checkpoint)
    purity = (config.losses.consistency or ConsistencyConfig()).purity
    report = measure_features(
        runner, samples, metadata.classes, arguments.distance, weights, seed=arguments.seed, purity=purity
    )
    print(report.table())
    output.mkdir(parents=True, exist_ok=True)
    report.write(output / "feature_report.json")
    for path in [output / "feature_report.json", *draw(report, metadata.colors, output)]:
        print(f"wrote {path}")


if __name__ == "__main__":
    run_command(main)
