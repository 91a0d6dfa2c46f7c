"""The smallest image that a pyramid down to stride 32 accepts."""

from src.models.layers.backend import is_static

MIN_SIZE = 32  # height and width: the deepest stride of a pyramid


def check_size(image):
    """Refuse an image [B, 3, H, W] with a side below 32; at compile time, hence only for static shapes."""
    if is_static(image):
        height, width = image.shape[2:]
        if height < MIN_SIZE or width < MIN_SIZE:
            raise ValueError(f"image size must be at least {MIN_SIZE} x {MIN_SIZE}, got {height} x {width}")
