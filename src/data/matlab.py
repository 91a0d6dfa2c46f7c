"""Labels in MATLAB files, as some releases have them."""

from pathlib import Path

import numpy as np

from src.errors import UserError

# What holds the label map: COCO-Stuff 10k, PASCAL Context, SBD.
KEYS = ("S", "LabelMap", "GTcls")


def read_matlab(path: Path) -> np.ndarray:
    """Read the label map of a ``.mat`` file, as whole numbers [H, W].

    It is the variable ``S`` or ``LabelMap``, or the field ``Segmentation`` of ``GTcls``.

    Raises:
        UserError: the file is not readable, or holds no label map.
    """
    from scipy.io import loadmat  # only here, because it takes half a second

    try:
        content = loadmat(path, variable_names=KEYS)
    except Exception as error:  # damaged files raise errors of many kinds
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UserError(f"{path}: unreadable label ({reason})") from None
    key = next((key for key in KEYS if key in content), None)
    if key is None:
        raise UserError(f"{path}: no label map in it; expected a variable {', '.join(KEYS)}")
    values = content[key]
    if key == "GTcls":
        if values.dtype.names is None or "Segmentation" not in values.dtype.names or values.size != 1:
            raise UserError(f"{path}: GTcls has no field Segmentation, in which SBD keeps the label map")
        values = values["Segmentation"].item()
    if values.ndim != 2 or values.dtype.kind not in "uif":
        raise UserError(f"{path}: {key} is {values.dtype} of shape {values.shape}, expected a map of class values")
    whole = values.astype(np.int64)
    if whole.size == 0 or (whole != values).any() or whole.min() < 0 or whole.max() > 65535:
        raise UserError(f"{path}: {key} holds other values than whole numbers 0..65535")
    return whole
