"""Write a data set's raw folders as MindRecord, checking every image and label.

python -m src.tools.prepare_data --dataset camvid --root CamVid --output data/camvid
python -m src.tools.prepare_data --dataset cityscapes --root CityScapes --output data/cityscapes --add --splits test
python -m src.tools.prepare_data --verify --output data/camvid
"""

import argparse
from pathlib import Path
from typing import get_args

from src.errors import UserError, run_command
from src.files import check_writable
from src.schema.data import DataConfig, ShapesConfig


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    shapes, names = ShapesConfig(), get_args(DataConfig.model_fields["name"].annotation)
    parser = argparse.ArgumentParser(description="Write a data set as MindRecord, checking every image and label.")
    parser.add_argument("--dataset", metavar="NAME", help=", ".join(names))
    parser.add_argument("--root", type=Path, metavar="DIR", help="raw images and labels (not for shapes)")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder of the records")
    parser.add_argument("--shards", type=int, metavar="N", help="files per split (default: one per GiB)")
    parser.add_argument("--splits", nargs="+", metavar="NAME", help="default: those of the data set")
    parser.add_argument("--classes", type=Path, metavar="FILE", help="of folder; default: ROOT/classes.yaml")
    parser.add_argument("--label-form", choices=["ids", "train_ids"], default="ids", help="of cityscapes")
    parser.add_argument(
        "--allow-empty", nargs="*", metavar="NAME", help="classes that may have no pixel in a split; without names: all"
    )
    parser.add_argument(
        "--verify", action="store_true", help="only compare the records in DIR with all their checksums"
    )
    parser.add_argument(
        "--add", action="store_true", help="add --splits to the records in DIR; the others stay as they are"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing records")
    parser.add_argument("--train", type=int, default=shapes.train, metavar="N", help="of shapes: training scenes")
    parser.add_argument("--val", type=int, default=shapes.val, metavar="N", help="of shapes: validation scenes")
    parser.add_argument("--size", type=int, nargs=2, default=shapes.size, metavar=("H", "W"), help="of shapes")
    parser.add_argument("--seed", type=int, default=shapes.seed, metavar="N", help="of shapes")
    return parser.parse_args()


def verify(records: Path) -> None:
    """Compare every byte of the records with the checksums."""
    from src.data.records import check_records, read_metadata

    read_metadata(records)
    check_records(records, full=True)
    print(f"{records}: all files match their checksums")


def main() -> None:
    """Write the records and print what is in them."""
    arguments = parse_arguments()
    if arguments.verify:
        verify(arguments.output)
        return
    if not arguments.dataset:
        raise UserError("--dataset NAME is missing: the data set to prepare")
    if arguments.shards is not None and not 1 <= arguments.shards <= 1000:
        raise UserError(f"--shards {arguments.shards}: expected 1 to 1000")

    from src.data.catalog import load_dataset_info
    from src.data.mindrecord import write_records
    from src.data.summary import summarize

    if arguments.add and not arguments.splits:
        raise UserError("--add: name the splits to add with --splits NAME ...")
    check_writable(arguments.output)
    info = load_dataset_info(arguments.dataset, arguments.root, arguments.classes, arguments.label_form)
    shapes = None
    if info.name == "shapes":
        for option, least in (("train", 1), ("val", 1), ("seed", 0)):
            if getattr(arguments, option) < least:
                raise UserError(f"--{option}: found {getattr(arguments, option)}, expected at least {least}")
        if min(arguments.size) < 1:
            raise UserError(f"--size: found {arguments.size[0]} {arguments.size[1]}, expected at least 1 each")
        shapes = ShapesConfig(train=arguments.train, val=arguments.val, size=arguments.size, seed=arguments.seed)
    splits = arguments.splits or info.splits
    allowed = "all" if arguments.allow_empty == [] else arguments.allow_empty or ()
    metadata = write_records(
        info, arguments.root, arguments.output, splits, arguments.shards, shapes, arguments.overwrite, allowed,
        add=arguments.add,
    )  # fmt: skip
    print(summarize(metadata, list(metadata.splits)))
    counts = ", ".join(f"{split.count} {name}" for name, split in metadata.splits.items())
    print(f"wrote {arguments.output}: {counts} images")


if __name__ == "__main__":
    run_command(main)
