"""How an importer and the process that opens old files talk: messages over two pipes.

A message is two lengths (big-endian, 4 and 8 bytes), a header of JSON and a body of bytes. Nothing
is ever pickled. What the messages mean does not live here.
"""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO

LENGTHS = struct.Struct(">IQ")
MAX_HEADER, MAX_BODY = 1 << 26, 1 << 34
"""Bytes; no message of ours is longer."""

PIECE = 1 << 20


def send(stream: BinaryIO, header: dict[str, Any], body: bytes = b"") -> None:
    """Send a message."""
    head = json.dumps(header).encode()
    stream.write(LENGTHS.pack(len(head), len(body)))
    stream.write(head)
    stream.write(body)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """Receive a message; ``None`` where the other side has ended.

    Raises
    ------
    EOFError
        When the other side ended in the middle of a message.
    ValueError
        When it is no message.
    """
    lengths = stream.read(LENGTHS.size)
    if not lengths:
        return None
    if len(lengths) < LENGTHS.size:
        raise EOFError("a message ends before it begins")
    of_header, of_body = LENGTHS.unpack(lengths)
    if of_header > MAX_HEADER or of_body > MAX_BODY:
        raise ValueError(f"a message of {of_header} and {of_body} bytes is none of ours")
    try:
        header = json.loads(_exactly(stream, of_header))
    except RecursionError as error:
        raise ValueError("a header is nested too deep") from error
    if not isinstance(header, dict):
        raise ValueError(f"a header is a JSON object, not {type(header).__name__}")  # noqa: TRY004
    return header, _exactly(stream, of_body)


def printable(text: str, most: int = 500) -> str:
    """Give a text of the other side as one line that does nothing to a terminal."""
    line = " ".join(text.split())[:most]
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def _exactly(stream: BinaryIO, length: int) -> bytes:
    """Read so many bytes piece by piece: a length alone reserves no memory."""
    pieces = []
    while length:
        piece = stream.read(min(length, PIECE))
        if not piece:
            raise EOFError("a message ends in its middle")
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)
