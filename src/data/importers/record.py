"""What every format yields: images with their labels, as the labeling tool wrote them; nothing is drawn yet."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from src.data.importers.class_file import ClassFile, Color
from src.data.importers.image_folder import ImageFolder
from src.data.importers.raster import ClassMap, Layer

BACKGROUND = "background"


@dataclass(frozen=True)
class Annotated:
    """One image and its label: either layers, the lowest first, or a map with a class for every pixel."""

    file_name: str  # of the image, below --images, with forward slashes
    origin: str  # where its label stands, for messages
    size: tuple[int, int] | None = None  # (height, width) that the source states; None: it does not
    layers: tuple[Layer, ...] = ()
    class_map: ClassMap | None = None

    @property
    def is_empty(self) -> bool:
        return not self.layers and self.class_map is None


@dataclass
class Source:
    """All that was found in the labels."""

    fills_background: bool  # pixels outside all layers are background; false where every pixel has a value
    classes: list[str] = field(default_factory=list)  # in the source's order
    colors: dict[str, Color] = field(default_factory=dict)
    records: list[Annotated] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # any of them stops the import
    notes: Counter[str] = field(default_factory=Counter)  # what was left out, and how often

    def drawn_labels(self) -> set[str]:
        """Return the labels of all layers, without the ignored ones."""
        return {layer.label for record in self.records for layer in record.layers if layer.label is not None}


@dataclass(frozen=True)
class Request:
    """What the user pointed at."""

    images: ImageFolder
    labels: Path
    classes: ClassFile | None = None
    keep_crowd: bool = False  # coco: draw crowd regions as their class


Reader = Callable[[Request], Source]
