"""What the project knows about a data set: classes, colors, label map, folder layouts."""

from dataclasses import dataclass

IGNORE = 255  # train id of pixels that take no part in training and scoring


@dataclass(frozen=True)
class Layout:
    """Where images and labels are below the root; ``{split}`` stands for the split's name.

    An image ``NAME{image_ending}.jpg`` belongs to the label ``NAME{label_ending}.png``.
    """

    images: str  # folder
    annotations: str | None  # folder; None: the images have no labels
    image_ending: str = ""
    label_ending: str = ""
    label_suffix: str = ".png"  # or that of another lossless picture (``folders.LABEL_SUFFIXES``); ".mat" is MATLAB
    nested: bool = False  # the files are in subfolders of these folders
    skipped: str | None = None  # labels with this ending are copies with other values
    names: str | None = None  # text file of the split, one NAME per line; without it the split is every file
    label_map: dict[int, int] | None = None  # if this layout's labels hold other values than the set's
    splits: tuple[str, ...] = ()  # the layout is for these splits only; empty: for all
    also: tuple["Layout", ...] = ()  # further samples of the split; of two with one name the first is taken
    without: str | None = None  # text file with NAMEs that do not belong to the split


@dataclass(frozen=True)
class DatasetInfo:
    """What the project knows about a data set."""

    name: str
    classes: tuple[str, ...]  # in the order of the train ids
    colors: tuple[tuple[int, int, int], ...]  # RGB, one per class
    label_map: dict[int, int]  # raw label value -> train id, or IGNORE
    layouts: tuple[Layout, ...] = ()  # the first one that exists is taken
    splits: tuple[str, str] = ("train", "val")  # those of training and of validation


FOLDER = Layout("images/{split}", "annotations/{split}")
