"""One stream on disk: who it is, and its numbered lines in files of about a megabyte.

`<folder>/<stream id>/` holds `stream.json` (the `hello` frame, the dashboard's address and the
LiveKit key it was signed with, no secret), `lock`, and `<first number>.jsonl`. Written through to
the operating system at once, so a killed process loses nothing; not synced, so a machine that
loses power may.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from switchboard_recorder.events import EVENT_BYTES
from switchboard_recorder.locks import FileLock
from switchboard_recorder.protocol import (
    Hello,
    ProtocolError,
    decode,
    decode_record,
    encode,
)

SEGMENT_BYTES: Final = 1_000_000
WORTH_BYTES: Final = 250_000
"""A file whose every line is safe stays until it is so long: to make a new one costs more."""
STREAM_BYTES: Final = 64_000_000
"""One stream keeps at most so much on disk."""
FOLDER_BYTES: Final = 512_000_000
"""With so much in the folder, a new stream keeps nothing on disk."""
OLDEST_S: Final = 7 * 24 * 3600
"""A stream that nobody could deliver for so long is removed."""
_STREAM: Final = "stream.json"


def default_folder() -> Path:
    """`SWITCHBOARD_SPOOL_DIR`, else ours in the user's cache folder, else in the temporary one."""
    if named := os.environ.get("SWITCHBOARD_SPOOL_DIR"):
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        base = Path(cache) if cache else Path.home() / ".cache"
    except RuntimeError:  # no home
        base = Path(tempfile.gettempdir())
    return base / "switchboard" / "spool"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose stream it is, and for whom."""

    hello: Hello
    url: str
    api_key: str


@dataclass(slots=True)
class _Segment:
    first: int
    size: int = 0


class Spool:
    """The files of one stream, held by a lock. Not thread-safe: its owner takes care of that."""

    def __init__(self, folder: Path, lock: FileLock) -> None:
        self.folder = folder
        self._lock = lock
        self._segments: list[_Segment] = []
        self._file: int | None = None
        self.last = 0
        self.size = 0

    @classmethod
    def create(cls, spool_dir: Path, owner: Owner) -> Spool:
        """A new stream's files, 0600 in folders of 0700. Raises OSError."""
        spool_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder_bytes(spool_dir) >= FOLDER_BYTES:
            raise OSError(f"it holds more than {FOLDER_BYTES // 1_000_000} MB already")
        folder = spool_dir / owner.hello.stream_id
        folder.mkdir(mode=0o700, exist_ok=True)
        lock = FileLock(folder / "lock")
        if not lock.take():
            raise OSError("another process holds this stream")
        spool = cls(folder, lock)
        try:
            spool.describe(owner)
        except OSError:
            lock.release()
            raise
        return spool

    @classmethod
    def adopt(cls, folder: Path) -> Spool | None:
        """A stream that its process left behind; None while it is held or when nothing is there."""
        if not (folder / _STREAM).is_file():
            return None
        lock = FileLock(folder / "lock")
        if not lock.take():
            return None
        spool = cls(folder, lock)
        try:
            if not (folder / _STREAM).is_file():  # it was delivered while we came
                lock.release()
                return None
            spool._find_segments()
        except OSError:
            lock.release()
            raise
        return spool

    def describe(self, owner: Owner) -> None:
        """Write down who this stream is. Raises OSError."""
        body = {"hello": encode(owner.hello), "url": owner.url, "api_key": owner.api_key}
        file = os.open(self.folder / "stream.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(file, json.dumps(body).encode())
        finally:
            os.close(file)
        (self.folder / "stream.new").replace(self.folder / _STREAM)

    def owner(self) -> Owner:
        """Who this stream is. Raises OSError, ProtocolError."""
        try:
            body = json.loads((self.folder / _STREAM).read_text())
            hello = decode(body["hello"])
            url, api_key = str(body["url"]), str(body["api_key"])
        except (ValueError, KeyError, TypeError):
            raise ProtocolError("The file stream.json of a spool is damaged.") from None
        if not isinstance(hello, Hello):
            raise ProtocolError("The file stream.json of a spool holds no hello.")
        return Owner(hello=hello, url=url, api_key=api_key)

    def append(self, lines: Sequence[bytes]) -> None:
        """Write the lines that follow `last`. Raises OSError; nothing is written then."""
        if not lines:
            return
        if self._file is None or self._segments[-1].size >= SEGMENT_BYTES:
            self._next_segment()
        assert self._file is not None  # noqa: S101  # just opened
        body, segment = b"".join(line + b"\n" for line in lines), self._segments[-1]
        try:
            done = os.write(self._file, body)
            if done < len(body):
                raise OSError("the disk is full")
        except OSError:
            os.ftruncate(self._file, segment.size)
            os.lseek(self._file, segment.size, os.SEEK_SET)
            raise
        segment.size += len(body)
        self.size += len(body)
        self.last += len(lines)

    def skip_to(self, seq: int) -> None:
        """Go on with number `seq`: what lies between is safe already. Raises OSError."""
        self.last = seq - 1
        self._next_segment()

    def read_after(self, seq: int) -> list[bytes]:
        """The lines from `seq` + 1 on that one file holds. Raises OSError."""
        index = bisect_right([segment.first for segment in self._segments], seq + 1) - 1
        if index < 0:
            return []
        segment = self._segments[index]
        lines = self._path(segment).read_bytes().split(b"\n")[:-1]
        return lines[seq + 1 - segment.first :]

    def forget(self, acked: int) -> None:
        """Remove the files whose every line is safe at the dashboard. Raises OSError."""
        while len(self._segments) > 1 and self._segments[1].first <= acked + 1:
            self._remove(self._segments.pop(0))
        if len(self._segments) == 1 and self.last <= acked and self.size >= WORTH_BYTES:
            self._close_file()
            self._remove(self._segments.pop(0))

    def release(self) -> None:
        """Leave it to whoever delivers it."""
        self._close_file()
        self._lock.release()

    def remove(self) -> None:
        """Everything is safe: the files go. Raises OSError."""
        self._close_file()
        for path in self.folder.glob("*.jsonl"):
            path.unlink(missing_ok=True)
        for name in (_STREAM, "stream.new", "lock"):
            (self.folder / name).unlink(missing_ok=True)
        self._lock.release()
        self.folder.rmdir()

    def _next_segment(self) -> None:
        self._close_file()
        segment = _Segment(self.last + 1)
        self._file = os.open(
            self._path(segment), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600
        )
        self._segments.append(segment)

    def _find_segments(self) -> None:
        for path in sorted(self.folder.glob("*.jsonl")):
            if not path.stem.isdigit():
                continue
            self._segments.append(_Segment(int(path.stem), path.stat().st_size))
        if self._segments:
            last = self._segments[-1]
            self.last = last.first - 1 + self._path(last).read_bytes().count(b"\n")
        self.size = sum(segment.size for segment in self._segments)

    def _remove(self, segment: _Segment) -> None:
        self.size -= segment.size
        self._path(segment).unlink(missing_ok=True)

    def _path(self, segment: _Segment) -> Path:
        return self.folder / f"{segment.first:012}.jsonl"

    def _close_file(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def sound(line: bytes, seq: int) -> bool:
    """Whether a line from disk is the record with this number."""
    try:
        return len(line) <= EVENT_BYTES and decode_record(line.decode()).seq == seq
    except (ProtocolError, UnicodeDecodeError):
        return False


def folder_bytes(spool_dir: Path) -> int:
    """How much the folder's streams hold."""
    total = 0
    for path in spool_dir.glob("*/*.jsonl"):
        try:
            total += path.stat().st_size
        except OSError:
            continue  # delivered meanwhile
    return total


def left_behind(spool_dir: Path) -> list[Path]:
    """The folders of streams, the oldest first, whether somebody holds them or not."""
    found: list[tuple[float, Path]] = []
    for path in spool_dir.glob(f"*/{_STREAM}"):
        try:
            found.append((path.stat().st_mtime, path.parent))
        except OSError:
            continue  # delivered meanwhile
    return [path for _, path in sorted(found)]


def too_old(folder: Path) -> bool:
    """Whether nobody will ask for it any more."""
    try:
        return (folder / _STREAM).stat().st_mtime < time.time() - OLDEST_S
    except OSError:
        return False
