"""Transforms of image and label, each a small class; OpenCV, RGB throughout.

A transform takes (image uint8 RGB [H, W, 3], label uint8 [H, W] or None, generator) and returns image and label; what
it was given stays as it is. Everything random is drawn from the generator. Labels are only ever resampled by nearest
neighbor, and the only value that comes in is ``IGNORE``. Without a label (evaluation) only the image changes.

The pipeline and the tools import ``build_transforms``.
"""

from src.data.transforms.build import Compose, build_transforms
from src.data.transforms.color import ColorJitter, GaussianBlur, GaussianNoise, PhotometricDistortion, RandomGray
from src.data.transforms.crops import ClassBalancedCrop, RandomCrop, RandomResizedCrop
from src.data.transforms.filling import CoarseDropout, Pad
from src.data.transforms.geometry import RandomFlip, RandomRotation, RandomScale, RandomVerticalFlip, Resize
from src.data.transforms.normalize import Normalize

__all__ = [
    "ClassBalancedCrop",
    "CoarseDropout",
    "ColorJitter",
    "Compose",
    "GaussianBlur",
    "GaussianNoise",
    "Normalize",
    "Pad",
    "PhotometricDistortion",
    "RandomCrop",
    "RandomFlip",
    "RandomGray",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomScale",
    "RandomVerticalFlip",
    "Resize",
    "build_transforms",
]
