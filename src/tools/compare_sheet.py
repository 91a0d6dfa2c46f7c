"""Draw several networks beside each other: image, label, and the prediction of each, in one picture.

    python -m src.tools.compare_sheet FPN=runs/fpn ECENet=runs/ecenet --images 3 --output sheet.png

A network is a run folder (its best checkpoint), a .ckpt, or an exported .mindir or .onnx, with a title before it where
the name of the run does not say enough. Each is run as its own config says, on the records that the first one's names.
"""

import argparse
from pathlib import Path

from src.errors import UserError, run_command
from src.files import check_writable
from src.inference.opening import find_config, find_weights, run_name
from src.schema import Config


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Draw image, label and the predictions of several networks.")
    parser.add_argument("networks", nargs="+", metavar="[TITLE=]RUN|FILE", help="a run folder or a file")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE.png", help="picture to write")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--images", type=int, default=3, metavar="N", help="the first N images (default: 3)")
    chosen.add_argument("--rows", nargs="+", type=int, metavar="I", help="these images, counted from 0")
    parser.add_argument("--split", metavar="NAME", help="default: data.val_split of the first network")
    parser.add_argument("--records", metavar="DIR", help="default: data.records of the first network")
    return parser.parse_args()


def name_network(text: str) -> tuple[str, Path]:
    """Title and file of an argument; a path may itself hold an equals sign."""
    title, equals, path = text.partition("=")
    if not equals or Path(text).exists():
        title, path = "", text
    weights = find_weights(path)
    return title or run_name(weights), weights


def main() -> None:
    """Predict, draw, write."""
    arguments = parse_arguments()
    if arguments.output.suffix != ".png":
        raise UserError(f"--output {arguments.output}: the picture is a .png")
    networks = [name_network(text) for text in arguments.networks]
    titles = ["image", "label", *(title for title, _ in networks)]
    twice = next((title for title in titles if titles.count(title) > 1), None)
    if twice:
        raise UserError(f"two columns are called '{twice}'; give titles, such as A={networks[0][1]}")
    check_writable(arguments.output.parent)

    from src import device
    from src.data.pipeline import EvalPipeline
    from src.data.preparation import ensure_records
    from src.inference.protocol import predict
    from src.inference.runner import open_model
    from src.report.charts import contact_sheet
    from src.report.images import colorize, denormalize

    first = open_config(networks[0][1], arguments.records)
    device.setup(first.device.target, first.device.mode, first.device.native)
    split = arguments.split or first.data.val_split
    metadata = ensure_records(first.data, [split])
    facts = metadata.split(split)
    chosen = choose(arguments, facts.count)
    columns: dict[str, list] = {}
    for title, weights in networks:
        config = open_config(weights, first.data.records)
        run = open_model(config, weights, facts.size is not None, metadata.classes).run
        samples = list(EvalPipeline(config.data.records, split, config.data).only(chosen))
        if not columns:
            mean, std = config.data.mean, config.data.std
            columns["image"] = [denormalize(image[0], mean, std) for image, _, _ in samples]
            if facts.labels:
                columns["label"] = [colorize(label, metadata.colors) for _, label, _ in samples]
        ids = [predict(run, image, config.eval, label.shape) for image, label, _ in samples]
        columns[title] = [colorize(classes, metadata.colors) for classes in ids]
    rows = [list(pictures) for pictures in zip(*columns.values(), strict=True)]
    contact_sheet(arguments.output, rows, list(columns), metadata.classes, metadata.colors)
    print(f"wrote {arguments.output}")


def open_config(weights: Path, records: str | None) -> Config:
    """The config that a network carries, for other records if they are named."""
    return find_config(weights, None, [f"data.records={records}"] if records else [])


def choose(arguments: argparse.Namespace, count: int) -> list[int]:
    """The images to draw, of ``count``."""
    chosen = arguments.rows if arguments.rows is not None else list(range(min(arguments.images, count)))
    outside = [row for row in chosen if not 0 <= row < count]
    if outside or not chosen:
        wrong = f"--rows {outside[0]}" if outside else f"--images {arguments.images}"
        raise UserError(f"{wrong}: the split has the images 0 to {count - 1}")
    return chosen


if __name__ == "__main__":
    run_command(main)
