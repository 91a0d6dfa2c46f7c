"""A two-class set: dark cracks, drawn by a random walk, on noisy gray concrete."""

from pathlib import Path

import cv2
import numpy as np

WIDTHS = (8, 12)  # pixels; of narrower cracks the pixels along the edges would decide the score


def draw(index: int, side: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """Picture ``index``: image uint8 [side, side, 3], and where the crack is, bool [side, side]."""
    random = np.random.default_rng(index)
    point, turn = random.uniform(0, side, 2), random.uniform(0, 2 * np.pi)
    points = [point]
    for _ in range(40):
        turn += random.normal(0, 0.35)
        points.append(points[-1] + 5 * np.array([np.cos(turn), np.sin(turn)]))
    crack = np.zeros((side, side), np.uint8)
    cv2.polylines(crack, [np.array(points).round().astype(np.int32)], False, [1], int(random.integers(*WIDTHS)))
    clouds = cv2.resize(random.normal(0, 14, (6, 6)), (side, side), interpolation=cv2.INTER_CUBIC)
    gray = random.uniform(130, 180) + clouds + random.normal(0, 9, (side, side))
    gray = np.where(crack, random.uniform(35, 70) + 0.3 * (gray - gray.mean()), gray)
    return np.repeat(gray.clip(0, 255).astype(np.uint8)[..., None], 3, axis=-1), crack > 0


def write_cracks(root: Path, value: int, train: int, val: int, classes: str) -> Path:
    """Write images and masks of 0 and ``value``, and ``classes.yaml``; return ``root``."""
    for split, first, count in (("train", 0, train), ("val", 100_000, val)):
        for part in ("images", "annotations"):
            (root / part / split).mkdir(parents=True)
        for index in range(first, first + count):
            image, crack = draw(index)
            cv2.imwrite(str(root / "images" / split / f"{index:06d}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 95])
            cv2.imwrite(str(root / "annotations" / split / f"{index:06d}.png"), np.uint8(value * crack))
    (root / "classes.yaml").write_text(classes)
    return root
