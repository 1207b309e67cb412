"""Trace context and baggage by hand are what the SDK's propagators make of the same headers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import baggage, propagate, trace
from opentelemetry.context import Context

from meshwright.records import w3c

GOOD = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ONES = [
    {},
    {"traceparent": GOOD},
    {"traceparent": GOOD.replace("-01", "-03"), "tracestate": "a=b,c=d"},
    {"traceparent": GOOD.replace("00-", "cc-", 1) + "-more"},
    {"traceparent": GOOD.replace("00-", "ff-", 1)},
    {"traceparent": GOOD + "-more"},
    {"traceparent": f"00-{'0' * 32}-b7ad6b7169203331-01"},
    {"traceparent": f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01"},
    {"traceparent": GOOD.upper()},
    {"traceparent": "nonsense"},
    {"traceparent": GOOD, "tracestate": "no state at all"},
    {"traceparent": GOOD, "tracestate": " a=b ,, c@d=e f\t,"},
    {"traceparent": GOOD, "tracestate": "a=b,a=c"},
    {"traceparent": GOOD, "tracestate": ",".join(f"k{n}=v" for n in range(33))},
    {"baggage": "a=1,b=2;property=x , c = 3 ,"},
    {"baggage": "key=va%20lue%2C%3D,plus=a+b"},
    {"baggage": "novalue=,=noname,nothing,twice=1,twice=2"},
    {"baggage": "a=" + "x" * 9000},
]


def known(around: Context) -> tuple[object, dict[str, object]]:
    above = trace.get_current_span(around).get_span_context()
    state = above.trace_state.to_header()
    parent = (
        (above.trace_id, above.span_id, above.trace_flags, above.is_remote, state) if above.is_valid else None
    )
    return parent, dict(baggage.get_all(around))


@pytest.mark.parametrize("headers", ONES, ids=str)
def test_what_is_read_and_written_is_what_the_sdk_reads_and_writes(headers: dict[str, str]) -> None:
    ours, theirs = w3c.read(headers), propagate.extract(headers, Context())
    assert known(ours) == known(theirs)
    sent: dict[str, str] = {}
    propagate.inject(sent, theirs)
    assert w3c.write(ours) == sent


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=200))
def test_no_header_breaks_it_and_what_it_writes_is_a_header(parent: str, state: str, carried: str) -> None:
    around = w3c.read({"traceparent": parent, "tracestate": state, "baggage": carried})
    for value in w3c.write(around).values():
        assert "\n" not in value
        assert "\r" not in value


def test_more_members_than_a_baggage_may_have_are_none() -> None:
    assert known(w3c.read({"baggage": ",".join(f"k{n}=v" for n in range(65))}))[1] == {}


@pytest.mark.parametrize(
    "state", ["my name is Ada", "a=b,I live in Elm Road=1", "x" * 9000, ",".join(["k"] * 70)]
)
def test_a_tracestate_that_is_none_is_left_out_and_not_told_to_the_log(
    state: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert w3c.write(w3c.read({"traceparent": GOOD, "tracestate": state})) == {"traceparent": GOOD}
    assert caplog.messages == []


def test_half_a_character_in_a_baggage_is_replaced() -> None:
    assert w3c.write(w3c.read({"baggage": "a=\ud800"})) == {"baggage": "a=%3F"}
