"""The media types that a client takes for an answer (A2A, `acceptedOutputModes`), kept with its message for whoever answers it.

Parts of other types are left out: a client that shows only text need not show somebody data. Where nothing would be left, all of it is:
an answer that is not of the right type says more than none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from meshwright.mediatypes import essence, names

if TYPE_CHECKING:
    from a2a.types import Artifact, Message

#: The name under which they stand among the headers of a message. No header of a request is kept under it.
KEY = "mesh-accepted-output-modes"
#: Of a list that is longer, or a mode that is, the rest says nothing.
MOST, LONGEST = 32, 128
#: Names that clients of before 1.0 use.
_SHORT = {"text": "text/plain", "data": "application/json", "*": "*/*"}


def output_modes(modes: Iterable[str]) -> dict[str, str]:
    """What is kept of a client's list: nothing if it has none."""
    essences = [essence(mode)[:LONGEST] for mode in list(modes)[:MOST]]
    known = ",".join(dict.fromkeys(_SHORT.get(each, each) for each in essences if each))
    return {KEY: known} if known else {}


def modes_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Those that came with a message, for another of the same task that has none of its own."""
    return {KEY: headers[KEY]} if KEY in headers else {}


def fit(answer: Artifact | Message, headers: Mapping[str, str]) -> None:
    """Take out of `answer` the parts that the client does not take whose message came with these headers."""
    if KEY not in headers:
        return
    modes = set(headers[KEY].split(","))
    fitting = [part for part in answer.parts[:] if modes & names(part.media_type)]
    if fitting:
        del answer.parts[:]
        answer.parts.extend(fitting)
