"""What the documents name exists: files and anchors of links, programs and their options, configs and their keys."""

import re
import shlex
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest

from src.config import load_config
from src.sweep.plan import read_sweep

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "pretrained/README.md",
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Programs that pass the arguments they do not know on to another one.
PASSED_ON = {
    "src.launch": "train.py",
    "scripts/run_standalone_train.sh": "src.launch",
    "scripts/run_distribute_train.sh": "src.launch",
    "scripts/run_eval.sh": "eval.py",
    "scripts/run_infer.sh": "src.tools.predict",
}


def read(document):
    return (ROOT / document).read_text(encoding="utf-8")


def prose(text):
    """The text without its code, in which brackets are no links."""
    text = re.sub(r"^    .*$", "", FENCED.sub("", text), flags=re.MULTILINE)
    return re.sub(r"`[^`]*`", "code", text)


def anchors(text):
    """Anchors of the headings, by GitHub's rule for those that occur once."""
    headings = re.findall(r"^#+ +(.+)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def expand(name):
    """A name with braces, as a shell expands them."""
    braces = re.search(r"\{([^{}]*)\}", name)
    if not braces:
        return [name]
    return [
        one
        for part in braces[1].split(",")
        for one in expand(name[: braces.start()] + part.strip() + name[braces.end() :])
    ]


def commands(text):
    """Argument lists of the commands in shell blocks that run a program of this project."""
    for language, block in FENCED.findall(text):
        if language == "bash":
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                words = words[2:] if words[:2] == ["python", "-m"] else words[1:]
                if words and program(words[0]):
                    yield words


def program(name):
    """The file of a module, script or shell script; None for one of another project and for a placeholder (NAME)."""
    if re.fullmatch(r"src(\.[a-z0-9_]+)+", name):
        path = ROOT / name.replace(".", "/")
        return path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
    return ROOT / name if re.fullmatch(r"\w+\.py|scripts/\w+\.sh", name) else None


WITH_PARTS = ("src.tools.benchmark",)  # programs whose first word says what to do, each with options of its own


@lru_cache
def options(name, part=()):
    """The options that a program, or a part of it, and the one behind it know."""
    behind = options(PASSED_ON[name]) if name in PASSED_ON else set()
    if name.endswith(".sh"):
        return behind
    arguments = ["-m", name] if name.startswith("src.") else [name]
    done = subprocess.run(
        [sys.executable, *arguments, *part, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return behind | set(re.findall(r"--[\w-]+", done.stdout))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links(document):
    text = read(document)
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(text)):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = (ROOT / document).parent / name if name else ROOT / document
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            wrong.append(link)
    assert not wrong, wrong


@pytest.mark.parametrize("document", DOCUMENTS)
def test_programs_and_configs_exist(document):
    """But for configs that the document itself says to write, in a block that begins with their name."""
    text = read(document)
    written = set(re.findall(r"^(?:# |New file `)(config/\S+\.yaml)", text, re.MULTILINE))
    configs = {one for name in re.findall(r"\bconfig/[\w{},/-]+\.yaml", text) for one in expand(name)}
    programs = set(re.findall(r"python -m (src[\w.]*\w)", text))
    programs |= set(re.findall(r"python (\w+\.py)", text)) | set(re.findall(r"\bscripts/\w+\.sh", text))
    missing = [name for name in sorted(configs - written) if not (ROOT / name).is_file()]
    missing += [name for name in sorted(programs) if program(name) and not program(name).is_file()]
    assert not missing, missing


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_have_the_options_and_keys_they_show(document):
    for name, *words in commands(read(document)):
        part = tuple(words[:1]) if name in WITH_PARTS else ()
        unknown = {word for word in words if word.startswith("--")} - options(name, part)
        assert not unknown, f"{name} {shlex.join(words)}"
        config = next((word for word in words if (ROOT / word).is_file() and word.startswith("config/")), None)
        if config and name == "src.tools.sweep":
            read_sweep(ROOT / config, None)
        elif config:
            load_config(ROOT / config, overrides(words))


def overrides(words):
    """The values after ``--set``, up to the next option."""
    if "--set" not in words:
        return []
    after = words[words.index("--set") + 1 :]
    end = next((index for index, word in enumerate(after) if word.startswith("--")), len(after))
    return after[:end]
