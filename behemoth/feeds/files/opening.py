"""The bytes of a file, decompressed as they are read, in whole lines.

What packs them is told by their first bytes, not by the file's name: gzip, bzip2, xz, a zip or a
tar of one file. What the lines say does not live here.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, cast

from behemoth.errors import BadRequest, Corrupt, EnvironmentFailed, NotFound

BLOCK = 1 << 20
"""Bytes of lines that are parsed at once; no line is longer."""

PARQUET = b"PAR1"
_DAMAGED = (
    EOFError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    zipfile.BadZipFile,
    tarfile.TarError,
    NotImplementedError,  # a way to pack that zipfile does not know
    RuntimeError,  # a zip with a password
    ValueError,
)


class Source:
    """An open file.

    Attributes
    ----------
    path
        Where it is.
    total
        Its bytes; ``None`` for a pipe.
    is_parquet
        Whether its first bytes say so.
    """

    def __init__(self, path: Path, raw: io.BufferedReader) -> None:
        facts = os.fstat(raw.fileno())
        self.path = path
        self.total = facts.st_size if stat.S_ISREG(facts.st_mode) else None
        self.is_parquet = raw.peek(len(PARQUET))[: len(PARQUET)] == PARQUET
        self._raw = raw
        self._given = 0
        self._open = ExitStack()
        self._stream: IO[bytes] | None = None
        self._tar: tarfile.TarFile | None = None

    @property
    def done(self) -> int:
        """Bytes of the file that were read so far."""
        return self._given if self.total is None else self._raw.tell()

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """Give the number of a first line, from 1 on, and whole lines; each ends with a newline.

        Raises
        ------
        Corrupt
            When a line is longer than `BLOCK`, or the file cannot be unpacked to its end; the
            message names the line.
        EnvironmentFailed
            When the disk fails.
        """
        line, rest = 1, b""
        while read := self._read(line):
            block = rest + read
            cut = block.rfind(b"\n") + 1
            if not cut and len(block) > BLOCK:
                raise Corrupt(
                    f"{self.path}: line {line}, column 1: no line of candles is longer than "
                    f"{BLOCK:,} bytes, and this one is; give a CSV or Parquet file"
                )
            whole, rest = block[:cut], block[cut:]
            if whole:
                yield line, whole
            line += whole.count(b"\n")
        if rest:
            yield line, rest + b"\n"

    def _read(self, line: int) -> bytes:
        try:
            if self._stream is None:
                self._stream = self._unpacked()
            read = self._stream.read(BLOCK)
            if not read and self._tar is not None and _next_file(self._tar) is not None:
                raise ValueError("it holds more than one file")
        except (*_DAMAGED, OSError) as error:
            if isinstance(error, OSError) and error.errno:
                raise unreadable(self.path, error) from error
            raise Corrupt(
                f"{self.path}: line {line}, column 1: the file cannot be unpacked from here on "
                f"({' '.join(str(error).split()) or type(error).__name__}); get it again"
            ) from error
        self._given += len(read)
        return read

    def _unpacked(self) -> IO[bytes]:
        stream = self._decompressed()
        buffered = io.BufferedReader(cast("Any", stream), BLOCK)
        if buffered.peek(512)[257:262] != b"ustar":
            return buffered
        self._tar = self._open.enter_context(tarfile.TarFile.open(fileobj=buffered, mode="r|"))
        member = _next_file(self._tar)
        if member is None:
            return io.BytesIO()
        return cast("IO[bytes]", self._tar.extractfile(member))

    def _decompressed(self) -> Any:
        start = self._raw.peek(6)[:6]
        if start.startswith(b"\x1f\x8b"):
            return self._open.enter_context(gzip.GzipFile(fileobj=self._raw))
        if start.startswith(b"BZh"):
            return self._open.enter_context(bz2.BZ2File(self._raw))
        if start.startswith(b"\xfd7zXZ\0"):
            return self._open.enter_context(lzma.LZMAFile(self._raw))
        if start.startswith(b"\x28\xb5\x2f\xfd"):
            raise ValueError("it is packed with zstd: unpack it first, with zstd -d")
        if start.startswith(b"PK\x03\x04"):
            if not self._raw.seekable():
                raise ValueError("a zip cannot be read from a pipe")
            packed = self._open.enter_context(zipfile.ZipFile(self._raw))
            names = [each for each in packed.infolist() if not each.is_dir()]
            if len(names) != 1:
                raise ValueError(f"it holds {len(names)} files, not one")
            return self._open.enter_context(packed.open(names[0]))
        return self._raw

    def close(self) -> None:
        """Close what was opened."""
        self._open.close()


def _next_file(tar: tarfile.TarFile) -> tarfile.TarInfo | None:
    while (member := tar.next()) is not None and not member.isfile():
        pass
    return member


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """Open a file, or a pipe.

    Raises
    ------
    NotFound
        When it is not there.
    BadRequest
        When it is a folder.
    EnvironmentFailed
        When it cannot be read.
    """
    try:
        raw = path.open("rb")
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path}") from error
    except IsADirectoryError as error:
        raise BadRequest(f"{path} is a folder; name the files in it") from error
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    with raw:
        try:
            source = Source(path, raw)
        except OSError as error:
            raise unreadable(path, error) from error
        try:
            yield source
        finally:
            source.close()


def unreadable(path: Path, error: Exception) -> EnvironmentFailed:
    """Make the error for a file that the system does not let us read."""
    why = getattr(error, "strerror", None) or str(error)
    return EnvironmentFailed(f"cannot read {path}: {why}; mend that and try again")
