"""Masks in color: an RGB PNG for each image, and --classes with the color of each class.

Colors are compared exactly. One that no class has is an error, never taken for its neighbor: smoothed outlines and JPEG
make up colors between two classes that can be those of a third. Pillow reads the images; nothing else is needed.
"""

from src.data.importers.masks import read_colors
from src.data.importers.record import Request, Source
from src.errors import UserError


def read(request: Request) -> Source:
    """Read the masks below ``request.labels``.

    Raises:
        UserError: there are none, --classes is missing, or a class in it has no color.
    """
    file = request.classes
    if file is None:
        raise UserError("--format colors needs --classes FILE with the color of each class")
    missing = [name for name in file.names if name not in file.colors]
    if missing:
        raise UserError(
            f"{file.path}: {', '.join(missing[:5])}: no color; expected entries such as "
            "{name: road, color: [128, 64, 128]}"
        )
    source = Source(fills_background=False, classes=list(file.names), colors=dict(file.colors))
    read_colors(request, source, request.labels, dict.fromkeys(file.ignored_colors), file.path)
    return source
