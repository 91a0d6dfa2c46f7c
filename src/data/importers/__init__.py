"""Labels of other tools become the project's folder layout: a file per format, and what all of them share.

`src.tools.import_labels` is the only user; nothing here imports MindSpore.
"""

from src.data.importers import coco, colors, cvat, datumaro, labelme, voc
from src.data.importers.record import Reader

FORMATS: dict[str, Reader] = {
    "coco": coco.read,
    "labelme": labelme.read,
    "cvat": cvat.read,
    "voc": voc.read,
    "colors": colors.read,
    "datumaro": datumaro.read,
}
