"""The counts of the images that an evaluation has done, kept on disk so that it can go on after an interruption."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from src.metrics.per_image import ImageCounts
from src.parallel import wait_for_all
from src.schema import Config


def identity(config: Config, checkpoint: Path, split: str, kinds: Sequence[str], boundary: bool) -> dict[str, Any]:
    """Everything that an evaluation's counts and pictures depend on.

    Of the checkpoint it is size and time of modification, of the records the manifest with its checksums.
    """
    manifest = Path(config.data.records) / "manifest.json"
    weights = checkpoint.stat() if checkpoint.exists() else None
    return {
        "config": config.model_dump(mode="json", exclude={"train", "optimizer", "schedule", "device"}),
        "checkpoint": [str(checkpoint.absolute()), *([weights.st_size, weights.st_mtime_ns] if weights else [])],
        "records": hashlib.sha256(manifest.read_bytes()).hexdigest(),
        "split": split,
        "predictions": sorted(kinds),
        "boundary": boundary,
    }


class Journal:
    """A file with a line per image, after a first line that says what is evaluated.

    A file about another evaluation is replaced. A line that was cut off by the interruption is dropped.

    Args:
        folder: of the evaluation.
        identity: everything that the counts depend on, as values of JSON.
        rank, world_size: index and number of workers; each has a file of its own.
        resume: go on from what the file holds.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], rank: int = 0, world_size: int = 1, resume: bool = True):
        self.folder, self.world_size = folder, world_size
        self.header = json.dumps(identity, sort_keys=True) + "\n"
        self.path = self._file(rank)
        self.images, size = self._read(self.path) if resume else ([], 0)
        folder.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.truncate(size)
            if not size:
                file.write(self.header.encode())
        self.file = self.path.open("a", encoding="utf-8")

    def add(self, image: ImageCounts) -> None:
        """Keep the counts of one more image."""
        self.images.append(image)
        self.file.write(json.dumps(image.to_json()) + "\n")
        self.file.flush()

    def all_images(self) -> list[ImageCounts]:
        """Those of all workers whose files are in the folder, in the order of the split."""
        images = [image for rank in range(self.world_size) for image in self._read(self._file(rank))[0]]
        return sorted(images, key=lambda image: image.index)

    def finish(self) -> None:
        """The evaluation is complete: nothing is left to go on with. All workers call this."""
        wait_for_all()  # the first reads the files of all
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_) -> None:
        self.file.close()

    def _file(self, rank: int) -> Path:
        return self.folder / f".evaluation.{rank}-{self.world_size}.jsonl"

    def _read(self, path: Path) -> tuple[list[ImageCounts], int]:
        """The images of a file and the bytes that hold them; none if it is of another evaluation."""
        images: list[ImageCounts] = []
        header = self.header.encode()
        if not path.is_file():
            return images, 0
        first, *lines = path.read_bytes().splitlines(keepends=True) or [b""]
        if first != header:
            return images, 0
        size = len(header)
        for line in lines:
            try:
                if not line.endswith(b"\n"):
                    break
                images.append(ImageCounts.from_json(json.loads(line)))
            except (ValueError, TypeError):
                break
            size += len(line)
        return images, size
