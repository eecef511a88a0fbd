"""Messages between the importer and the process that opens old files."""

from __future__ import annotations

import io
import json

import pytest

from behemoth.legacy import protocol


def sent(header, body=b""):
    stream = io.BytesIO()
    protocol.send(stream, header, body)
    return stream.getvalue()


def test_messages_arrive_one_after_the_other():
    big = bytes(3 * protocol.PIECE + 1)
    stream = io.BytesIO(sent({"kind": "splay", "rows": 3}, big) + sent({"why": "ü"}))
    assert protocol.receive(stream) == ({"kind": "splay", "rows": 3}, big)
    assert protocol.receive(stream) == ({"why": "ü"}, b"")
    assert protocol.receive(stream) is None


@pytest.mark.parametrize("length", range(1, 15))
def test_a_message_that_ends_in_its_middle_is_an_end(length):
    with pytest.raises(EOFError):
        protocol.receive(io.BytesIO(sent({}, b"12")[:length]))


def framed(head):
    return protocol.LENGTHS.pack(len(head), 0) + head


@pytest.mark.parametrize(
    "data",
    [
        framed(b"no JSON"),
        framed(b"\xff\xfe"),
        framed(json.dumps([1]).encode()),
        framed(b"[" * 100_000),
        b"Traceback (most recent call last)",
        protocol.LENGTHS.pack(protocol.MAX_HEADER + 1, 0),
        protocol.LENGTHS.pack(2, protocol.MAX_BODY + 1) + b"{}",
    ],
)
def test_what_is_no_message_is_refused(data):
    with pytest.raises(ValueError, match=r".+"):
        protocol.receive(io.BytesIO(data))


def test_a_length_alone_reserves_no_memory():
    with pytest.raises(EOFError):
        protocol.receive(io.BytesIO(protocol.LENGTHS.pack(2, protocol.MAX_BODY) + b"{}"))


def test_what_the_other_side_says_does_nothing_to_a_terminal():
    assert protocol.printable("a\n b\x1b[2J\x07 ü\u202e") == "a b?[2J? ü?"
    assert len(protocol.printable("x" * 1000)) == 500
