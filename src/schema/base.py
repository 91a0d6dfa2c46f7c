"""What all sections share: their base class and the types of values.

A key's meaning and unit stand in the docstring below it, its range in its type. docs/configuration.md and
config/schema.json are made from both; a type's title is how they call it.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Size = Annotated[list[Count], Field(min_length=2, max_length=2, title="[height, width]")]
Sides = Annotated[list[Count], Field(min_length=2, max_length=2, title="[short side, long side]")]


class Section(BaseModel):
    """Base of all sections: unknown keys are refused and values are not converted from other types.

    A key that holds a section needs no docstring of its own: the section's says what it is.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)
