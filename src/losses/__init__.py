"""Training losses, one per file, the table of which decoder has which, and their weighted sum.

A loss is a cell ``construct(outputs, label)`` that is told which of the decoder's outputs it reads and returns a tuple
of unweighted values, one for each of its parts. Training and the tools import ``build_criterion``; losses build on
``models.layers`` and know nothing of what is inside a decoder.
"""

from src.losses.criterion import Criterion, build_criterion

__all__ = ["Criterion", "build_criterion"]
