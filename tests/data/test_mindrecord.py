"""Records: metadata, label map, and that every kind of bad input is named and leaves nothing behind."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from src.data.catalog import load_dataset_info
from src.data.info import IGNORE
from src.data.mindrecord import write_records
from src.data.pipeline import EvalPipeline
from src.data.preparation import ensure_records
from src.data.records import check_records, read_metadata
from src.errors import UserError
from src.schema.data import ShapesConfig
from tests.commands import run_inside
from tests.data.conftest import write_pair


def write(raw, output, **options):
    return write_records(load_dataset_info("folder", raw), raw, output, **options)


def labels(records, data):
    return {name: label for _, label, name in EvalPipeline(records, "val", data)}


def test_metadata_counts_and_shares(raw, tmp_path):
    metadata = write(raw, tmp_path / "out")
    assert metadata == read_metadata(tmp_path / "out")
    assert metadata.classes == ["a", "b", "c"]
    assert metadata.label_map == {"0": 0, "1": 1, "2": 2, "255": 255}
    train = metadata.split("train")
    assert (train.count, train.size) == (9, [40, 60])
    raw_labels = np.stack([cv2.imread(str(p), -1) for p in (raw / "annotations/train").iterdir()])
    np.testing.assert_allclose(train.class_share, np.bincount(raw_labels.ravel()) / raw_labels.size, atol=1e-7)
    assert train.ignored_share == 0


def test_labels_are_mapped_once(tmp_path, data_config):
    raw = tmp_path / "raw"
    originals = {}
    for split in ("train", "val"):
        _, originals[split] = write_pair(raw, split, "x", values=(7, 8, 26, 99))
    (raw / "classes.yaml").write_text("classes: [{name: road, raw: [7, 8]}, {name: car, raw: 26}]\nignore: [99]\n")
    metadata = write(raw, tmp_path / "out")
    expected = np.array([{7: 0, 8: 0, 26: 1, 99: IGNORE}[v] for v in originals["val"].ravel()]).reshape(40, 60)
    np.testing.assert_array_equal(labels(tmp_path / "out", data_config(tmp_path / "out"))["x"], expected)
    assert metadata.split("val").ignored_share == pytest.approx((expected == IGNORE).mean(), abs=1e-6)


def test_palette_and_16_bit_labels_are_read_as_values(raw, tmp_path, data_config):
    values = np.random.default_rng(0).integers(0, 3, (40, 60)).astype(np.uint8)
    palette = Image.fromarray(values, mode="P")
    palette.putpalette([10, 20, 30, 200, 100, 0, 5, 5, 5])
    palette.save(raw / "annotations/val/v0.png")
    cv2.imwrite(str(raw / "annotations/val/v1.png"), values.astype(np.uint16))
    write(raw, tmp_path / "out")
    found = labels(tmp_path / "out", data_config(tmp_path / "out"))
    np.testing.assert_array_equal(found["v0"], values)
    np.testing.assert_array_equal(found["v1"], values)


@pytest.mark.parametrize("shards", [1, 3])
def test_shards_hold_every_sample_once(raw, tmp_path, shards, data_config):
    write(raw, tmp_path / "out", shards=shards)
    assert len([p for p in (tmp_path / "out").glob("train.mindrecord*") if p.suffix != ".db"]) == shards
    assert sorted(labels(tmp_path / "out", data_config(tmp_path / "out"))) == ["v0", "v1", "v2"]


def test_images_of_different_sizes_and_large_ones(raw, tmp_path, data_config):
    noise = np.random.default_rng(0).integers(0, 255, (1024, 2048, 3)).astype(np.uint8)
    cv2.imwrite(str(raw / "images/val/v1.png"), noise)  # 6 MB as PNG
    (raw / "images/val/v1.jpg").unlink()
    cv2.imwrite(str(raw / "annotations/val/v1.png"), np.ones((1024, 2048), np.uint8))
    assert write(raw, tmp_path / "out").split("val").size is None
    assert labels(tmp_path / "out", data_config(tmp_path / "out"))["v1"].shape == (1024, 2048)


def test_record_folder_can_be_moved(raw, tmp_path, data_config):
    write(raw, tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "moved")
    check_records(tmp_path / "moved")
    assert len(labels(tmp_path / "moved", data_config(tmp_path / "moved"))) == 3


def break_value(raw):
    label = np.zeros((40, 60), np.uint8)
    label[3, 4] = 11
    cv2.imwrite(str(raw / "annotations/val/v1.png"), label)


def break_size(raw):
    cv2.imwrite(str(raw / "annotations/val/v1.png"), np.zeros((41, 60), np.uint8))


def break_partner(raw):
    (raw / "annotations/val/v1.png").unlink()


def break_jpeg(raw):
    path = raw / "images/val/v1.jpg"
    path.write_bytes(path.read_bytes()[:-200])


def break_image(raw):
    (raw / "images/val/v1.jpg").write_bytes(b"not an image")


def break_label(raw):
    (raw / "annotations/val/v1.png").write_bytes(b"")


def break_color(raw):
    cv2.imwrite(str(raw / "annotations/val/v1.png"), np.zeros((40, 60, 3), np.uint8))


@pytest.mark.parametrize(
    ("damage", "pieces"),
    [
        (break_value, ["v1.png", "label value 11 (1 pixels)", "ignore:", "nearest: 2 = c"]),
        (break_size, ["v1.png", "label is 41x60, its image 40x60"]),
        (break_partner, ["v1.jpg", "no label"]),
        (break_jpeg, ["v1.jpg", "unreadable image", "truncated"]),
        (break_image, ["v1.jpg", "unreadable image"]),
        (break_label, ["v1.png", "unreadable label"]),
        (break_color, ["v1.png", "mode RGB", "one channel"]),
    ],
)
def test_bad_input_is_named_and_nothing_is_left(raw, tmp_path, damage, pieces):
    damage(raw)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UserError) as caught:
        write(raw, tmp_path / "out")
    for piece in pieces:
        assert piece in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


def test_all_bad_files_are_listed_up_to_twenty(raw, tmp_path):
    for index in range(25):
        write_pair(raw, "train", f"bad{index:02d}", values=(0, 77))
    with pytest.raises(UserError) as caught:
        write(raw, tmp_path / "out")
    message = str(caught.value)
    assert "25 of 34 samples" in message
    assert message.count("label value 77") == 20
    assert "and 5 more" in message


def test_existing_records_are_kept_unless_overwritten(raw, tmp_path):
    write(raw, tmp_path / "out")
    with pytest.raises(UserError, match="exists already; use --overwrite"):
        write(raw, tmp_path / "out")
    write_pair(raw, "train", "new")
    assert write(raw, tmp_path / "out", overwrite=True).split("train").count == 10
    break_value(raw)
    with pytest.raises(UserError):
        write(raw, tmp_path / "out", overwrite=True)
    assert read_metadata(tmp_path / "out").split("train").count == 10
    check_records(tmp_path / "out")


def truncate(path):
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1000])


def flip(path):
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("file", "damage", "piece"),
    [
        ("train.mindrecord", truncate, "bytes, expected"),
        ("train.mindrecord", flip, "does not match its checksum"),
        ("val.mindrecord.db", flip, "does not match its checksum"),
        ("val.mindrecord", lambda path: path.unlink(), "is missing"),
        ("metadata.json", lambda path: path.write_text("{"), "damaged"),
        ("manifest.json", lambda path: path.unlink(), "missing or damaged"),
    ],
)
def test_damaged_records_are_named_with_the_mend(records, data_config, file, damage, piece):
    damage(records / file)
    with pytest.raises(UserError) as caught:
        ensure_records(data_config(records))
    assert piece in str(caught.value)
    assert file in str(caught.value)
    assert f"remove the folder {records} and prepare the data again" in str(caught.value)


def test_large_records_are_checked_in_part_or_as_a_whole(raw, tmp_path, data_config, monkeypatch):
    """Every fourth piece is compared before a training, all with `verify`; missing bytes are always noticed."""
    monkeypatch.setattr("src.data.records.PIECE", 1 << 16)
    folder = tmp_path / "out"
    write(raw, folder, shards=2)
    pieces = [(path, at) for path in folder.glob("*.mindrecord*") for at in range(0, path.stat().st_size, 1 << 16)]
    monkeypatch.setattr("src.data.records.SAMPLE", len(pieces) // 4 << 16)
    noticed = 0
    for path, at in pieces:
        data = path.read_bytes()
        path.chmod(0o600)
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(UserError, match=f"{path.name} does not match its checksum"):
            ensure_records(data_config(folder, verify="full"))
        try:
            ensure_records(data_config(folder))
        except UserError:
            noticed += 1
        path.write_bytes(data)
    assert len(pieces) // 8 < noticed < len(pieces) // 2
    truncate(pieces[0][0])
    with pytest.raises(UserError, match="bytes, expected"):
        ensure_records(data_config(folder))


def test_verify_command(records, monkeypatch, capsys):
    arguments = ["src.tools.prepare_data", "--verify", "--output", records]
    assert run_inside(monkeypatch, *arguments) == 0
    assert f"{records}: all files match their checksums" in capsys.readouterr().out
    flip(records / "val.mindrecord")
    assert run_inside(monkeypatch, *arguments) == 2
    assert "val.mindrecord does not match its checksum" in capsys.readouterr().err


def test_records_of_another_data_set_are_refused(records, data_config, raw):
    with pytest.raises(UserError, match="holds folder, the config describes camvid"):
        ensure_records(data_config(records, name="camvid"))
    (raw / "classes.yaml").write_text("classes: [a, b, d]\n")
    with pytest.raises(UserError, match=r"\['a', 'b', 'c'\], the config describes \['a', 'b', 'd'\]"):
        ensure_records(data_config(records, root=str(raw)))
    (raw / "classes.yaml").write_text("classes: [a, b, c]\nignore: [0, 255]\n")
    with pytest.raises(UserError):
        ensure_records(data_config(records, root=str(raw)))


def test_missing_records_are_prepared_and_said_so(raw, tmp_path, data_config, capsys):
    metadata = ensure_records(data_config(tmp_path / "new", root=str(raw)))
    assert f"preparing {tmp_path / 'new'} from {raw}" in capsys.readouterr().out
    assert metadata.split("val").count == 3
    with pytest.raises(UserError, match="does not exist, and data.root is not given"):
        ensure_records(data_config(tmp_path / "nowhere"))


def test_missing_split_in_records_is_named(records, data_config):
    with pytest.raises(UserError, match="no split 'test' .*train, val"):
        ensure_records(data_config(records, val_split="test"))


def test_shapes_records_must_fit_the_settings(tmp_path, data_config):
    shapes = {"train": 3, "val": 2, "size": [32, 32], "seed": 0}
    metadata = ensure_records(data_config(tmp_path / "s", name="shapes", shapes=shapes))
    assert metadata.split("train").count == 3
    assert metadata.source["shapes"] == ShapesConfig(**shapes).model_dump()
    with pytest.raises(UserError, match="'seed': 0"):
        ensure_records(data_config(tmp_path / "s", name="shapes", shapes={**shapes, "seed": 1}))


def test_manifest_covers_every_file(records):
    listed = json.loads((records / "manifest.json").read_text())["files"]
    assert set(listed) == {p.name for p in records.iterdir()} - {"manifest.json"}
