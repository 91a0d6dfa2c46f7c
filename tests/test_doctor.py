"""The doctor: what is wrong is named with its remedy, and only then is the exit status 1."""

import subprocess
import sys

import pytest

from src.errors import UserError
from src.native.build import BuildError
from src.onednn import VARIABLE
from src.tools import doctor
from src.tools.doctor import Finding
from tests.commands import ROOT, run_inside

GOOD = {"mindspore": "2.10.0", "numpy": "1.26.4"}


def packages(**versions):
    """Findings by name, for a machine with GOOD and all other packages but for ``versions``."""
    found = {**dict.fromkeys(doctor.PACKAGES, "1.0"), **GOOD, **versions}
    return {finding.name: finding for finding in doctor.check_packages(found.get)}


@pytest.mark.parametrize(
    "python, right", [((3, 9, 1), False), ((3, 10, 0), True), ((3, 11, 7), True), ((3, 12), False)]
)
def test_python(python, right):
    assert (doctor.check_python(python).remedy is None) == right


def test_packages_that_are_right():
    assert all(finding.remedy is None for finding in packages().values())


@pytest.mark.parametrize(
    "name, version, title, remedy",
    [
        ("mindspore", None, "MindSpore", "pip install -r requirements.txt"),
        ("mindspore", "2.1.0", "MindSpore", "expected 2.10"),
        ("mindspore", "2.100.0", "MindSpore", "expected 2.10"),
        ("numpy", "2.0.1", "NumPy", "numpy<2"),
        ("pydantic", None, "pydantic", "pip install -r requirements.txt"),
    ],
)
def test_packages_that_are_wrong(name, version, title, remedy):
    found = packages(**{name: version})
    assert remedy in found.pop(title).remedy
    assert all(finding.remedy is None for finding in found.values())


def test_onnx_may_be_missing():
    assert packages(onnxruntime=None)["onnxruntime"].remedy is None


@pytest.mark.parametrize(
    "limit, flags, right",
    [
        ("AVX2", "avx2 avx512f", True),
        ("AVX512_CORE", "avx2 avx512f", False),
        ("default", "avx2 avx512f", False),
        ("AVX512_CORE", "avx2", True),
    ],
)
def test_onednn(limit, flags, right):
    remedy = doctor.check_onednn(limit, flags).remedy
    assert remedy is None if right else f"unset {VARIABLE}" in remedy


def test_room():
    assert doctor.check_room("disk", 2.5, 2, "make room").remedy is None
    assert doctor.check_room("disk", 1.5, 2, "make room").remedy == "make room (2 GiB expected)"


def test_write_access(tmp_path):
    (tmp_path / "file").touch()
    assert doctor.check_write(tmp_path / "new" / "runs").remedy is None
    found = doctor.check_write(tmp_path / "file" / "runs")
    assert "is a file" in found.found and "--output" in found.remedy


def test_a_device_that_is_not_there(monkeypatch):
    from src import device

    def refuse(target, native):
        raise UserError("device.target: Ascend is not available here")

    monkeypatch.setattr(device, "setup", refuse)
    finding = doctor.check_device("Ascend")
    assert finding.found == "device.target: Ascend is not available here" and "docs/install.md" in finding.remedy


def test_native_kernels_that_cannot_be_compiled(monkeypatch):
    from src import device

    def fail(mode, threads):
        raise BuildError("no C++ compiler found")

    monkeypatch.setattr(device, "start", fail)
    finding = doctor.check_kernels()
    assert "no C++ compiler found" in finding.found and "g++" in finding.remedy


def test_this_machine(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(doctor, "MEMORY", 0.0)
    status = run_inside(monkeypatch, "src.tools.doctor", "--target", "CPU", "--output", tmp_path)
    told = capsys.readouterr().out
    assert "ok     device: CPU" in told
    assert (status == 0) == ("WRONG" not in told)
    assert str(tmp_path) in told


def test_without_packages_the_rest_is_still_checked(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "check_packages", lambda: iter([Finding("MindSpore", "missing", "pip install")]))
    names = [finding.name for finding in doctor.findings("CPU", tmp_path, "AVX2")]
    assert names == ["Python", "MindSpore", "oneDNN", "disk", "write access"]


def test_it_starts_without_mindspore():
    program = "import sys, src.tools.doctor; assert not {'mindspore', 'psutil'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_status(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "findings", lambda *_: iter([Finding("disk", "0.1 GiB free", "make room")]))
    monkeypatch.setattr("sys.argv", ["doctor"])
    with pytest.raises(SystemExit) as end:
        doctor.main()
    assert end.value.code == 1
    assert capsys.readouterr().out == "WRONG  disk: 0.1 GiB free\n       make room\n1 thing to fix\n"
