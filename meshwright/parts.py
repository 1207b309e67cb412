"""Between A2A's protobuf messages and the mesh's data parts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from meshwright.errors import InvalidRequest

if TYPE_CHECKING:
    from a2a.types import Part

Model = TypeVar("Model", bound=BaseModel)

MEDIA_TYPE, TEXT = "application/json", "text/plain"
MAX_PARTS = 64


@functools.cache
def _wire() -> tuple[type[Part], Callable[[Any, Any], Any], Callable[[Any], Any]]:
    """A part, and how its data are read and written: imported by whoever needs them first."""
    from a2a.types import Part

    from meshwright.protojson import from_dict, to_dict

    return Part, from_dict, to_dict


def data_part(model: BaseModel | dict[str, Any]) -> Part:
    """A data part that holds `model`. Raises as `put_data` does."""
    kind, _, _ = _wire()
    return put_data(model, kind())


def put_data(model: BaseModel | dict[str, Any], part: Part) -> Part:
    """Makes an empty part one that holds `model`. Raises ValueError, or another error, for what is no JSON, or not what its model says."""
    _, from_dict, _ = _wire()
    part.media_type = MEDIA_TYPE
    from_dict(
        model.model_dump(mode="json", warnings="error") if isinstance(model, BaseModel) else model, part.data
    )
    return part


def text_part(text: str) -> Part:
    kind, _, _ = _wire()
    return kind(text=text, media_type=TEXT)


def data_in(parts: Iterable[Part]) -> list[Any]:
    """The JSON of every data part. Protobuf's numbers are all floats; whole ones come back as ints here."""
    _, _, to_dict = _wire()
    return [whole_numbers(to_dict(part.data)) for part in parts if part.HasField("data")]


def text_in(parts: Iterable[Part]) -> str:
    """The text parts, joined by newlines."""
    return "\n".join([part.text for part in parts if part.HasField("text")]).strip()


def whole_numbers(value: Any) -> Any:
    """`value` with each float that is a whole number as an int."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole_numbers(item) for item in value]
    return value


def read_as(model: type[Model], content: Any) -> Model:
    """Validate `content`. Raises InvalidRequest that names the field that is off."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the data"
        raise InvalidRequest(f"not a {model.__name__}: {where}: {first['msg']}") from None
