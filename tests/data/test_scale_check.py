"""Large photos: the warning about crops that show little, and the recipe for them on 12 megapixels."""

import cv2
import numpy as np
import pytest

from src.config import load_config
from src.data.catalog import load_dataset_info
from src.data.mindrecord import write_records
from src.data.pipeline import EvalPipeline, TrainPipeline
from src.data.records import SCHEMA_VERSION, Metadata
from src.data.scale_check import scale_warning
from src.data.statistics import SplitCounter
from src.data.transforms import geometry
from tests.data.raw_data import folder_config

PHOTO = (3024, 4032)  # of a phone, 12 megapixels
RECIPE = {"base_size": [512, 2048], "eval_transforms": [{"name": "resize", "keep_ratio": True}, {"name": "normalize"}]}


def metadata(*sizes) -> Metadata:
    """Of a set whose training images have these sizes."""
    counter = SplitCounter(2)
    for size in sizes:
        counter.count(np.bincount([0] * 9, minlength=256), size, {}, ())
    return Metadata(SCHEMA_VERSION, "folder", ["a", "b"], [], {}, 255, {}, {"train": counter.facts()})


def warning(*sizes, transforms=("random_scale", "random_crop", "pad", "normalize"), **options):
    names = [{"name": name} if isinstance(name, str) else name for name in transforms]
    config = folder_config("records", **{"crop": [512, 512], "train_transforms": names, **options})
    return scale_warning(metadata(*sizes), config)


def test_a_phone_photo_at_its_own_size_is_warned_of():
    text = warning(PHOTO)
    assert "a crop of 512x512 shows 2.1 % of the median image (3024x4032, scaled to between 1512x2016 and " in text
    assert "6048x8064, up to 48.8 megapixels)" in text
    assert "set data.base_size: [512, 2048] and data.eval_transforms: [{name: resize, keep_ratio: true}, " in text
    assert "1.1 %" in warning(PHOTO, crop=[256, 512])
    assert "(3024x4032, up to 12.2 megapixels)" in warning(PHOTO, transforms=("random_crop", "normalize"))


def test_the_recipe_and_usual_sizes_pass_without_a_word():
    assert warning(PHOTO, **RECIPE) is None
    assert warning((360, 480), crop=[352, 352]) is None
    assert warning((1024, 2048), crop=[769, 769]) is None
    assert warning((200, 200), PHOTO, (300, 300)) is None  # the median counts
    assert warning(PHOTO, transforms=("random_flip", "normalize")) is None  # nothing is cut


def test_evaluation_at_another_scale_than_training_is_warned_of():
    text = warning(PHOTO, base_size=[512, 2048])
    assert "training sees the median image at 256x341 to 1024x1365, evaluation at 3024x4032" in text
    assert text.endswith("let evaluation begin with {name: resize, keep_ratio: true}")
    small = {"name": "resize", "size": [512, 683]}
    text = warning(PHOTO, transforms=(small, "random_crop", "normalize"))
    assert text.endswith("{name: resize, keep_ratio: true} and set data.base_size: [512, 2048]")


@pytest.fixture
def photo(tmp_path):
    """Records of one 12-megapixel photo for training and for validation."""
    coarse = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    for split in ("train", "val"):
        for part in ("images", "annotations"):
            (tmp_path / "raw" / part / split).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / f"raw/images/{split}/a.jpg"), cv2.resize(coarse, PHOTO[::-1]))
        label = cv2.resize(np.uint8(coarse[..., 0] > 99), PHOTO[::-1], interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(tmp_path / f"raw/annotations/{split}/a.png"), label)
    (tmp_path / "raw/classes.yaml").write_text("classes: [ground, crack]\n")
    root = tmp_path / "raw"
    write_records(load_dataset_info("folder", root), root, tmp_path / "records")
    return tmp_path / "records"


def test_the_recipe_never_enlarges_a_photo_of_12_megapixels(photo, tmp_path, monkeypatch):
    (tmp_path / "mydata.yaml").write_text(
        f"data:\n  name: folder\n  records: {photo}\n  crop: [512, 512]\n  base_size: [512, 2048]\n"
        "  eval_transforms: [{name: resize, keep_ratio: true}, {name: normalize}]\n"
        "model: {backbone: {name: resnet18}, decoder: {name: fpn}}\noptimizer: {name: adamw, lr: 5e-4}\n"
        "train: {iterations: 2000, batch_size: 8, eval_every: 500}\n"
    )
    data = load_config(tmp_path / "mydata.yaml").data
    made = []
    resize = geometry.resize_pair

    def note(image, label, size):
        made.append(size)
        return resize(image, label, size)

    monkeypatch.setattr(geometry, "resize_pair", note)
    batches = TrainPipeline(photo, "train", data, 1, 0).batches()
    for _ in range(8):
        image, label = next(batches)
        assert image.shape == (1, 3, 512, 512) and label.shape == (1, 512, 512)
    ((image, label, _),) = EvalPipeline(photo, "val", data)
    assert image.shape == (1, 3, 512, 683) and label.shape == PHOTO
    assert len(made) > 8 and max(height * width for height, width in made) <= 1024 * 1366  # 12 to 49 million without
