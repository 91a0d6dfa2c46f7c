"""Evaluations that go on after an interruption."""

import numpy as np
import pytest

from src.inference.journal import Journal
from src.metrics.per_image import ImageCounts

WHAT = {"checkpoint": "a.ckpt", "split": "val"}


def counts(index):
    return ImageCounts.of(index, f"image{index}", np.diag([index + 1, 2]), None)


def write(folder, what=WHAT, images=3, **options):
    with Journal(folder, what, **options) as journal:
        for index in range(images):
            journal.add(counts(index))
    return journal


def test_what_was_done_is_there_again(tmp_path):
    write(tmp_path)
    with Journal(tmp_path, WHAT) as journal:
        assert [image.name for image in journal.images] == ["image0", "image1", "image2"]
        np.testing.assert_array_equal(journal.images[2].matrix(2), [[3, 0], [0, 2]])
        journal.add(counts(3))
    with Journal(tmp_path, WHAT) as journal:
        assert len(journal.images) == 4


@pytest.mark.parametrize("torn", [b'[3, "image3", [0], [', b'[3, "image3", [0], [1], null]', b"\xff\n[]\n"])
def test_a_line_that_was_cut_off_is_dropped(tmp_path, torn):
    path = write(tmp_path).path
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    with Journal(tmp_path, WHAT) as journal:
        assert len(journal.images) == 3
        assert path.read_bytes() == whole
        journal.add(counts(3))
    with Journal(tmp_path, WHAT) as journal:
        assert len(journal.images) == 4


@pytest.mark.parametrize("change", [{"what": {**WHAT, "split": "test"}}, {"resume": False}], ids=str)
def test_another_evaluation_starts_anew(tmp_path, change):
    write(tmp_path)
    write(tmp_path, images=1, **change)
    with Journal(tmp_path, change.get("what", WHAT)) as journal:
        assert len(journal.images) == 1


def test_a_first_line_that_was_cut_off_starts_anew(tmp_path):
    path = write(tmp_path).path
    path.write_bytes(path.read_bytes()[:9])
    with Journal(tmp_path, WHAT) as journal:
        assert journal.images == []
        journal.add(counts(0))
    assert len(Journal(tmp_path, WHAT).images) == 1


def test_images_of_all_workers_are_in_the_order_of_the_split(tmp_path):
    for rank in (1, 0):
        with Journal(tmp_path, WHAT, rank, 2) as journal:
            for index in range(rank, 5, 2):
                journal.add(counts(index))
    assert [image.index for image in journal.all_images()] == [0, 1, 2, 3, 4]


def test_nothing_is_left_of_a_complete_evaluation(tmp_path):
    with Journal(tmp_path, WHAT) as journal:
        journal.add(counts(0))
        journal.finish()
    assert list(tmp_path.iterdir()) == []
