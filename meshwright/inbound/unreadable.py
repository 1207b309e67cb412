"""What cannot be read of a request, in words for its sender: which field, and not what a parser has to say in Python's terms.

The SDK gives out the parser's text, on JSON-RPC as an error's data, and on HTTP+JSON as its message.
"""

from __future__ import annotations

import logging
import re

from a2a.utils.errors import InvalidParamsError, InvalidRequestError

#: Where the SDK has the text of a parser, in the data of an error.
TEXT = "parseError"
_WAY = re.compile(r"Failed to parse (\w+) field")
_PLACE = re.compile(r" at \w+\.([\w.\[\]]+)")

#: What JSON-RPC 2.0 asks of a request.
ENVELOPE = InvalidRequestError(
    message='a request of JSON-RPC 2.0 has jsonrpc "2.0", a method, params, an id that is a text or a whole number, and no more'
)


#: What the SDK says in our log, as an error with a traceback, of a request that is off. Its sender is told, and nothing here is.
_SENDERS = frozenset(
    {
        "Failed to validate base JSON-RPC request",
        "Failed to validate base JSON-RPC request for v0.3",
        "Failed to parse request params",
    }
)


def is_ours(record: logging.LogRecord) -> bool:
    """A filter for a logger: leaves out what is its sender's mistake."""
    return record.msg not in _SENDERS


def unreadable(text: str) -> InvalidParamsError:
    """The error to give out for what protobuf's parser said in `text`."""
    place = _PLACE.search(text)
    field = place[1].rstrip(".") if place else ".".join(_WAY.findall(text))
    if not field:
        return InvalidParamsError(message="the request is not the JSON object that this operation takes")
    return InvalidParamsError(message=f"{field[:128]} is not what A2A has there")
