"""What stands in the description beside an exported file about its input and output."""

from typing import Any

from src.inference.deployed import Form


def describe(form: Form, shape: tuple[int | None, int, int, int], num_classes: int) -> dict[str, Any]:
    """The entries on input, normalization, output and weights.

    Args:
        shape: of the images, [B, 3, H, W]; None as the first for any number.
        num_classes: K.
    """
    batch, _, height, width = shape
    images = batch or "any"
    if form.colors:
        taken = {"shape": [images, height, width, 3], "layout": "NHWC", "type": "uint8"}
    else:
        taken = {"shape": [images, 3, height, width], "layout": "NCHW", "type": "float32"}
    if form.ids:
        given = {"name": "ids", "shape": [images, height, width], "layout": "NHW", "type": "uint8"}
        meaning = "class of each pixel, an index into classes"
    else:
        given = {"name": "logits", "shape": [images, num_classes, height, width], "layout": "NCHW", "type": "float32"}
        meaning = "logits; the class is the arg-max over axis 1"
    where = "file" if form.colors else "caller"
    return {
        "input": {"name": "image", **taken, "channels": "RGB"},
        "normalize": {
            "mean": list(form.mean), "std": list(form.std), "range": "0..255", "done_by": where,
            "formula": "(level - mean) / std",
        },
        "output": {**given, "meaning": meaning},
        "weights": "float16" if form.half else "float32",
    }  # fmt: skip
