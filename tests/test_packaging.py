"""What an installation brings, and that every fact of the packaging stands in one place or agrees with the others."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import setuptools
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.commands import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, SETUPTOOLS = PYPROJECT["project"], PYPROJECT["tool"]["setuptools"]
TESTED = ["3.10", "3.11"]
# Imported where it is used, and required by an extra.
OPTIONAL = {"onnx", "onnxruntime", "starlette", "uvicorn"}


def requirements(source: dict[str, list[str]]) -> list[Requirement]:
    """Read the files of a dynamic list as setuptools does: whole-line and inline comments are left out."""
    lines = [line for name in source["file"] for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]
    return [Requirement(line.partition(" #")[0]) for line in lines if line.strip() and not line.startswith("#")]


def declared(*sources: dict[str, list[str]]) -> list[str]:
    return [canonicalize_name(one.name) for source in sources for one in requirements(source)]


def imported(paths: list[Path]) -> set[str]:
    """Top-level names that the files import from elsewhere."""
    names = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names)


def test_only_src_becomes_importable():
    options = SETUPTOOLS["packages"]["find"]
    assert options["namespaces"] is False
    found = set(setuptools.find_packages(str(ROOT), include=options["include"]))
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "src").rglob("*.py")}
    assert found == {".".join(folder.parts) for folder in folders}  # each has an __init__.py
    assert {name.partition(".")[0] for name in found} == {"src"}
    assert "py-modules" not in SETUPTOOLS


def test_data_files_are_installed():
    patterns = [
        f"{package.replace('.', '/')}/{end}" for package, ends in SETUPTOOLS["package-data"].items() for end in ends
    ]
    installed = {path for pattern in patterns for path in ROOT.glob(pattern)}
    others = {path for path in (ROOT / "src").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert others and installed == others


def test_requirements_are_bounded_and_declared_once():
    extras = SETUPTOOLS["dynamic"]["optional-dependencies"]
    assert set(PROJECT["dynamic"]) == {"dependencies", "optional-dependencies"}
    for source in (SETUPTOOLS["dynamic"]["dependencies"], *extras.values()):
        for requirement in requirements(source):
            assert requirement.specifier, requirement
    names = declared(SETUPTOOLS["dynamic"]["dependencies"], *extras.values())
    assert len(names) == len(set(names))


def test_every_imported_package_is_required():
    programs = [*(ROOT / "src").rglob("*.py"), *ROOT.glob("*.py")]
    distributions = packages_distributions()
    names = imported(programs) - {"src"} - OPTIONAL
    required = declared(SETUPTOOLS["dynamic"]["dependencies"])
    missing = {n for n in names if not {canonicalize_name(d) for d in distributions.get(n, [n])} & set(required)}
    assert not missing
    extras = SETUPTOOLS["dynamic"]["optional-dependencies"]
    assert set(declared(extras["onnx"], extras["explore"])) >= OPTIONAL


def test_python_versions_agree():
    accepted = SpecifierSet(PROJECT["requires-python"])
    assert [f"3.{minor}" for minor in range(6, 20) if f"3.{minor}.1" in accepted] == TESTED
    prefix = "Programming Language :: Python :: "
    assert [one.removeprefix(prefix) for one in PROJECT["classifiers"] if one.startswith(prefix)] == TESTED
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8"))
    assert workflow["jobs"]["tests"]["strategy"]["matrix"]["python"] == TESTED
    script = (ROOT / "scripts" / "environment.sh").read_text(encoding="utf-8")
    lowest, highest = re.search(r"\((3, \d+)\) <= sys.version_info\[:2\] <= \((3, \d+)\)", script).groups()
    assert [lowest.replace(", ", "."), highest.replace(", ", ".")] == [TESTED[0], TESTED[-1]]
    assert PYPROJECT["tool"]["mypy"]["python_version"] == TESTED[0]
    assert PYPROJECT["tool"]["ruff"]["target-version"] == "py" + TESTED[0].replace(".", "")


def test_pre_commit_formats_as_the_tests_do():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    (revision,) = [repository["rev"] for repository in hooks if repository["repo"].endswith("ruff-pre-commit")]
    tools = requirements(SETUPTOOLS["dynamic"]["optional-dependencies"]["test"])
    assert revision.removeprefix("v") in next(one.specifier for one in tools if one.name == "ruff")


def test_the_version_is_the_newest_one_in_the_changelog():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = [Version(number) for number in re.findall(r"^## \[(\d[^\]]*)\]", text, re.MULTILINE)]
    assert Version(PROJECT["version"]) == max(versions) == versions[0]


@pytest.mark.parametrize("name", ["LICENSE", "NOTICE", "README.md"])
def test_files_that_the_package_names_exist(name):
    assert name in [*PROJECT["license-files"], PROJECT["readme"]]
    assert (ROOT / name).stat().st_size > 0
