"""The labeled positions of a network's maps, for measures over a whole data set."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from mindspore import Tensor
from tqdm import tqdm

from src.errors import UserError
from src.models.layers.labels import majority_label

Runner = Callable[[np.ndarray], np.ndarray]  # normalized image, fp32 [1, 3, H, W] -> map, fp32 [1, D, h, w]


def labeled_positions(
    runner: Runner,
    samples: Iterable,
    num_classes: int,
    ignore_index: int,
    purity: float,
    title: str = "features",
    hint: str = "has the training diverged?",
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield for each image the features, float64 [P, D], and classes, int32 [P], of the positions that have a class.

    Args:
        samples: (image fp32 [1, 3, H, W], label int32 [H, W], name).
        purity: what a position's cell needs to have a class, see `majority_label`.
        title: of the progress bar.
        hint: what to look for where a map is not finite.

    Raises:
        UserError: the map of an image is not finite.
    """
    for image, label, name in tqdm(samples, desc=title, unit="image", leave=False, disable=None):
        features = runner(image)[0]
        if not np.isfinite(features).all():
            raise UserError(f"image {name}: the {title} are not finite; {hint}")
        cells = majority_label(
            Tensor(np.ascontiguousarray(label[None], np.int32)), features.shape[1:], num_classes, ignore_index, purity
        )
        ids = cells[0].asnumpy()
        valid = ids != ignore_index
        yield features[:, valid].T.astype(np.float64), ids[valid]
