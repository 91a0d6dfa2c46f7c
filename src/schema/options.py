"""Options given in Python, checked and completed by the section that checks them in a file."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from src.errors import UserError
from src.schema.backbones import BackboneConfig
from src.schema.decoders import DecoderConfig
from src.schema.messages import explain

UNIONS: dict[str, Any] = {"backbone": BackboneConfig, "decoder": DecoderConfig}
_ADAPTERS: dict[str, TypeAdapter] = {part: TypeAdapter(union) for part, union in UNIONS.items()}


def complete(part: Literal["backbone", "decoder"], name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``options`` of the backbone or decoder ``name`` together with the defaults of its section.

    Raises:
        UserError: there is no such name, or an option is unknown or has the wrong type or range.
    """
    function = f"build_{part}"
    if "weights" in options:
        raise UserError(f"{function}: weights: no file is read here; use load_{part}_weights of src.weights.loading")
    try:
        section = _ADAPTERS[part].validate_python({"name": name, **options})
    except ValidationError as error:
        raise UserError(explain(error, UNIONS[part], lambda key: function)) from None
    return section.model_dump(exclude={"name", "weights"})
