"""Measure preparing and reading a large data set, with generated images.

    python -m src.tools.benchmark_records prepare --folder many --count 118000 --size 64 64
    python -m src.tools.benchmark_records read --folder many
    python -m src.tools.benchmark_records prepare --folder large --count 60 --size 1024 2048 --suffix .png

``prepare`` makes a few different images and labels, links them to as many names as wanted, and writes the records.
``read`` is a program of its own, so that its times and its memory are those of a training that starts. Delete the
folder afterwards.
"""

import argparse
import os
import resource
import time
from pathlib import Path

import cv2
import numpy as np

from src.errors import UserError, run_command

CLASSES = 5
DIFFERENT = 20  # images


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure preparing and reading a large data set of generated images.")
    parser.add_argument("part", choices=["prepare", "read"])
    parser.add_argument("--folder", required=True, type=Path, metavar="DIR", help="for images and records")
    parser.add_argument("--count", type=int, default=1000, metavar="N", help="of prepare: images (default: 1000)")
    parser.add_argument("--size", type=int, nargs=2, default=[64, 64], metavar=("H", "W"), help="of prepare")
    parser.add_argument("--suffix", choices=[".jpg", ".png"], default=".jpg", help="of prepare (default: .jpg)")
    parser.add_argument("--workers", type=int, metavar="N", help="of prepare: threads (default: one per core)")
    parser.add_argument("--batch", type=int, default=16, metavar="N", help="of read: images per batch (default: 16)")
    parser.add_argument("--steps", type=int, default=500, metavar="N", help="of read: batches (default: 500)")
    return parser.parse_args()


def generate(root: Path, count: int, size: list[int], suffix: str) -> None:
    """Write a folder set of smooth images with some noise, and labels of rectangles."""
    random = np.random.default_rng(0)
    height, width = size
    for kind in ("images", "annotations"):
        (root / kind / "train").mkdir(parents=True)
    (root / "classes.yaml").write_text(f"classes: [{', '.join('abcde'[:CLASSES])}]\n")
    for index in range(count):
        image, label = (root / kind / "train" / f"{index:08d}" for kind in ("images", "annotations"))
        image, label = image.with_suffix(suffix), label.with_suffix(".png")
        if index < DIFFERENT:
            coarse = random.integers(0, 256, (height // 8, width // 8, 3)).astype(np.float32)
            pixels = cv2.resize(coarse, (width, height)) + random.normal(0, 3, (height, width, 3))
            cv2.imwrite(str(image), pixels.clip(0, 255).astype(np.uint8))
            classes = random.integers(0, CLASSES, (8, 16)).astype(np.uint8)
            cv2.imwrite(str(label), cv2.resize(classes, (width, height), interpolation=cv2.INTER_NEAREST))
        else:
            for path in (image, label):
                path.hardlink_to(path.with_stem(f"{index % DIFFERENT:08d}"))


def prepare(arguments: argparse.Namespace) -> None:
    """Generate the images, write the records, and say how long the second took."""
    from src.data.catalog import load_dataset_info
    from src.data.mindrecord import write_records

    root, records = arguments.folder / "raw", arguments.folder / "records"
    generate(root, arguments.count, arguments.size, arguments.suffix)
    start, used = time.perf_counter(), time.process_time()
    write_records(load_dataset_info("folder", root), root, records, ["train"], workers=arguments.workers)
    seconds, used = time.perf_counter() - start, time.process_time() - used
    written = sum(path.stat().st_size for path in records.iterdir())
    speed = f"{arguments.count / seconds:.1f} images/s, {1000 * used / arguments.count:.2f} ms of a core per image"
    show("prepare", f"{seconds:.1f} s, {speed}, {written / 2**20:.0f} MiB written")


def read(arguments: argparse.Namespace) -> None:
    """Start as a training does, read batches, and say how long each part took."""
    clock = _Clock()
    from src import device

    device.setup("CPU")
    from src.data.pipeline import TrainPipeline
    from src.data.preparation import ensure_records
    from src.data.records import check_records
    from src.schema.data import DataConfig

    clock.show("imports")
    records = str(arguments.folder / "records")
    data = DataConfig(name="folder", records=records, crop=[64, 64], val_split="train")
    count = ensure_records(data).split("train").count
    clock.show(f"check of {count} records")
    pipeline = TrainPipeline(records, "train", data, arguments.batch, seed=0)
    batches = pipeline.batches()
    next(batches)
    clock.show("first batch")
    images, used = arguments.steps * arguments.batch, time.process_time()
    seconds = clock.during(lambda: [next(batches) for _ in range(arguments.steps)])
    used = time.process_time() - used
    show("batches", f"{images / seconds:.0f} images/s, {1000 * used / images:.2f} ms of a core per image")
    across = pipeline.batches(pipeline.steps_per_epoch - 1)
    next(across)
    show("into the next epoch", f"{clock.during(lambda: next(across)):.2f} s")
    show("check of all checksums", f"{clock.during(lambda: check_records(records, full=True)):.2f} s")


class _Clock:
    """Seconds since the last look at it."""

    def __init__(self):
        self.last = time.perf_counter()

    def show(self, part: str) -> None:
        now = time.perf_counter()
        show(part, f"{now - self.last:.2f} s")
        self.last = now

    def during(self, action) -> float:
        start = time.perf_counter()
        action()
        return time.perf_counter() - start


def show(part: str, figures: str) -> None:
    """Print a part's figures and the peak of memory so far."""
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{part:<28} {figures} (peak memory {memory:.2f} GiB)", flush=True)


def main() -> None:
    """Measure one part."""
    arguments = parse_arguments()
    if arguments.part == "prepare" and arguments.folder.exists():
        raise UserError(f"--folder {arguments.folder} exists already; name a new one")
    if arguments.part == "read" and not (arguments.folder / "records").is_dir():
        raise UserError(f"--folder {arguments.folder}: no records there; run prepare first")
    if min(arguments.count, arguments.batch, arguments.steps, *(side // 8 for side in arguments.size)) < 1:
        raise UserError("--count, --batch and --steps have to be at least 1, the sides of --size at least 8")
    print(f"{arguments.part}: {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
    (prepare if arguments.part == "prepare" else read)(arguments)


if __name__ == "__main__":
    run_command(main)
