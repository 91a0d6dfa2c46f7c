"""How commands end on an error."""

import errno

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


def test_other_system_errors_are_bugs():
    with pytest.raises(OSError, match="some reason"):
        run_command(failing(errno.EIO))
