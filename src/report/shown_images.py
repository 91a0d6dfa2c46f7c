"""Which images of the runs a report shows: those of several runs side by side, bounded in number and bytes."""

import json
from typing import Any


def collect(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put together what the runs predict for the same image: of one name, with the same label and classes.

    Returns:
        For each image ``name``, ``size``, ``run`` (index of the first run that has it), ``photo`` and ``label`` in
        base64, and ``results`` {index of a run: its scores and ``prediction``}.
    """
    shared = ("name", "size", "photo", "label")
    own = ("wrong", "mIoU", "IoU", "labeled", "confusions", "prediction")
    groups: dict[tuple, dict[str, Any]] = {}
    for number, run in enumerate(runs):
        evaluation = run["evaluation"] or {"images": []}
        for image in evaluation["images"]:
            key = (image["name"], image["label"], tuple(evaluation["classes"]))
            group = groups.setdefault(key, {"run": number, "results": {}, **{name: image[name] for name in shared}})
            group["results"][number] = {name: image[name] for name in own}
    return list(groups.values())


def select(groups: list[dict[str, Any]], images: int, most_bytes: int) -> tuple[list[dict[str, Any]], list[str]]:
    """Choose at most ``images`` of them, whose scores and pictures take at most ``most_bytes`` of a page: one half the
    worst ones, and one half spread evenly over the others.

    Returns:
        The images, with numbers of pictures in place of the pictures; the pictures.
    """
    groups = sorted(groups, key=lambda group: -_wrong(group))
    sizes = [_bytes(group) for group in groups]
    count = min(images, len(groups))
    chosen = _halves(len(groups), count)
    while sum(sizes[place] for place in chosen) > max(most_bytes, 0):
        count = count * 9 // 10
        chosen = _halves(len(groups), count)
    pictures: list[str] = []

    def number(picture: str) -> int:
        pictures.append(picture)
        return len(pictures) - 1

    shown = []
    for group in (groups[place] for place in chosen):
        results = {
            run: {**result, "prediction": number(result["prediction"])} for run, result in group["results"].items()
        }
        shown.append({**group, "photo": number(group["photo"]), "label": number(group["label"]), "results": results})
    return shown, pictures


def _halves(total: int, count: int) -> list[int]:
    """Of ``total`` places ``count``: one half the first ones, one half spread evenly over the others."""
    worst = (count + 1) // 2
    others, spread = total - worst, count - worst
    return [*range(worst), *(worst + index * others // spread for index in range(spread))]


def _wrong(group: dict[str, Any]) -> float:
    """The largest share of wrong pixels of any run."""
    return max(result["wrong"] or 0.0 for result in group["results"].values())


def _bytes(group: dict[str, Any]) -> int:
    """As JSON, with its pictures and the numbers that stand for them."""
    return len(json.dumps(group)) + 10 * (2 + len(group["results"]))
