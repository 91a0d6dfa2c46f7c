"""Find the images of a split and their labels below a root folder."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from src.data.info import DatasetInfo, Layout
from src.errors import UserError, listing

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
LABEL_SUFFIXES = (".png", ".tif", ".tiff", ".bmp")
# Files that look like what is wanted, and why they are not read.
CAMERA = "a camera's own format; convert it to JPEG or PNG"
NOT_IMAGES = {
    **dict.fromkeys((".heic", ".heif", ".avif", ".dng", ".cr2", ".cr3", ".nef", ".arw"), CAMERA),
    ".gif": "GIF is not read; convert it to PNG",
    ".jp2": "JPEG 2000 is not read; convert it to PNG",
}
NOT_LABELS = {
    **dict.fromkeys((".jpg", ".jpeg"), "JPEG is lossy: values change along every edge; export PNG"),
    ".webp": "WebP may be lossy; export PNG",
    ".gif": "GIF is not read; export PNG",
    **dict.fromkeys((".json", ".xml"), "outlines, not a raster; python -m src.tools.import_labels makes one of them"),
}


@dataclass(frozen=True)
class Sample:
    """One image and its label."""

    name: str  # path below the split's folder, without suffix and the layout's ending
    image: Path
    label: Path | None  # None: the layout has no labels


def list_samples(info: DatasetInfo, root: str | Path | None, split: str) -> list[Sample]:
    """Pair the images of ``split`` with their labels (files of the same name), sorted by name.

    Files in subfolders count too, and their names begin with the folder's: ``monday/img1``.

    Raises:
        UserError: no such root or split, an empty split, or images or labels without a partner.
    """
    root = _folder(info, root)
    layout = _layout(info, root, split)
    samples: dict[str, Sample] = {}
    for part in (layout, *layout.also):
        for sample in _list(part, root, split):
            samples.setdefault(sample.name, sample)
    for name in (root / layout.without).read_text(encoding="utf-8").split() if layout.without else ():
        samples.pop(name, None)
    return [samples[name] for name in sorted(samples)]


def _list(layout: Layout, root: Path, split: str) -> list[Sample]:
    image_folder = root / layout.images.format(split=split)
    images = _by_name(image_folder, IMAGE_SUFFIXES, layout.image_ending, layout)
    photos = dict(_named(image_folder, NOT_IMAGES, layout.image_ending, layout))
    refused = [(photos[name], NOT_IMAGES) for name in sorted(photos.keys() - images.keys())]
    label_folder, labels = image_folder, {}
    if layout.annotations is not None:
        label_folder = root / layout.annotations.format(split=split)
        suffixes = LABEL_SUFFIXES if layout.label_suffix in LABEL_SUFFIXES else (layout.label_suffix,)
        labels = _by_name(label_folder, suffixes, layout.label_ending, layout)
        drawings = dict(_named(label_folder, NOT_LABELS, layout.label_ending, layout))
        refused += [(drawings[name], NOT_LABELS) for name in sorted(drawings.keys() & images.keys() - labels.keys())]
    if refused:
        lines = [f"{path}: {reasons[path.suffix.lower()]}" for path, reasons in refused]
        raise UserError(f"{len(lines)} files of split '{split}' are not read:\n{listing(lines)}")
    lonely = []
    if layout.names:
        names_file = root / layout.names.format(split=split)
        names = set(names_file.read_text(encoding="utf-8").split())
        lonely = [f"{names_file}: no image {image_folder / name}" for name in sorted(names - images.keys())]
        images, labels = ({name: files[name] for name in names & files.keys()} for files in (images, labels))
    if not images and not lonely:
        wanted = ", ".join(f"*{layout.image_ending}{suffix}" for suffix in IMAGE_SUFFIXES)
        raise UserError(f"{image_folder}: the split '{split}' is empty (looked for {wanted})")
    if layout.annotations is None:
        return [Sample(name, image, None) for name, image in images.items()]
    for name in sorted(images.keys() - labels.keys()):
        folder = label_folder / images[name].parent.relative_to(image_folder)
        name_there = f"{Path(name).name}{layout.label_ending}{layout.label_suffix}"
        lonely.append(f"{images[name]}: no label {folder / name_there}")
    for name in sorted(labels.keys() - images.keys()):
        lonely.append(f"{labels[name]}: no image of that name in {image_folder}")
    if lonely:
        raise UserError(
            f"{len(lonely)} files of split '{split}' have no partner; add it or remove them:\n{listing(lonely)}"
        )
    return [Sample(name, images[name], labels[name]) for name in sorted(images)]


def list_splits(info: DatasetInfo, root: str | Path) -> list[str]:
    """Names of the splits that exist below ``root``: those with images and with labels."""
    root = Path(root)
    found: set[str] = set()
    for layout in info.layouts:
        found.update(split for split in layout.splits if _exists(layout, root, split))
        pattern = root / (layout.names or layout.images)
        for path in pattern.parent.iterdir() if pattern.parent.is_dir() else ():
            split = path.name.removesuffix(pattern.suffix)
            if path.name == pattern.name.format(split=split) and _exists(layout, root, split):
                found.add(split)
    return sorted(found)


def with_label_map(info: DatasetInfo, root: str | Path | None, split: str) -> DatasetInfo:
    """Return ``info`` with the label map of the layout found below ``root``."""
    label_map = _layout(info, _folder(info, root), split).label_map
    return replace(info, label_map=label_map) if label_map else info


def _folder(info: DatasetInfo, root: str | Path | None) -> Path:
    if root is None:
        raise UserError(f"data.root is missing: the folder of the raw {info.name} images")
    if not Path(root).is_dir():
        raise UserError(f"data.root: no such folder: {root}")
    return Path(root)


def _layout(info: DatasetInfo, root: Path, split: str) -> Layout:
    for layout in info.layouts:
        if _exists(layout, root, split):
            return layout
    layouts = [layout for layout in info.layouts if split in layout.splits] or info.layouts
    patterns = " or ".join(" + ".join(dict.fromkeys(_parts(layout))) for layout in layouts if layout.annotations)
    splits = list_splits(info, root)
    found = f"the splits there are {', '.join(splits)}" if splits else "no split is there"
    raise UserError(f"data.root: {root} has no split '{split}': expected {patterns}; {found}")


def _parts(layout: Layout) -> list[str]:
    parts = [layout.images, layout.annotations, layout.names, layout.without]
    return [part for part in parts if part] + [part for other in layout.also for part in _parts(other)]


def _exists(layout: Layout, root: Path, split: str) -> bool:
    if layout.splits and split not in layout.splits:
        return False
    return all((root / part.format(split=split)).exists() for part in _parts(layout))


def _by_name(folder: Path, suffixes: Iterable[str], ending: str, layout: Layout) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for name, path in _named(folder, suffixes, ending, layout):
        if name in files:
            pair = f"{files[name].relative_to(folder)} and {path.relative_to(folder)}"
            raise UserError(f"{folder}: {pair} have one name; remove one of them")
        files[name] = path
    return files


def _named(folder: Path, suffixes: Iterable[str], ending: str, layout: Layout) -> Iterator[tuple[str, Path]]:
    """Files with these suffixes below ``folder`` and their names, but for what systems and editors leave behind."""
    for path in sorted(folder.glob("*/*" if layout.nested else "**/*")):
        wanted = path.suffix.lower() in suffixes and path.stem.endswith(ending)
        if not wanted or (layout.skipped and path.stem.endswith(layout.skipped)):
            continue
        inside = path.relative_to(folder)
        if not any(part[0] == "." or part == "__MACOSX" for part in inside.parts):
            yield ((Path() if layout.nested else inside.parent) / path.stem.removesuffix(ending)).as_posix(), path
