"""Find the state dictionary inside whatever a training program has wrapped around it."""

from collections.abc import Callable
from typing import Any

# Keys under which programs store the state dictionary, in order of preference: a program that keeps averaged weights
# evaluates with them.
WRAPPERS = (
    "state_dict_ema",
    "model_ema",
    "state_dict",
    "model_state_dict",
    "model",
    "module",
    "net",
    "network",
    "params",
)
_DEPTH = 4  # levels of wrapping that occur in practice, with room


def unwrap(tree: Any, is_tensor: Callable[[Any], bool]) -> dict[str, Any]:
    """Return the tensors of the state dictionary in ``tree`` by name; empty when there are none.

    Dictionaries within dictionaries are unwrapped along ``WRAPPERS``; a prefix ``module.`` that all names share
    (left by data parallel training) is removed. Entries that are not tensors are dropped.
    """
    tree = _descend(tree, is_tensor, _DEPTH)
    tensors = {name: value for name, value in tree.items() if isinstance(name, str) and is_tensor(value)}
    if tensors and all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    return tensors


def _descend(tree: Any, is_tensor: Callable[[Any], bool], depth: int) -> dict:
    if not isinstance(tree, dict):
        return {}
    if depth:
        for key in WRAPPERS:
            if isinstance(tree.get(key), dict):
                inner = _descend(tree[key], is_tensor, depth - 1)
                if any(is_tensor(value) for value in inner.values()):
                    return inner
    return tree
