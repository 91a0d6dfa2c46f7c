"""Split images into training and validation: seeded, stratified by class, groups kept together.

The rule is iterative stratification (Sechidis et al., ECML PKDD 2011): the rarest class is dealt out first, each image
to the split that still lacks most images of it. Images of one group (the same scene, patient, video) go together. A
class that two or more groups have should be in both splits; where dealing misses that, single groups change sides.
"""

import re

import numpy as np

from src.errors import UserError


def group_names(names: list[str], pattern: str | None) -> tuple[list[str], int]:
    """The group of each file name: the first capture group of the pattern, or the whole match.

    Returns:
        The groups, and how many names the pattern does not match; each of those is a group of its own.

    Raises:
        UserError: the pattern is no regular expression, or matches no name.
    """
    if pattern is None:
        return names, 0
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UserError(f"--group {pattern}: not a regular expression ({error})") from None
    found = [expression.search(name) for name in names]
    if not any(found):
        raise UserError(f"--group {pattern}: matches no file name, for example not {names[0]}")
    single = [match is None for match in found]
    # A name that was not matched cannot be that of a group: the prefix keeps the two apart.
    groups = [
        f"name:{name}"
        if match is None
        else f"group:{match[1] if expression.groups and match[1] is not None else match[0]}"
        for name, match in zip(names, found, strict=True)
    ]
    return groups, sum(single)


def divide(presence: np.ndarray, groups: list[str], share: float, seed: int) -> np.ndarray:
    """Choose the images of validation.

    Args:
        presence: bool [images, classes], the classes that an image shows.
        groups: name of each image's group.
        share: of the images, for validation, between 0 and 1.

    Returns:
        bool [images], true: validation. The same for the same arguments.

    Raises:
        UserError: there is only one group.
    """
    names, group_of = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        found = "one group" if len(groups) > 1 else "one image"
        raise UserError(f"there is only {found}; training and validation need one each")
    counts = np.zeros((len(names), presence.shape[1]), np.int64)  # images of a group that show a class
    np.add.at(counts, group_of, presence)
    sizes = np.bincount(group_of)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]  # large groups first, while there is room for them
    side = _deal(counts, sizes, share, order)
    _repair(side, counts, sizes, share, order)
    return side[group_of] == 1


def _deal(counts: np.ndarray, sizes: np.ndarray, share: float, order: np.ndarray) -> np.ndarray:
    """Side of each group, 0 training, 1 validation."""
    total, groups_with = counts.sum(axis=0), (counts > 0).sum(axis=0)
    wanted = share * total
    wanted = np.where(groups_with >= 2, wanted.clip(1, np.maximum(total - 1, 1)), wanted)
    lack = np.stack([total - wanted, wanted])  # [side, class] images
    room = np.array([1 - share, share]) * sizes.sum()
    side = np.full(len(sizes), -1)
    while (side < 0).any():
        waiting = (counts[side < 0] > 0).sum(axis=0)
        if waiting.any():
            rarest = int(np.where(waiting > 0, waiting, waiting.max() + 1).argmin())
            members = [group for group in order if side[group] < 0 and counts[group, rarest]]
        else:  # images without any class
            rarest, members = None, [group for group in order if side[group] < 0]
        for group in members:
            need = [(0 if rarest is None else lack[s, rarest], room[s]) for s in (0, 1)]
            side[group] = chosen = int(need[1] > need[0])
            lack[chosen] -= counts[group]
            room[chosen] -= sizes[group]
    return side


def _repair(side: np.ndarray, counts: np.ndarray, sizes: np.ndarray, share: float, order: np.ndarray) -> None:
    """Move single groups while that puts more classes, or any image at all, into both splits."""
    shared = (counts > 0).sum(axis=0) >= 2

    def cost() -> tuple[int, float]:
        missing = sum(
            len(side) if not (side == s).any() else shared[~counts[side == s].any(axis=0)].sum() for s in (0, 1)
        )
        return int(missing), abs(float(sizes[side == 1].sum()) - share * sizes.sum())

    current = cost()
    while current[0]:
        lacking = [s for s in (0, 1) if (shared & ~counts[side == s].any(axis=0)).any() or not (side == s).any()]
        best = current
        for target in lacking:
            wanted = shared & ~counts[side == target].any(axis=0)
            for group in order:
                if side[group] == target or (wanted.any() and not counts[group, wanted].any()):
                    continue
                side[group] = target
                moved = cost()
                side[group] = 1 - target
                if moved[0] < current[0] and moved < best:
                    best, choice = moved, (group, target)
        if best == current:
            return
        side[choice[0]], current = choice[1], best
