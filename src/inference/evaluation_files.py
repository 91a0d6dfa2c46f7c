"""The files of an evaluation: eval.json, the confusion matrix, scores of single images, and sheets."""

from pathlib import Path

import numpy as np

from src.files import write_text
from src.inference.evaluator import Result
from src.inference.exported import Runner
from src.inference.sheets import draw_sheet
from src.metrics.per_image import ImageCounts, confusion_csv, per_image_csv, worst_first
from src.report.charts import draw_matrix
from src.schema import Config


class EvaluationFiles:
    """Writes them into ``folder``.

    Args:
        samples: the whole split, with ``only`` to choose from it (``src.data.pipeline.EvalPipeline``).
        metadata: of the records: classes and colors.
        labeled: whether the split has labels, and so scores.

    Attributes:
        written: what has been written.
    """

    def __init__(self, folder: Path, runner: Runner, samples, config: Config, metadata, labeled: bool):
        self.folder, self.runner, self.samples = folder, runner, samples
        self.config, self.classes, self.colors, self.labeled = config, metadata.classes, metadata.colors, labeled
        self.written: list[Path] = []

    def write(self, result: Result, images: list[ImageCounts], per_image: Path | None, sheet: int, worst: int) -> None:
        """Write everything that is asked for.

        Args:
            images: the counts of all images.
            per_image: where the scores of single images go, if anywhere.
            sheet, worst: rows of the sheet of the first and of that of the worst images.
        """
        result.write(self._new("eval.json"))
        if self.labeled:
            write_text(self._new("confusion.csv"), confusion_csv(result.matrix, self.classes))
            rows = np.maximum(result.matrix.sum(1, keepdims=True), 1)
            title = "predicted as (columns), % of each label's pixels (rows)"
            draw_matrix(self._new("confusion.png"), 100 * result.matrix / rows, self.classes, title, (0, 100))
        if sheet:
            self._draw("sheet.png", range(min(sheet, len(images))), None)
        if not self.labeled or not (per_image or worst):
            return
        scored = worst_first(images, len(self.classes))
        if per_image:
            write_text(per_image, per_image_csv(scored, self.classes))
            self.written.append(per_image)
        if worst:
            captions = [f"{image.name}: mIoU {scores.mean('IoU'):.1f}" for image, scores in scored[:worst]]
            self._draw("worst.png", [image.index for image, _ in scored[:worst]], captions)

    def _draw(self, name: str, indices, captions: list[str] | None) -> None:
        samples = self.samples.only(indices)
        config = self.config
        draw_sheet(self._new(name), self.runner, samples, config.eval, config.data, self.classes, self.colors, captions)

    def _new(self, name: str) -> Path:
        self.written.append(self.folder / name)
        return self.written[-1]
