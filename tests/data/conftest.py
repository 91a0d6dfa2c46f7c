"""Small raw data sets on disk."""

import cv2
import numpy as np
import pytest
import yaml

from src.config import load_config
from src.data.catalog import load_dataset_info
from src.data.mindrecord import write_records


def write_pair(root, split, name, size=(40, 60), values=(0, 1, 2), suffix=".jpg", seed=0, layout=None):
    """Write one image and one label PNG."""
    images, annotations = layout or (f"images/{split}", f"annotations/{split}")
    random = np.random.default_rng([seed, *name.encode()])
    (root / images).mkdir(parents=True, exist_ok=True)
    (root / annotations).mkdir(parents=True, exist_ok=True)
    image = cv2.resize(random.integers(0, 255, (5, 5, 3)).astype(np.uint8), size[::-1])
    label = random.choice(np.array(values, np.uint8), size)
    cv2.imwrite(str(root / images / f"{name}{suffix}"), image)
    cv2.imwrite(str(root / annotations / f"{name}.png"), label)
    return image[..., ::-1], label


@pytest.fixture
def raw(tmp_path):
    """A ``folder`` data set: 9 training and 3 validation images of 40x60, classes a, b, c."""
    root = tmp_path / "raw"
    for index in range(9):
        write_pair(root, "train", f"t{index}")
    for index in range(3):
        write_pair(root, "val", f"v{index}")
    (root / "classes.yaml").write_text("classes: [a, b, c]\n")
    return root


@pytest.fixture
def records(raw, tmp_path):
    """Records of ``raw``."""
    output = tmp_path / "records"
    write_records(load_dataset_info("folder", raw), raw, output)
    return output


@pytest.fixture
def data_config(tmp_path):
    """A function that makes the ``data`` section for given records and settings."""

    def make(records, **settings):
        data = {"name": "folder", "records": str(records), "crop": [32, 32], **settings}
        values = {
            "data": data,
            "model": {"backbone": {"name": "resnet18"}, "decoder": {"name": "fpn"}},
            "optimizer": {"name": "adamw", "lr": 0.001},
            "train": {"iterations": 1, "batch_size": 1},
        }
        path = tmp_path / "data.yaml"
        path.write_text(yaml.safe_dump(values))
        return load_config(path).data

    return make
