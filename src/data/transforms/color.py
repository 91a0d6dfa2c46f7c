"""What things look like: color, gray, blur, noise. The label stays as it is."""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from src.data.transforms.base import Chance, Pair

LUMA = np.array([0.299, 0.587, 0.114])  # gray of R, G, B (ITU-R BT.601), OpenCV's and torchvision's
YIQ = np.array([LUMA, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])  # gray, and two axes of color
RGB = np.linalg.inv(YIQ)


class PhotometricDistortion:
    """Brightness, contrast, saturation and hue, each with probability one half (SSD; Liu et al., ECCV 2016).

    Contrast comes before or after saturation and hue, with equal probability. All four act through tables of
    256 entries, so that the cost does not depend on how many are drawn.
    """

    def __init__(self, brightness: float = 32, contrast: float = 0.5, saturation: float = 0.5, hue: float = 18):
        self.brightness, self.contrast, self.saturation, self.hue = brightness, contrast, saturation, hue

    def __call__(self, image: np.ndarray, label: np.ndarray | None, random: np.random.Generator) -> Pair:
        levels = np.arange(256, dtype=np.float32)
        add = random.uniform(-self.brightness, self.brightness) if random.random() < 0.5 else 0.0
        factor = random.uniform(1 - self.contrast, 1 + self.contrast) if random.random() < 0.5 else 1.0
        contrast_first = random.random() < 0.5
        saturation = random.uniform(1 - self.saturation, 1 + self.saturation) if random.random() < 0.5 else 1.0
        turn = random.uniform(-self.hue, self.hue) if random.random() < 0.5 else 0.0
        first = (levels + add).clip(0, 255) * (factor if contrast_first else 1.0)
        image = cv2.LUT(image, _table(first))
        if saturation != 1.0 or turn != 0.0:
            hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)  # OpenCV stores half degrees, 0..179
            hues = ((levels + turn / 2) % 180).round() % 180
            tables = np.stack([hues, (levels * saturation).clip(0, 255).round(), levels], axis=-1).astype(np.uint8)
            image = cv2.cvtColor(cv2.LUT(hsv, tables[None]), cv2.COLOR_HSV2RGB)
        if not contrast_first and factor != 1.0:
            image = cv2.LUT(image, _table(levels * factor))
        return image, label


class ColorJitter(Chance):
    """Brightness, contrast, saturation and hue by factors, all drawn uniformly, in one color matrix.

    Parameters mean what torchvision's do: factors of 1 - x to 1 + x, at least 0; contrast is the distance from the
    image's mean gray, saturation that from the pixel's own; the hue turns by up to a share of the color circle. In one
    matrix, as in the color twist of NVIDIA DALI, their order does not matter: nothing is clipped in between, and the
    hue turns in the plane of I and Q, which keeps the gray. The default of 0.2 is Albumentations' (1.x); for the hue,
    where 0.2 gives things another color, it is the 18 degrees of `PhotometricDistortion`.
    """

    def __init__(
        self,
        brightness: float = 0.2,
        contrast: float = 0.2,
        saturation: float = 0.2,
        hue: float = 0.05,
        probability: float = 0.5,
    ):
        super().__init__(probability)
        self.factors, self.hue = (brightness, contrast, saturation), hue

    def change(self, image: np.ndarray, label: np.ndarray | None, random: np.random.Generator) -> Pair:
        brightness, contrast, saturation = (random.uniform(max(0, 1 - x), 1 + x) for x in self.factors)
        angle = 2 * math.pi * random.uniform(-self.hue, self.hue)
        cosine, sine = saturation * math.cos(angle), saturation * math.sin(angle)
        color = RGB @ np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]]) @ YIQ
        gray = float(LUMA @ cv2.mean(image)[:3])
        matrix = np.column_stack([contrast * color, np.full(3, (1 - contrast) * gray)])
        return cv2.transform(image, brightness * matrix), label


class RandomGray(Chance):
    """Take the color away, in all three channels; the default probability is torchvision's."""

    def __init__(self, probability: float = 0.1):
        super().__init__(probability)

    def change(self, image: np.ndarray, label: np.ndarray | None, random: np.random.Generator) -> Pair:
        return cv2.transform(image, np.tile(LUMA, (3, 1))), label


class GaussianBlur(Chance):
    """Blur with a standard deviation drawn uniformly, in pixels.

    The defaults are those of SimCLR (Chen et al., ICML 2020) and of torchvision: 0.1 to 2, probability one half.
    """

    def __init__(self, sigma: Sequence[float] = (0.1, 2.0), probability: float = 0.5):
        super().__init__(probability)
        self.sigma = sigma

    def change(self, image: np.ndarray, label: np.ndarray | None, random: np.random.Generator) -> Pair:
        return cv2.GaussianBlur(image, (0, 0), random.uniform(self.sigma[0], self.sigma[1])), label


class GaussianNoise(Chance):
    """Add noise whose standard deviation is drawn uniformly, out of 255, independently for all numbers of the image.

    The default of 3.2 to 7.1 is Albumentations' (1.x), which gives the variance as 10 to 50.
    """

    def __init__(self, std: Sequence[float] = (3.2, 7.1), probability: float = 0.5):
        super().__init__(probability)
        self.std = std

    def change(self, image: np.ndarray, label: np.ndarray | None, random: np.random.Generator) -> Pair:
        std = random.uniform(self.std[0], self.std[1])
        noise = random.standard_normal(image.shape, np.float32)
        return cv2.addWeighted(image, 1, noise, std, 0, dtype=cv2.CV_8U), label


def _table(values: np.ndarray) -> np.ndarray:
    return values.clip(0, 255).round().astype(np.uint8)
