"""A sheet of imported samples, to see at a glance whether the labels lie where they should."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from src.data.importers.classes import ClassTable
from src.data.importers.writer import SPLITS, Sample
from src.data.info import IGNORE
from src.report.charts import contact_sheet
from src.report.images import IGNORED, colorize

MOST = 8
HEIGHT, WIDTH = 360, 480  # pixels of a picture on the sheet


def choose(pixels: np.ndarray, seed: int, count: int = MOST) -> list[int]:
    """Choose samples that show as many classes as possible, int [samples, ids] -> indices.

    Each one adds the most classes not shown yet; once none adds any, those with most classes follow.
    """
    shows = pixels[:, :IGNORE] > 0
    left = np.random.default_rng(seed).permutation(len(pixels)).tolist()
    chosen: list[int] = []
    seen = np.zeros(shows.shape[1], bool)
    while left and len(chosen) < count:
        best = max(left, key=lambda index: ((shows[index] & ~seen).sum(), shows[index].sum()))
        left.remove(best)
        chosen.append(best)
        seen |= shows[best]
    return chosen


def draw_sheet(
    samples: list[Sample], is_val: np.ndarray, table: ClassTable, folder: Path, seed: int, path: Path
) -> None:
    """Draw image, label and both together for up to 8 samples, from the files as they were written."""
    rows = []
    for index in choose(np.stack([sample.pixels for sample in samples]), seed):
        sample, split = samples[index], SPLITS[int(is_val[index])]
        height, width = sample.size
        ratio = min(HEIGHT / height, WIDTH / width)
        size = max(1, round(width * ratio)), max(1, round(height * ratio))
        with Image.open(folder / "images" / split / sample.file_name) as image:
            image.draft("RGB", size)
            picture = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BILINEAR))
        with Image.open(folder / "annotations" / split / f"{sample.name}.png") as image:
            label = np.asarray(image.resize(size, Image.Resampling.NEAREST))
        drawn = colorize(label, table.colors)
        mixed = cv2.addWeighted(picture, 0.5, drawn, 0.5, 0)
        mixed[label == table.background] = picture[label == table.background]
        rows.append([_center(part) for part in (picture, drawn, mixed)])
    names, colors = list(table.names), list(table.colors)
    if any(sample.pixels[IGNORE] for sample in samples):
        names, colors = [*names, "(ignored)"], [*colors, IGNORED]
    contact_sheet(path, rows, ["image", "label", "overlay"], names, colors)


def _center(picture: np.ndarray) -> np.ndarray:
    """Put a picture into the middle of a white one of HEIGHT x WIDTH."""
    below, right = HEIGHT - picture.shape[0], WIDTH - picture.shape[1]
    edges = (below // 2, below - below // 2, right // 2, right - right // 2)
    return cv2.copyMakeBorder(picture, *edges, cv2.BORDER_CONSTANT, value=(255, 255, 255))
