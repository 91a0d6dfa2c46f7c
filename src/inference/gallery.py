"""Images of an evaluation for its report, in number and size bounded: the worst ones, and some of all kinds.

Of every image the score is known, and of those that are kept three small pictures: the photo as JPEG, label and
prediction as PNG of train ids. The page draws colors and errors from these (docs/report.md).
"""

import base64
import heapq
from typing import Any

import cv2
import numpy as np

from src.metrics.confusion_matrix import ConfusionMatrix
from src.report.images import denormalize
from src.schema import Config

SIDE = 320  # longest side of a picture, in pixels
CONFUSIONS = 30  # of an image, at most; the largest ones


class Gallery:
    """Receives every image of an evaluation with its label and prediction.

    Args:
        total: number of images that will come.
        num_classes: ids of labels and predictions are below it, or ``ignore_index``.
        config: ``report.images`` of them are kept: half of them spread evenly, half with the most wrong pixels.
    """

    def __init__(self, total: int, num_classes: int, config: Config, ignore_index: int = 255):
        self.limit = config.report.images
        spread = total if total <= self.limit else (self.limit + 1) // 2
        self.spread = set(np.linspace(0, total - 1, spread).round().astype(int).tolist())
        self.worst_limit = self.limit - spread
        self.num_classes, self.ignore_index = num_classes, ignore_index
        self.mean, self.std = config.data.mean, config.data.std
        self.seen = 0
        self.kept: list[dict[str, Any]] = []
        self.worst: list[tuple[float, int, dict[str, Any]]] = []  # a heap; the number makes every entry comparable

    def add(self, name: str, image: np.ndarray, label: np.ndarray, prediction: np.ndarray) -> None:
        """image: normalized [3, h, w]; label, prediction: train ids [H, W]."""
        index, self.seen = self.seen, self.seen + 1
        if not self.limit:
            return
        facts = self._score(label, prediction)
        wrong = facts["wrong"]
        if index in self.spread:
            self.kept.append(self._entry(index, name, facts, image, label, prediction))
        elif wrong is not None and self.worst_limit:
            if len(self.worst) == self.worst_limit:
                if wrong <= self.worst[0][0]:
                    return
                heapq.heappop(self.worst)
            entry = self._entry(index, name, facts, image, label, prediction)
            heapq.heappush(self.worst, (wrong, -index, entry))

    def images(self) -> list[dict[str, Any]]:
        """What was kept, in the order of the split; scores in percent, pictures in base64."""
        entries = [*self.kept, *(entry for _, _, entry in self.worst)]
        return sorted(entries, key=lambda entry: entry["index"])

    def _score(self, label: np.ndarray, prediction: np.ndarray) -> dict[str, Any]:
        """Scores of one image, in percent; None where it has no labeled pixel."""
        matrix = ConfusionMatrix(self.num_classes, self.ignore_index)
        matrix.update(prediction, label)
        scores, counts = matrix.compute(), matrix.matrix
        summary = scores.summary()
        ious = scores.per_class["IoU"]
        off = counts - np.diag(np.diag(counts))
        confusions = [[int(truth), int(guess), int(off[truth, guess])] for truth, guess in np.argwhere(off)]
        return {
            "labeled": int(counts.sum()),
            "wrong": None if summary["aAcc"] is None else 100 - summary["aAcc"],
            "mIoU": summary["mIoU"],
            "IoU": {str(k): round(float(ious[k]), 2) for k in np.flatnonzero(~np.isnan(ious))},
            "confusions": sorted(confusions, key=lambda confusion: -confusion[2])[:CONFUSIONS],
        }

    def _entry(self, index: int, name: str, facts: dict, image, label, prediction) -> dict[str, Any]:
        height, width = label.shape
        scale = min(1.0, SIDE / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        photo = cv2.resize(denormalize(image, self.mean, self.std), size, interpolation=cv2.INTER_AREA)
        return {
            "index": index,
            "name": name,
            "size": [height, width],
            **facts,
            "photo": _encode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80]),
            "label": _encode_ids(label, size),
            "prediction": _encode_ids(prediction, size),
        }


def _encode_ids(ids: np.ndarray, size: tuple[int, int]) -> str:
    small = cv2.resize(ids.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT)
    return _encode(".png", small, [cv2.IMWRITE_PNG_COMPRESSION, 6])


def _encode(kind: str, picture: np.ndarray, options: list[int]) -> str:
    done, data = cv2.imencode(kind, picture, options)
    assert done, kind
    return base64.b64encode(data.tobytes()).decode("ascii")
