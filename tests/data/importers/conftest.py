"""The known set on disk, and the import as a function."""

import pytest

from src.data.importers.convert import Options, import_labels
from src.errors import UserError
from tests.data.importers.known import make_set


@pytest.fixture
def photos(tmp_path):
    """Folder of the images."""
    return tmp_path / "photos"


@pytest.fixture
def known(photos):
    return make_set(photos)


@pytest.fixture
def run(photos, tmp_path, monkeypatch):
    """Import labels of the images in ``photos`` into ``out``, without the sheet, which takes a second to draw."""
    monkeypatch.setattr("src.data.importers.convert.draw_sheet", lambda *arguments: None)

    def start(form, labels, **options):
        values = {"images": photos, "output": tmp_path / "out", **options}
        return import_labels(Options(format=form, labels=labels, **values))

    return start


@pytest.fixture
def refused(run, tmp_path):
    """The message with which an import is refused; nothing of it may be left."""

    def start(form, labels, **options):
        with pytest.raises(UserError) as caught:
            run(form, labels, **options)
        assert not (tmp_path / "out").exists()
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(".out")]
        return str(caught.value)

    return start
