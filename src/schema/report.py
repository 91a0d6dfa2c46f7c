"""Keys of ``report``."""

from typing import Annotated

from pydantic import Field

from src.schema.base import Section


class ReportConfig(Section):
    """The page `report.html` that `train.py` and `eval.py` write; docs/report.md."""

    write: bool = True
    """Whether they write it, and `report.json`, from which several runs are compared."""
    images: Annotated[int, Field(ge=0, le=1000)] = 100
    """Validation images on it: half of them spread evenly over the split, half those with the largest share of wrong
    pixels; 0: none. One takes about 30 kB."""
