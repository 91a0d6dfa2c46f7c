"""One MindRecord file of a split: written, described, and found again after an interruption.

A finished shard has a note beside the records (``NAME.json``) with a fingerprint of everything that it was made from.
Preparing again takes the shard as it is when the fingerprint and the file's checksums still match; any other file of
that name is removed first, a half-written one too.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from mindspore.mindrecord import FileWriter

from src.data.info import DatasetInfo
from src.data.records import SCHEMA_VERSION, describe_file
from src.data.sources import Row, Source
from src.data.statistics import SplitCounter
from src.files import write_text

COLUMNS = {
    "image": {"type": "bytes"},
    "label": {"type": "bytes"},
    "name": {"type": "string"},
    "height": {"type": "int32"},
    "width": {"type": "int32"},
}
HEADER = 1 << 20
LARGEST_PAGE = 1 << 28
TOGETHER = 64  # rows handed to MindRecord at a time; one by one takes six times as long
TOGETHER_BYTES = 1 << 23  # but no more than this, unless one row alone is larger


def page_size(source: Source) -> int:
    """Bytes of a page: it must hold the largest row, and the header the list of all pages, about 200 bytes each.

    All shards of a split have the same.
    """
    page = 1 << 20
    while page < min(max(2 * source.largest, source.total // 1000), LARGEST_PAGE):
        page *= 2
    return page


class Shard:
    """Samples ``start`` to ``stop`` of a split, in one MindRecord file.

    Args:
        path: the file to be.
        notes: folder of the notes about finished shards.
    """

    def __init__(self, path: Path, notes: Path, info: DatasetInfo, source: Source, start: int, stop: int):
        self.path, self.note = path, notes / f"{path.name}.json"
        self.samples = range(start, stop)
        self.classes = len(info.classes)
        self.page = page_size(source)
        identity = [
            SCHEMA_VERSION, HEADER, self.page, info.name, sorted(info.label_map.items()),
            [source.identity(index) for index in self.samples],
        ]  # fmt: skip
        self.fingerprint = hashlib.sha256(json.dumps(identity).encode()).hexdigest()

    def files(self) -> list[Path]:
        """The file and its index."""
        return [self.path, self.path.with_name(f"{self.path.name}.db")]

    def finished(self) -> SplitCounter | None:
        """What was counted in the shard if an earlier run finished it and nothing has changed since."""
        try:
            note = json.loads(self.note.read_text(encoding="utf-8"))
            if note["fingerprint"] != self.fingerprint:
                return None
            if any(describe_file(path) != note["files"][path.name] for path in self.files()):
                return None
            return SplitCounter.from_json(self.classes, note["counted"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def write(self, rows: Iterable[Row]) -> SplitCounter:
        """Write the rows and the note, and count what is in them."""
        for path in (self.note, *self.files()):
            path.unlink(missing_ok=True)
        counted = SplitCounter(self.classes)
        writer = FileWriter(str(self.path), shard_num=1)
        writer.set_header_size(HEADER)  # by default a file starts at 50 MB
        writer.set_page_size(self.page)
        writer.add_schema(COLUMNS, "segmentation sample")
        together: list[dict] = []
        for row in rows:
            counted.count(row.pixels, row.size, row.ignored, row.notes)
            together.append(row.columns())
            if len(together) == TOGETHER or sum(len(r["image"]) + len(r["label"]) for r in together) > TOGETHER_BYTES:
                writer.write_raw_data(together)
                together = []
        if together:
            writer.write_raw_data(together)
        writer.commit()
        note = {
            "fingerprint": self.fingerprint,
            "files": {path.name: describe_file(path) for path in self.files()},
            "counted": counted.to_json(),
        }
        write_text(self.note, json.dumps(note))
        return counted
