"""Our ProtoJSON is json_format's, for every message and for every JSON, the wrong ones included."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from a2a.types import (
    AgentCard,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    Part,
    SendMessageRequest,
    StreamResponse,
    Task,
)
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import Error as ProtobufError
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from meshwright.protojson import TOO_DEEP, from_dict, to_dict

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.one_of(
    st.integers(-(10**18), 10**18),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, -0.0, 1e300]),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=8,
)
SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_STRING: TEXT,
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=9),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
}

#: What json_format is known to raise, meant or not.
ERRORS = (ProtobufError, ValueError, TypeError, ArithmeticError, AttributeError, LookupError, SystemError)


@st.composite
def filled(draw: st.DrawFn, kind: Any, depth: int = 4) -> Any:
    """Any message of a type: each field is set or not, and so on, down to `depth`."""
    message = kind()
    if kind is Timestamp:
        message.seconds = draw(st.integers(-(2**36), 2**36))
        message.nanos = draw(st.sampled_from([0, 5, 5_000, 5_000_000, 123_456_789, 120_000_000, -1, 10**9]))
        return message
    if kind is Value or kind is Struct:
        content = draw(JSON if kind is Value else st.dictionaries(TEXT, JSON, max_size=3))
        return ParseDict(content, message)
    for field in kind.DESCRIPTOR.fields:
        if not draw(st.booleans()):
            continue
        if field.type == FieldDescriptor.TYPE_ENUM:
            values: st.SearchStrategy[Any] = st.sampled_from([0, 1, 2, 3, 77])
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            if depth == 0 or field.message_type.GetOptions().map_entry:
                continue
            values = filled(GetMessageClass(field.message_type), depth - 1)
        else:
            values = SCALARS[field.type]
        if field.is_repeated:
            getattr(message, field.name).extend(draw(st.lists(values, max_size=2)))
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            getattr(message, field.name).CopyFrom(draw(values))
        else:
            setattr(message, field.name, draw(values))
    return message


def told(what: Any, *given: Any) -> Any:
    """What a call returns, or the kind of error that it raises."""
    try:
        return what(*given)
    except ERRORS as error:
        return type(error), str(error)


@given(st.one_of(*(filled(kind) for kind in (Task, Message, StreamResponse, SendMessageRequest, AgentCard))))
def test_every_message_is_written_as_json_format_writes_it(message: Any) -> None:
    ours, theirs = told(to_dict, message), told(MessageToDict, message)
    assert repr(ours) == repr(theirs)


@given(st.one_of(*(filled(kind) for kind in (Task, Message, SendMessageRequest))))
def test_what_was_written_is_read_as_json_format_reads_it(message: Any) -> None:
    content = told(MessageToDict, message)
    if isinstance(content, tuple):
        return
    kind = type(message)
    theirs = told(lambda: ParseDict(content, kind(), ignore_unknown_fields=True))
    assert told(lambda: from_dict(content, kind())) == theirs


NAMES = st.sampled_from(
    [
        "messageId",
        "message_id",
        "role",
        "parts",
        "metadata",
        "text",
        "data",
        "url",
        "raw",
        "mediaType",
        "id",
        "tenant",
        "message",
        "configuration",
        "historyLength",
        "returnImmediately",
        "extensions",
        "pageSize",
        "status",
        "x",
        "[x.y]",
        "statusTimestampAfter",
        "includeArtifacts",
        "acceptedOutputModes",
        "contextId",
        "taskPushNotificationConfig",
    ]
)
WORDS = st.sampled_from(
    [
        "ROLE_USER",
        "ROLE_NOBODY",
        "TASK_STATE_WORKING",
        "1",
        "",
        "aGk=",
        "2026-01-01T00:00:00Z",
        "text",
        "\ud800",
    ]
)
FORMS = st.recursive(
    st.one_of(
        st.none(), st.booleans(), NUMBERS, WORDS, st.sampled_from([1, 2.0, 2.5, 10**400, math.nan, math.inf])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=20,
)
CALLS = st.fixed_dictionaries(
    {},
    optional={
        "message": st.fixed_dictionaries(
            {"messageId": WORDS},
            optional={
                "role": WORDS,
                "parts": st.lists(st.dictionaries(NAMES, FORMS, max_size=3), max_size=2),
                "metadata": FORMS,
                "extensions": FORMS,
                "taskId": FORMS,
            },
        ),
        "configuration": st.dictionaries(NAMES, FORMS, max_size=4),
    },
)


@given(
    st.one_of(FORMS, CALLS),
    st.sampled_from([SendMessageRequest, GetTaskRequest, ListTasksRequest, Message, Part]),
)
def test_any_json_is_read_or_refused_as_json_format_does_it(content: Any, kind: Any) -> None:
    theirs = told(lambda: ParseDict(content, kind(), ignore_unknown_fields=True))
    assert told(lambda: from_dict(content, kind())) == theirs


@given(JSON)
def test_data_is_the_same_value_there_and_back(content: Any) -> None:
    ours = from_dict(content, Value())
    assert ours == ParseDict(content, Value())
    assert to_dict(ours) == MessageToDict(ours)


def test_what_is_nested_too_deep_is_refused_in_json_formats_words() -> None:
    content: Any = "bottom"
    for _ in range(200):
        content = [content]
    theirs = told(lambda: ParseDict(content, Value(), max_recursion_depth=TOO_DEEP))
    assert told(from_dict, content, Value()) == theirs


@pytest.mark.parametrize(
    "wrap", [lambda inner: {"a": inner}, lambda inner: [inner]], ids=["objects", "lists"]
)
def test_what_is_taken_however_deep_can_be_read_back_from_where_it_is_kept(
    wrap: Callable[[Any], Any],
) -> None:
    content, taken = wrap("bottom"), 0
    for _ in range(60):
        content = wrap(content)
        task = Task()
        part = task.history.add().parts.add()
        try:
            from_dict(content, part.data)
        except ProtobufError:
            continue
        taken += 1
        assert StreamResponse.FromString(StreamResponse(task=task).SerializeToString()).task == task
    assert 28 <= taken < 59


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_has_not_is_an_error(number: float) -> None:
    value = Value(number_value=number)
    assert told(to_dict, value) == told(MessageToDict, value)
    part = Part(data=value)
    assert told(to_dict, part) == told(MessageToDict, part)


def test_fields_stand_in_the_order_of_their_numbers() -> None:
    part = from_dict({"mediaType": "text/plain", "text": "hi"}, Part())
    assert list(to_dict(part)) == list(MessageToDict(part)) == ["text", "mediaType"]
