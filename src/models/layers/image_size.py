"""The smallest image that a pyramid down to stride 32 takes."""

from src.models.layers.backend import is_static

MIN_SIZE = 32  # height and width: the deepest stride of a pyramid


def check_size(image):
    """Refuse an image [B, 3, H, W] below 32 pixels a side; at compile time, so not for dynamic shapes."""
    if is_static(image):
        height, width = image.shape[2:]
        if height < MIN_SIZE or width < MIN_SIZE:
            raise ValueError(f"image size must be at least {MIN_SIZE} x {MIN_SIZE}, got {height} x {width}")
