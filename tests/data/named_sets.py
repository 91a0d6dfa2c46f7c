"""Small copies of the data sets known by name, where their releases put the files."""

from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat

from src.config import load_config
from src.data.info import IGNORE
from src.schema.data import DataConfig
from tests.data.raw_data import picture

COUNTS = {
    "ade20k": 150,
    "cityscapes": 19,
    "coco_stuff": 171,
    "coco_stuff10k": 171,
    "pascal_context": 59,
    "voc2012": 21,
}
# Where a sample of each split lies; every second line is a label.
FILES = {
    "ade20k": """images/training/ADE_train_00000001.jpg
                 annotations/training/ADE_train_00000001.png
                 images/validation/ADE_val_00000001.jpg
                 annotations/validation/ADE_val_00000001.png""",
    "cityscapes": """leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png
                     gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png
                     leftImg8bit/train/bochum/bochum_000000_000313_leftImg8bit.png
                     gtFine/train/bochum/bochum_000000_000313_gtFine_labelIds.png
                     leftImg8bit/val/lindau/lindau_000000_000019_leftImg8bit.png
                     gtFine/val/lindau/lindau_000000_000019_gtFine_labelIds.png""",
    "coco_stuff": """images/train2017/000000000009.jpg
                     annotations/train2017/000000000009.png
                     images/val2017/000000000139.jpg
                     annotations/val2017/000000000139.png""",
    "coco_stuff10k": """images/COCO_train2014_000000000077.jpg
                        annotations/COCO_train2014_000000000077.mat
                        images/COCO_train2014_000000000349.jpg
                        annotations/COCO_train2014_000000000349.mat""",
    "pascal_context": """JPEGImages/2008_000002.jpg
                         SegmentationClassContext/2008_000002.png
                         JPEGImages/2008_000003.jpg
                         SegmentationClassContext/2008_000003.png""",
    "voc2012": """VOC2012/JPEGImages/2007_000032.jpg
                  VOC2012/SegmentationClass/2007_000032.png
                  VOC2012/JPEGImages/2007_000033.jpg
                  VOC2012/SegmentationClass/2007_000033.png
                  VOC2012/JPEGImages/2008_000002.jpg
                  VOCaug/dataset/cls/2008_000002.mat
                  VOC2012/JPEGImages/2008_000003.jpg
                  VOCaug/dataset/cls/2008_000003.mat
                  VOC2012/JPEGImages/2007_000032.jpg
                  VOCaug/dataset/cls/2007_000032.mat
                  VOC2012/JPEGImages/2007_000033.jpg
                  VOCaug/dataset/cls/2007_000033.mat""",
}
# Text files of the splits; 2007_000001 and 000000000001 are images in none of them.
LISTS = {
    "coco_stuff10k": {
        "imageLists/train.txt": "COCO_train2014_000000000077",
        "imageLists/test.txt": "COCO_train2014_000000000349",
    },
    "pascal_context": {
        "ImageSets/SegmentationContext/train.txt": "2008_000002",
        "ImageSets/SegmentationContext/val.txt": "2008_000003",
    },
    "voc2012": {
        "VOC2012/ImageSets/Segmentation/train.txt": "2007_000032",
        "VOC2012/ImageSets/Segmentation/val.txt": "2007_000033",
        "VOCaug/dataset/train.txt": "2008_000002 2007_000033",
        "VOCaug/dataset/val.txt": "2008_000003 2007_000032",
    },
}
OTHERS = {
    "coco_stuff10k": "images/COCO_train2014_000000000001.jpg",
    "pascal_context": "JPEGImages/2007_000001.jpg",
    "voc2012": "VOC2012/JPEGImages/2007_000001.jpg",
}
# Raw values of a label, and the train ids they become.
VALUES = {
    "ade20k": ([0, 1, 2, 150], [IGNORE, 0, 1, 149]),
    "cityscapes": ([0, 6, 7, 8, 16, 31, 33, 255], [IGNORE, IGNORE, 0, 1, IGNORE, 16, 18, IGNORE]),
    "coco_stuff": ([0, 10, 12, 91, 181, 255], [0, 10, 11, 80, 170, IGNORE]),
    "coco_stuff10k": ([0, 1, 11, 13, 92, 182], [IGNORE, 0, 10, 11, 80, 170]),
    "voc2012": ([0, 1, 20, 255], [0, 1, 20, IGNORE]),
    "pascal_context": ([0, 1, 2, 59], [IGNORE, 0, 1, 58]),
    "pascal_context459": ([1, 2, 9, 255, 284, 458, 459], [IGNORE, 0, 1, IGNORE, 36, 58, IGNORE]),
}
UNKNOWN = {
    "ade20k": 151,
    "cityscapes": 34,
    "coco_stuff": 11,
    "coco_stuff10k": 12,
    "pascal_context": 60,
    "voc2012": 21,
}


def write_label(path: Path, values: list[int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = np.uint8 if max(values) < 256 else np.uint16
    label = np.resize(np.array(values, kind), (24, 32))
    if path.suffix == ".mat":
        write_matlab(path, label)
    else:
        cv2.imwrite(str(path), label)


def write_matlab(path: Path, label: np.ndarray) -> None:
    """Write the label as the release does whose folder it is in."""
    key = {"annotations": "S", "trainval": "LabelMap", "cls": "GTcls"}[path.parent.name]
    parts = {"Segmentation": label, "Boundaries": np.zeros(20), "CategoriesPresent": np.unique(label)}
    savemat(path, {key: parts if key == "GTcls" else label, "names": ["other"]}, do_compression=True)


def write_files(root: Path, name: str, values: list[int]) -> list[Path]:
    """Write a small copy of the set in its own layout; return the label files."""
    files = [root / line.strip() for line in FILES[name].splitlines()]
    for index, (image, label) in enumerate(zip(files[::2], files[1::2], strict=True)):
        image.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(image), picture(index))
        write_label(label, values)
    for path, names in LISTS.get(name, {}).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("\n".join(names.split()) + "\n")
    if name in OTHERS:
        cv2.imwrite(str(root / OTHERS[name]), picture(9))
    return files[1::2]


def base_config(name: str, tmp_path: Path, **data) -> DataConfig:
    """The data section of the set's base layer; the few small labels of a test need not show every class."""
    data = {"allow_empty": "all", **data}
    base = Path(__file__).parents[2] / "config" / "_base_" / f"{name}.yaml"
    path = tmp_path / "experiment.yaml"
    path.write_text(
        f"base: {base}\nmodel: {{backbone: {{name: resnet18}}, decoder: {{name: fpn}}}}\n"
        "optimizer: {name: adamw, lr: 0.001}\ntrain: {iterations: 1, batch_size: 1}\n"
    )
    return load_config(path, [f"data.{key}={value}" for key, value in data.items()]).data
