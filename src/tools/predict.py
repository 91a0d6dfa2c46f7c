"""Segment images that have no label.

    python -m src.tools.predict --config config/fpn_resnet18_camvid.yaml \\
        --checkpoint runs/fpn_resnet18_camvid/checkpoints/best.ckpt --input photos --output runs/photos

Writes for each image ``NAME.png`` (train ids, 8-bit gray), ``NAME_color.png`` and ``NAME_overlay.png``; with
``--explain`` also pictures of the inside of the decoder (ECENet, CPT, C-S Net), on the whole image at once.
"""

import argparse
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from src.config import load_config
from src.data.folders import IMAGE_SUFFIXES
from src.errors import UserError, run_command
from src.files import check_writable


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Segment images that have no label.")
    parser.add_argument("--config", required=True, metavar="FILE", help="the config it was trained with")
    parser.add_argument("--checkpoint", required=True, type=Path, metavar="FILE", help=".ckpt or .mindir")
    parser.add_argument("--input", required=True, type=Path, metavar="PATH", help="an image or a folder of images")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR")
    parser.add_argument("--explain", action="store_true", help="also draw what happens inside the decoder")
    parser.add_argument("--pixel", type=int, nargs=2, metavar=("ROW", "COLUMN"), help="of --explain (default: center)")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override a key")
    return parser.parse_args()


def find_images(path: Path) -> list[Path]:
    """Return ``path`` itself or the images in the folder ``path``, sorted.

    Raises:
        UserError: there is nothing to segment, or two images would be written to one name.
    """
    if path.is_file():
        return [path]
    images = sorted(p for p in path.glob("*") if p.suffix.lower() in IMAGE_SUFFIXES) if path.is_dir() else []
    if not images:
        raise UserError(f"--input {path}: no image found (looked for {', '.join(IMAGE_SUFFIXES)})")
    stems = [image.stem for image in images]
    twice = next((stem for stem in stems if stems.count(stem) > 1), None)
    if twice:
        raise UserError(f"--input {path}: several images are named {twice}; their results would overwrite each other")
    return images


def check_targets(images: list[Path], output: Path) -> None:
    """Refuse to write a result over an input image.

    Raises:
        UserError: a result would have the path of an image.
    """
    inputs = {image.resolve() for image in images}
    for image in images:
        for ending in ("", "_color", "_overlay"):
            target = output / f"{image.stem}{ending}.png"
            if target.resolve() in inputs:
                raise UserError(f"--output {output}: the result {target.name} would replace an image; choose another")


def check_pixel(pixel: list[int] | None, image: np.ndarray) -> tuple[int, int]:
    """The pixel to explain, (row, column): the given one, or the center.

    Raises:
        UserError: it lies outside the image.
    """
    height, width = image.shape[:2]
    row, column = pixel or (height // 2, width // 2)
    if not (0 <= row < height and 0 <= column < width):
        raise UserError(f"--pixel {row} {column}: lies outside the image of {height}x{width}")
    return row, column


def main() -> None:
    """Segment every image and write the pictures."""
    arguments = parse_arguments()
    config = load_config(arguments.config, arguments.set)
    images = find_images(arguments.input)

    from src import device
    from src.data.catalog import load_dataset_info
    from src.data.decoding import decode_image
    from src.data.image_file import read_image
    from src.data.transforms import build_transforms
    from src.explain import DRAWERS
    from src.explain.subject import Subject
    from src.inference.protocol import predict
    from src.inference.runner import explanation_runner, open_model
    from src.report.images import colorize, write_image

    decoder = config.model.decoder.name
    if arguments.explain and decoder not in DRAWERS:
        raise UserError(f"--explain: decoder {decoder} has nothing to show; {', '.join(DRAWERS)} have")
    if arguments.pixel and not arguments.explain:
        raise UserError("--pixel chooses what --explain shows; add --explain, or leave --pixel out")
    device.setup(config.device.target, config.device.mode, config.device.native)
    check_writable(arguments.output)
    check_targets(images, arguments.output)
    transforms = build_transforms(config.data.eval_transforms, config.data, "eval_transforms")
    # A converted checkpoint does not know its classes; the catalog knows those of a named data set.
    info = None if config.data.name == "folder" else load_dataset_info(config.data.name)
    model = open_model(config, arguments.checkpoint, len(images) == 1, list(info.classes) if info else None)
    colors = model.colors or (info and info.colors)
    if not colors:
        raise UserError(f"{arguments.checkpoint}: its classes and colors are not known; use the .ckpt of train.py")
    if arguments.explain and not model.network:
        raise UserError(f"{arguments.checkpoint}: --explain takes the .ckpt that this file was exported from")
    explain = explanation_runner(model.network) if arguments.explain else None
    names = model.classes or []  # a .ckpt always has them
    notes: Counter[str] = Counter()
    for path in tqdm(images, desc="predict", unit="image", disable=None):
        file = read_image(path)
        notes.update(file.notes)
        try:
            image = decode_image(np.frombuffer(file.data, np.uint8))
            pixel = check_pixel(arguments.pixel, image)
            normalized, _ = transforms(image, None, np.random.default_rng(0))
            classes = predict(model.run, normalized[None], config.eval, image.shape[:2])
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
        drawn = colorize(classes, colors)
        write_image(arguments.output / f"{path.stem}_color.png", drawn)
        write_image(arguments.output / f"{path.stem}_overlay.png", cv2.addWeighted(image, 0.5, drawn, 0.5, 0))
        cv2.imwrite(str(arguments.output / f"{path.stem}.png"), classes)
        if explain:
            arrays = explain(normalized[None])
            DRAWERS[decoder](arrays, Subject(image, names, colors, pixel, arguments.output, path.stem))
    for note, count in notes.items():
        print(f"{count} of {len(images)} images: {note}")
    print(f"wrote {len(images)} predictions into {arguments.output}")


if __name__ == "__main__":
    run_command(main)
