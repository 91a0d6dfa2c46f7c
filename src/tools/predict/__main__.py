"""Segment images, videos and what a camera sees.

    python -m src.tools.predict --checkpoint runs/fpn_resnet18_camvid --input photos --output runs/photos

Writes for each image ``NAME.png`` (train ids, 8-bit gray), ``NAME_color.png`` and ``NAME_overlay.png``, for each video
``NAME_overlay.mp4``; NAME is the path below the folder that all inputs share. With ``--explain`` also pictures of the
inside of the decoder (ECENet, CPT, C-S Net), on the whole image at once.
"""

import argparse
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from src.errors import UserError, listing, run_command
from src.files import check_writable
from src.inference.opening import find_config, find_weights
from src.tools.predict.inputs import Input, check_targets, find_inputs


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Segment images, videos and what a camera sees.")
    parser.add_argument("--config", metavar="FILE", help="default: the config inside the checkpoint")
    parser.add_argument(
        "--checkpoint", required=True, type=find_weights, metavar="FILE|RUN",
        help=".ckpt, .mindir, .onnx or a run folder",
    )  # fmt: skip
    parser.add_argument(
        "--input", required=True, nargs="+", metavar="PATH",
        help="images, videos, folders with all their subfolders, patterns in quotes ('photos/**/*.jpg'), or the index "
        "of a camera, which Ctrl-C ends",
    )  # fmt: skip
    parser.add_argument("--output", required=True, type=Path, metavar="DIR")
    parser.add_argument("--side-by-side", action="store_true", help="show the image beside the overlay")
    parser.add_argument(
        "--smooth", type=float, default=0.0, metavar="SHARE",
        help="of videos: share of the former frames in the probabilities, 0 to below 1 (default: 0, none)",
    )  # fmt: skip
    parser.add_argument("--frames", type=int, metavar="N", help="of videos and cameras: stop after N frames")
    parser.add_argument("--explain", action="store_true", help="of images: also draw what happens inside the decoder")
    parser.add_argument("--pixel", type=int, nargs=2, metavar=("ROW", "COLUMN"), help="of --explain (default: center)")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override a key")
    return parser.parse_args()


def check(arguments: argparse.Namespace, decoder: str) -> None:
    """Refuse what does not go together, before any long work.

    Raises:
        UserError: names the option.
    """
    if arguments.explain:
        from src.explain import check_decoder  # Matplotlib takes a second

        check_decoder(decoder)
    if arguments.pixel and not arguments.explain:
        raise UserError("--pixel chooses what --explain shows; add --explain, or leave --pixel out")
    if not 0 <= arguments.smooth < 1:
        raise UserError(f"--smooth {arguments.smooth:g}: expected 0 to below 1")
    if arguments.frames is not None and arguments.frames < 1:
        raise UserError(f"--frames {arguments.frames}: expected 1 or more")
    check_writable(arguments.output)


def main() -> None:
    """Segment every input and write the results."""
    arguments = parse_arguments()
    output = arguments.output
    config = find_config(arguments.checkpoint, arguments.config, arguments.set)
    inputs = find_inputs(arguments.input, output)
    check(arguments, config.model.decoder.name)
    shown = "side_by_side" if arguments.side_by_side else "overlay"

    inside: list[str] = []
    if arguments.explain:
        from src.explain import PICTURES

        inside = [f"_{name}.png" for name in PICTURES[config.model.decoder.name]]

    def endings(item: Input) -> tuple[str, ...]:
        return (f"_{shown}.mp4",) if item.moving else (".png", "_color.png", f"_{shown}.png", *inside)

    check_targets(inputs, endings, output)

    from src.api import Model
    from src.tools.predict.images import segment_image
    from src.tools.predict.videos import segment_video

    model = Model(arguments.checkpoint, config, fixed_size=len(inputs) == 1)
    images = [item for item in inputs if not item.moving]
    notes: Counter[str] = Counter()
    problems: list[str] = []
    for item in tqdm(images, desc="predict", unit="image", disable=None):
        assert isinstance(item.source, Path)
        try:
            segment_image(model, item.source, output / item.name, shown, arguments.explain, arguments.pixel, notes)
        except UserError as error:
            problems.append(str(error))
    for note, count in notes.items():
        print(f"{count} of {len(images)} images: {note}")
    if images:
        print(f"wrote {len(images) - len(problems)} predictions into {output}")
    for item in inputs:
        if item.moving:
            target = output / f"{item.name}{endings(item)[0]}"
            try:
                print(segment_video(model, item, target, arguments.smooth, arguments.side_by_side, arguments.frames))
            except UserError as error:
                problems.append(str(error))
    if problems:
        whole = f"{len(problems)} of {len(inputs)} inputs were not segmented:\n{listing(problems)}"
        raise UserError(whole if len(inputs) > 1 else problems[0])


if __name__ == "__main__":
    run_command(main)
