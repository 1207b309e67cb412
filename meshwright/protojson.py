"""ProtoJSON for the messages of every call: what protobuf's json_format makes and takes, at a fraction of its cost.

json_format asks the descriptors anew for every field of every message. Here each type is looked at once. What is rare (maps,
wrappers, a field by its other name, null, anything that is wrong) is left to json_format, which has the rules and the words for it:
https://protobuf.dev/programming-guides/json/
"""

from __future__ import annotations

import functools
import math
from base64 import b64encode
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

if TYPE_CHECKING:
    from google.protobuf.message import Message

    M = TypeVar("M", bound=Message)

#: JSON deeper than this is left to json_format, which stops at so many levels: protobuf reads back what is nested in 100 messages,
#: an object in JSON is three of them, and what it stands in (a part, an artifact, a task, an answer) are some more.
DEEP, TOO_DEEP = 28, 64
_PLAIN = {
    FieldDescriptor.TYPE_STRING: str,
    FieldDescriptor.TYPE_BOOL: bool,
    FieldDescriptor.TYPE_INT32: int,
}

#: From a field's value to JSON; None where it is JSON already.
Writer = Callable[[Any], Any]
#: Sets a field of a message, by its name, from JSON.
Reader = Callable[["Message", str, Any], None]


class _Rare(ValueError):
    """Something that json_format should look at."""


def to_dict(message: Message) -> Any:
    """What `MessageToDict(message)` returns. Raises what it raises."""
    try:
        return _write(message)
    except ValueError:
        return MessageToDict(message)


def from_dict(content: Any, message: M) -> M:
    """What json_format's ParseDict makes of an empty message, with unknown fields ignored and no more than TOO_DEEP levels.

    Raises what it raises.
    """
    try:
        _read(message, content)
    except (ValueError, TypeError, OverflowError):
        message.Clear()
        ParseDict(content, message, ignore_unknown_fields=True, max_recursion_depth=TOO_DEEP)
    return message


def _write(message: Any) -> Any:
    return _writer(message.__class__)(message)


@functools.cache
def _writer(kind: Any) -> Writer:
    """How messages of a type are written; by json_format where there is something in them that is rare."""
    descriptor = kind.DESCRIPTOR
    if descriptor.full_name in _WRITERS:
        return _WRITERS[descriptor.full_name]
    if descriptor.full_name.startswith("google.") or descriptor.is_extendable:
        return MessageToDict
    #: By each field's number: its name in JSON, its writer, and whether it is a list.
    fields: dict[int, tuple[str, Writer | None, bool]] = {}
    for field in descriptor.fields:
        writer: Writer | None = None
        if field.type == FieldDescriptor.TYPE_BYTES:
            writer = _bytes
        elif field.type == FieldDescriptor.TYPE_ENUM and not field.enum_type.is_closed:
            writer = functools.partial(_name, {value.number: value.name for value in field.enum_type.values})
        elif field.type == FieldDescriptor.TYPE_MESSAGE and not field.message_type.GetOptions().map_entry:
            part: Any = GetMessageClass(field.message_type)
            writer = _writer(part)
        elif field.type not in _PLAIN:
            return MessageToDict
        fields[field.number] = field.json_name, writer, field.is_repeated

    def write(message: Any) -> dict[str, Any]:
        result = {}
        for field, value in message.ListFields():
            name, writer, repeated = fields[field.number]
            if repeated:  # of a slice: a list of protobuf's raises an IndexError, with a text, at the end of each loop over it
                value = value[:] if writer is None else [writer(each) for each in value[:]]
            elif writer is not None:
                value = writer(value)
            result[name] = value
        return result

    return write


def _bytes(value: bytes) -> str:
    return b64encode(value).decode()


def _name(names: dict[int, str], number: int) -> str | int:
    return names.get(number, number)


def _write_value(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "number_value":
        number = value.number_value
        if not math.isfinite(number):
            raise _Rare
        return number
    if kind == "struct_value":
        return _write_struct(value.struct_value)
    if kind == "list_value":
        return _write_list(value.list_value)
    if kind == "bool_value":
        return value.bool_value
    return None


def _write_struct(struct: Any) -> dict[str, Any]:
    fields = struct.fields  # a map's items() is Python, and makes a pair of each
    return {key: _write_value(fields[key]) for key in fields}


def _write_list(values: Any) -> list[Any]:
    return [_write_value(value) for value in values.values[:]]


def _write_time(time: Any) -> str:
    nanos = time.nanos
    if not 0 <= nanos < 1_000_000_000:
        raise _Rare
    second = _second(time.seconds)
    if nanos == 0:
        return f"{second}Z"
    if nanos % 1_000_000 == 0:
        return f"{second}.{nanos // 1_000_000:03}Z"
    if nanos % 1_000 == 0:
        return f"{second}.{nanos // 1_000:06}Z"
    return f"{second}.{nanos:09}Z"


@functools.lru_cache(16)
def _second(seconds: int) -> str:
    """Date and time to the second. Raises ValueError for one that RFC 3339 cannot write."""
    return Timestamp(seconds=seconds).ToJsonString().removesuffix("Z")


_WRITERS: dict[str, Writer] = {
    "google.protobuf.Value": _write_value,
    "google.protobuf.Struct": _write_struct,
    "google.protobuf.ListValue": _write_list,
    "google.protobuf.Timestamp": _write_time,
}


def _read(message: Any, content: Any) -> None:
    _reader(message.__class__)(message, content)


@functools.cache
def _reader(kind: Any) -> Callable[[Any, Any], None]:
    """How messages of a type are read."""
    descriptor = kind.DESCRIPTOR
    if descriptor.full_name in _READERS:
        return _READERS[descriptor.full_name]
    if descriptor.full_name.startswith("google.") or descriptor.is_extendable:
        return _read_rare
    #: By each field's name in JSON: its own name, its reader, and the choice (oneof) that it belongs to.
    fields = {
        field.json_name: (
            field.name,
            _field_reader(field),
            field.containing_oneof.name if field.containing_oneof is not None else None,
        )
        for field in descriptor.fields
    }

    def read(message: Any, content: Any) -> None:
        if type(content) is not dict:
            raise _Rare
        chosen = set()
        for key, value in content.items():
            if value is None or (known := fields.get(key)) is None:
                raise _Rare
            name, reader, choice = known
            if choice is not None:
                if choice in chosen:
                    raise _Rare
                chosen.add(choice)
            reader(message, name, value)

    return read


def _field_reader(field: Any) -> Reader:
    if field.type in _PLAIN:
        return functools.partial(_read_plain_list if field.is_repeated else _read_plain, _PLAIN[field.type])
    if field.type == FieldDescriptor.TYPE_ENUM and not field.is_repeated:
        return functools.partial(_read_enum, {value.name: value.number for value in field.enum_type.values})
    if field.type == FieldDescriptor.TYPE_MESSAGE and not field.message_type.GetOptions().map_entry:
        part: Any = GetMessageClass(field.message_type)
        return functools.partial(_read_messages if field.is_repeated else _read_message, _reader(part))
    return _read_rare


def _read_plain(kind: type, message: Message, name: str, value: Any) -> None:
    if type(value) is not kind:
        raise _Rare
    setattr(message, name, value)


def _read_plain_list(kind: type, message: Message, name: str, values: Any) -> None:
    if type(values) is not list or any(type(value) is not kind for value in values):
        raise _Rare
    getattr(message, name).extend(values)


def _read_enum(numbers: dict[str, int], message: Message, name: str, value: Any) -> None:
    if type(value) is not str or value not in numbers:
        raise _Rare
    setattr(message, name, numbers[value])


def _read_message(read: Callable[[Any, Any], None], message: Message, name: str, value: Any) -> None:
    part = getattr(message, name)
    part.SetInParent()
    read(part, value)


def _read_messages(read: Callable[[Any, Any], None], message: Message, name: str, values: Any) -> None:
    if type(values) is not list:
        raise _Rare
    parts = getattr(message, name)
    for value in values:
        read(parts.add(), value)


def _read_rare(*_: Any) -> None:
    raise _Rare


def _read_value(value: Any, content: Any, depth: int = 0) -> None:
    kind = type(content)
    if kind is str:
        value.string_value = content
    elif kind is bool:
        value.bool_value = content
    elif kind is int or kind is float:
        value.number_value = content
    elif kind is dict:
        _read_struct(value.struct_value, content, depth)
    elif kind is list:
        _read_list(value.list_value, content, depth)
    elif content is None:
        value.null_value = 0
    else:
        raise _Rare


def _read_struct(struct: Any, content: Any, depth: int = 0) -> None:
    if depth > DEEP or type(content) is not dict:
        raise _Rare
    struct.Clear()  # one without fields is there all the same
    fields = struct.fields
    for key, value in content.items():
        kind = type(value)
        if kind is str:  # nearly all are one of these two
            fields[key].string_value = value
        elif kind is int:
            fields[key].number_value = value
        else:
            _read_value(fields[key], value, depth + 1)


def _read_list(listed: Any, content: Any, depth: int = 0) -> None:
    if depth > DEEP or type(content) is not list:
        raise _Rare
    listed.ClearField("values")
    values = listed.values
    for value in content:
        _read_value(values.add(), value, depth + 1)


_READERS: dict[str, Callable[[Any, Any], None]] = {
    "google.protobuf.Value": _read_value,
    "google.protobuf.Struct": _read_struct,
    "google.protobuf.ListValue": _read_list,
}
