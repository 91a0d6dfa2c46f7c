"""Images and labels as bytes: decoding, and encoding as PNG. RGB throughout."""

import cv2
import numpy as np

from src.errors import UserError


def decode_image(data: np.ndarray) -> np.ndarray:
    """Decode image bytes (uint8 [N]) to RGB uint8 [H, W, 3], upright: an orientation tag is applied."""
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if image is None:
        raise UserError("the image cannot be decoded")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)


def decode_label(data: np.ndarray) -> np.ndarray:
    """Decode PNG bytes (uint8 [N]) to train ids, uint8 [H, W]."""
    label = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if label is None:
        raise UserError("the label cannot be decoded")
    return label


def encode_png(image: np.ndarray) -> bytes:
    """Encode a gray [H, W] or RGB [H, W, 3] uint8 array as PNG."""
    return cv2.imencode(".png", image if image.ndim == 2 else image[..., ::-1])[1].tobytes()
