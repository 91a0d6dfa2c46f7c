"""Find the images of a split and their labels below a root folder."""

from dataclasses import dataclass
from pathlib import Path

from src.data.catalog import DatasetInfo, Layout
from src.errors import UserError, listing

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")


@dataclass(frozen=True)
class Sample:
    """One image and its label."""

    name: str  # file name without suffix
    image: Path
    label: Path


def list_samples(info: DatasetInfo, root: str | Path | None, split: str) -> list[Sample]:
    """Pair the images of ``split`` with their labels (PNG of the same name), sorted by name.

    Raises:
        UserError: no such root or split, an empty split, or images and labels without partner.
    """
    if root is None:
        raise UserError(f"data.root is missing: the folder of the raw {info.name} images")
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"data.root: no such folder: {root}")
    layout = _layout(info, root, split)
    image_folder = root / layout.images.format(split=split)
    label_folder = root / layout.annotations.format(split=split)
    images = _by_stem(image_folder, IMAGE_SUFFIXES)
    labels = _by_stem(label_folder, (".png",))
    if not images:
        raise UserError(f"{image_folder}: the split '{split}' is empty (looked for {', '.join(IMAGE_SUFFIXES)})")
    lonely = [f"{images[name]}: no label {label_folder / name}.png" for name in images if name not in labels]
    lonely += [f"{labels[name]}: no image of that name in {image_folder}" for name in labels if name not in images]
    if lonely:
        raise UserError(
            f"{len(lonely)} files of split '{split}' have no partner; add it or remove them:\n{listing(lonely)}"
        )
    return [Sample(name, images[name], labels[name]) for name in sorted(images)]


def list_splits(info: DatasetInfo, root: str | Path) -> list[str]:
    """Names of the splits that exist below ``root``: those with images and with labels."""
    root = Path(root)
    found = set()
    for layout in info.layouts:
        parent = (root / layout.images).parent
        for folder in parent.iterdir() if parent.is_dir() else ():
            if folder.is_dir() and (root / layout.annotations.format(split=folder.name)).is_dir():
                found.add(folder.name)
    return sorted(found)


def _layout(info: DatasetInfo, root: Path, split: str) -> Layout:
    for layout in info.layouts:
        parts = (layout.images, layout.annotations)
        if all((root / part.format(split=split)).is_dir() for part in parts):
            return layout
    patterns = " or ".join(f"{layout.images} + {layout.annotations}" for layout in info.layouts)
    splits = list_splits(info, root)
    found = f"the splits there are {', '.join(splits)}" if splits else "no split is there"
    raise UserError(f"data.root: {root} has no split '{split}': expected the folders {patterns}; {found}")


def _by_stem(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in suffixes and not path.name.startswith("."):
            if path.stem in files:
                raise UserError(f"{folder}: {files[path.stem].name} and {path.name} have one name; remove one of them")
            files[path.stem] = path
    return files
