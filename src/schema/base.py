"""What all sections share: their base class and the types of values."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Size = Annotated[list[int], Field(min_length=2, max_length=2)]  # [height, width] in pixels
Triple = Annotated[list[float], Field(min_length=3, max_length=3)]  # one value per channel, RGB
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]  # of what is dropped
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """Base of all sections: unknown keys are refused and values are not converted from other types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
