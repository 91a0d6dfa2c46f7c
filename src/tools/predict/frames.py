"""The frames of a video or a camera, and the video that is made of them."""

import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # broken frames are counted; FFmpeg need not describe each

import cv2
import numpy as np

from src.errors import UserError

USUAL_RATE = 25.0  # frames per second where a file or camera does not tell
PATIENCE = 100  # reads in a row that may fail before a camera counts as gone, or a file as ended


class Frames:
    """RGB frames, uint8 [H, W, 3], one after the other; those that cannot be read are left out and counted.

    Args:
        source: a file, or the index of a camera.
        limit: frames after which to stop; None: at the end.

    Raises:
        UserError: it cannot be opened.
    """

    def __init__(self, source: Path | int, limit: int | None = None):
        self.live, self.limit = isinstance(source, int), limit
        self.capture = cv2.VideoCapture(source if isinstance(source, int) else str(source))
        if not self.capture.isOpened():
            raise UserError(
                f"--input {source}: there is no such camera, or it is in use"
                if self.live
                else f"{source}: cannot be read as a video"
            )
        rate = self.capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0 < rate < 1000 else USUAL_RATE
        self.count = 0 if self.live else max(0, int(self.capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.read = self.failed = 0

    @property
    def expected(self) -> int | None:
        """Number of frames to come; None where it is not known."""
        known = [number for number in (self.count, self.limit) if number]
        return min(known, default=None)

    @property
    def broken(self) -> int:
        """Frames that could not be read so far; FFmpeg passes over some, so the end tells how many are missing."""
        if self.count and self.limit is None:
            return max(0, self.count - self.read)
        return self.failed

    def __iter__(self) -> Iterator[np.ndarray]:
        in_a_row = 0
        while self.limit is None or self.read < self.limit:
            good, frame = self.capture.read()
            if good and frame is not None:
                self.read, in_a_row = self.read + 1, 0
                yield np.ascontiguousarray(frame[..., ::-1])
                continue
            in_a_row += 1
            if in_a_row > PATIENCE or not (self.live or self.read + in_a_row < self.count):
                break
            self.failed += 1

    def close(self) -> None:
        """Let the file or camera go."""
        self.capture.release()


class VideoFile:
    """A video that appears whole or not at all: written beside, then renamed.

    Args:
        path: an ``.mp4``.
        rate: frames per second.
    """

    def __init__(self, path: Path, rate: float):
        self.path, self.rate = path, rate
        self.beside = path.with_name(f".{path.stem}.writing{path.suffix}")
        self.writer: cv2.VideoWriter | None = None
        self.frames = 0

    def add(self, frame: np.ndarray) -> None:
        """Append an RGB frame; all have the size of the first. Of an odd side the last pixel is left out.

        Raises:
            UserError: this OpenCV cannot write such a video there.
        """
        if self.writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            size = (frame.shape[1], frame.shape[0])
            writer = cv2.VideoWriter(str(self.beside), cv2.VideoWriter.fourcc(*"mp4v"), self.rate, size)
            if not writer.isOpened():
                raise UserError(
                    f"{self.path}: this OpenCV cannot write it; check the folder, or use OpenCV with FFmpeg"
                )
            self.writer = writer
        self.writer.write(frame[..., ::-1])
        self.frames += 1

    def finish(self) -> bool:
        """Close, count what has reached the disk, and rename; return whether there is a file.

        Raises:
            UserError: not all frames have reached the disk, as when it is full.
        """
        if self.writer is None:
            return False
        self.writer.release()
        found = int(cv2.VideoCapture(str(self.beside)).get(cv2.CAP_PROP_FRAME_COUNT))
        if found != self.frames:
            self.beside.unlink(missing_ok=True)
            raise UserError(f"{self.path}: {found} of {self.frames} frames could be written; make room and try again")
        self.beside.replace(self.path)
        return True
