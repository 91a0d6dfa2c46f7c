"""Segment a video or what a camera sees."""

import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from src.api import Model
from src.errors import UserError
from src.signals import interruptible
from src.tools.predict.frames import Frames, VideoFile
from src.tools.predict.images import draw
from src.tools.predict.inputs import Input


class Smoother:
    """Classes of successive frames, from a moving average of their probabilities.

    Args:
        share: of the former average, 0 to below 1; 0: every frame on its own.
    """

    def __init__(self, model: Model, share: float):
        self.model, self.share = model, share
        self.average: np.ndarray | None = None

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """RGB uint8 [H, W, 3] -> class ids uint8 [H, W]."""
        if not self.share:
            return self.model.ids(rgb)
        found = self.model.predict(rgb).probabilities
        self.average = found if self.average is None else self.share * self.average + (1 - self.share) * found
        return self.average.argmax(axis=0).astype(np.uint8)


def segment_video(
    model: Model, item: Input, target: Path, smooth: float = 0.0, side_by_side: bool = False, limit: int | None = None
) -> str:
    """Write the video ``target`` and return a line about it.

    Args:
        smooth: see `Smoother`.
        side_by_side: frame and overlay, instead of the overlay alone.
        limit: frames after which to stop.

    Raises:
        UserError: no frame can be read, or it cannot be segmented.
        KeyboardInterrupt: of Ctrl-C or SIGTERM in a file; with a camera it is the usual end. What was done is kept.
    """
    frames = Frames(item.source, limit)
    video, segment = VideoFile(target, frames.rate), Smoother(model, smooth)
    moments: list[float] = []
    try:
        with interruptible():
            for rgb in tqdm(frames, desc=str(item.source), total=frames.expected, unit="frame", disable=None):
                video.add(draw(rgb, segment(rgb), model.colors, side_by_side))
                moments.append(time.perf_counter())
    except UserError as error:
        raise UserError(f"{item.source}: frame {frames.read}: {error}") from None
    except KeyboardInterrupt:
        if not frames.live:
            raise
    finally:
        frames.close()
        written = video.finish()
    if not written:
        raise UserError(f"{item.source}: no frame can be read")
    broken = f"; {frames.broken} could not be read" if frames.broken else ""
    return f"wrote {target}: {len(moments)} frames, {speed(moments):.1f} frames/s{broken}"


def speed(moments: list[float]) -> float:
    """Frames per second from the times at which they were done; the first, which compiles, does not count."""
    return (len(moments) - 1) / (moments[-1] - moments[0]) if len(moments) > 1 else 0.0
