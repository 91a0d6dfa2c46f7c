"""What to segment: files, folders, patterns and cameras, and what the results are called."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from glob import has_magic
from itertools import takewhile
from pathlib import Path

from src.data.folders import IMAGE_SUFFIXES
from src.errors import UserError

VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".webm")
SUFFIXES = (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)


@dataclass(frozen=True)
class Input:
    """One image, video or camera."""

    source: Path | int  # file, or index of a camera
    name: Path  # of its results, below the output folder and without an ending

    @property
    def moving(self) -> bool:
        """Whether it has frames: a video or a camera."""
        return isinstance(self.source, int) or self.source.suffix.lower() in VIDEO_SUFFIXES


def find_inputs(words: Iterable[str], output: Path) -> list[Input]:
    """Everything that the words name, sorted; a result's name is the path below the folder that all inputs share.

    Args:
        words: files, folders (with all their subfolders), patterns such as ``photos/**/*.jpg``, indices of cameras.
        output: folder of the results; where it lies inside a folder that is searched, it is left out.

    Raises:
        UserError: a word names nothing that can be segmented.
    """
    cameras: list[int] = []
    files: dict[str, Path] = {}  # absolute path -> as it was given
    folders: list[str] = []
    for word in words:
        if word.isdecimal() and not Path(word).exists():
            cameras.append(int(word))
            continue
        folder, found = _expand(word, output)
        if not found:
            raise UserError(
                f"--input {word}: no image or video found; expected a file, a folder, a pattern or the index of a "
                f"camera (looked for {', '.join(SUFFIXES)})"
            )
        folders.append(absolute(folder))
        files |= {absolute(file): file for file in found}
    named = [Input(camera, Path(f"camera_{camera}")) for camera in dict.fromkeys(cameras)]
    top = os.path.commonpath(folders) if folders else ""
    paths = {file: Path(os.path.relpath(file, top)) for file in sorted(files)}
    shared = Counter(path.with_suffix("") for path in paths.values())
    for file, path in paths.items():
        short = path.with_suffix("")
        named.append(Input(files[file], short if shared[short] == 1 else path))
    return named


def _expand(word: str, output: Path) -> tuple[Path, list[Path]]:
    """The folder that a word names or searches, and the files in it that can be segmented."""
    folder = Path(word)
    if folder.is_file():
        return folder.parent, [folder]
    pattern = "**/*"
    if not folder.is_dir():
        plain = list(takewhile(lambda part: not has_magic(part), folder.parts))
        folder, pattern = Path(*plain), "/".join(folder.parts[len(plain) :])
    inside = Path(absolute(folder)) in Path(absolute(output)).parents
    return folder, [
        file
        for file in (folder.glob(pattern) if pattern else ())
        if file.suffix.lower() in SUFFIXES
        and file.is_file()
        and not (inside and Path(absolute(output)) in Path(absolute(file)).parents)
    ]


def absolute(path: Path) -> str:
    """The absolute path without ``..``."""
    return os.path.abspath(path)  # noqa: PTH100  (Path.absolute keeps them)


def check_targets(inputs: Iterable[Input], endings: Callable[[Input], Sequence[str]], output: Path) -> None:
    """Refuse results that would replace an input or each other.

    Args:
        endings: what is written for an input: endings of its name.

    Raises:
        UserError: two files would have one path.
    """
    taken = {one.source.resolve() for one in inputs if isinstance(one.source, Path)}
    made: dict[Path, Path | int] = {}
    for one in inputs:
        for ending in endings(one):
            target = output / f"{one.name}{ending}"
            if target.resolve() in taken:
                raise UserError(f"--output {output}: the result {target} would replace an input; choose another folder")
            if made.setdefault(target, one.source) != one.source:
                raise UserError(f"{made[target]} and {one.source}: both results would be {target}; rename one of them")
