"""How commands end on an error."""

import errno
import signal

import pytest

from src.errors import run_command


def failing(number):
    def main():
        raise OSError(number, "some reason", "runs/x/curves.png")

    return main


def test_a_full_disk_is_named_without_a_traceback(capfd):
    with pytest.raises(SystemExit) as end:
        run_command(failing(errno.ENOSPC))
    assert end.value.code == 2
    assert capfd.readouterr().err == "error: runs/x/curves.png: some reason; make room and try again\n"


@pytest.mark.parametrize(
    ("number", "mend"),
    [
        (errno.EACCES, "allow it, or name another path, and try again"),
        (errno.EROFS, "name another path and try again"),
        (errno.EISDIR, "remove the folder, or name another path, and try again"),
    ],
)
def test_a_path_that_cannot_be_written(number, mend, capfd):
    with pytest.raises(SystemExit) as end:
        run_command(failing(number))
    assert end.value.code == 2
    assert capfd.readouterr().err == f"error: runs/x/curves.png: some reason; {mend}\n"


def test_the_status_tells_the_signal(capfd):
    def stopped(*signals):
        raise KeyboardInterrupt(*signals)

    for given, status in (((), 130), ((signal.SIGINT,), 130), ((signal.SIGTERM,), 143)):
        with pytest.raises(SystemExit) as end:
            run_command(lambda given=given: stopped(*given))
        assert end.value.code == status
    assert capfd.readouterr().err == 3 * "interrupted\n"


def test_other_system_errors_are_bugs():
    with pytest.raises(OSError, match="some reason"):
        run_command(failing(errno.EIO))
