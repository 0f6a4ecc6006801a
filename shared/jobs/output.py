"""What a job says while it runs: numbered lines in append blobs, written once each, read and followed by cursor.

A line is a frame of JSON: `v`, its number `n`, time `t`, stream `s`, text `m` and the fencing number `f` of its writer.
A step that is run again after a crash says again what it said before: lines already there are recognised and not
repeated, and from the first that differs on, its lines are appended. A writer that meets a higher fence stops.
Blobs hold a bounded number of blocks, so output continues in a next segment; the last frame of a full one says so.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from shared.jobs.leases import FenceBroken
from shared.jobs.model import Job, JobId, OutputMark, Scope
from shared.jobs.store import escape
from shared.kernel.clock import Clock
from shared.kernel.errors import OmsError
from shared.kernel.versions import check_version
from shared.storage.ports import BlobChanged, BlobNotFound, Blobs, StorageUnavailable

CONTAINER: Final = "job-output"
FRAME_VERSION: Final = 1
# An append blob holds 50,000 blocks: learn.microsoft.com/azure/storage/blobs/scalability-targets
MAX_BLOCKS: Final = 40_000
MAX_SEGMENT: Final = 64 * 1024 * 1024
MAX_BLOCK: Final = 1024 * 1024
MAX_LINE: Final = 256 * 1024
"""Characters of one line; a longer one is cut into several."""
_READ: Final = 4 * 1024 * 1024
_ATTEMPTS: Final = 8
_CURSOR: Final = re.compile(r"(\d{1,8})\.(\d{1,15})")


class OutputCursorInvalid(OmsError):
    code = "OutputCursorInvalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputLine:
    number: int
    at: datetime
    stream: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputPage:
    """Some lines, and the cursor to ask for the ones after them."""

    lines: Sequence[OutputLine]
    cursor: str


@dataclass(frozen=True, slots=True)
class _Frame:
    number: int
    at: str
    stream: str
    text: str
    fence: int
    ends: bool

    def line(self) -> OutputLine:
        return OutputLine(
            number=self.number, at=datetime.fromisoformat(self.at), stream=self.stream, text=self.text
        )


@dataclass(frozen=True, slots=True)
class _Cursor:
    segment: int
    offset: int

    def __str__(self) -> str:
        return f"{self.segment}.{self.offset}"


def _encode(number: int, at: datetime, stream: str, text: str, fence: int) -> bytes:
    frame = {"v": FRAME_VERSION, "n": number, "t": at.isoformat(), "s": stream, "m": text, "f": fence}
    return json.dumps(frame, separators=(",", ":"), ensure_ascii=False).encode(errors="replace") + b"\n"


def _end_frame(fence: int) -> bytes:
    return json.dumps({"v": FRAME_VERSION, "end": True, "f": fence}, separators=(",", ":")).encode() + b"\n"


def _decode(raw: bytes) -> _Frame:
    found: Any = json.loads(raw)
    check_version("job output", found.get("v"), current=FRAME_VERSION)
    return _Frame(
        found.get("n", 0),
        found.get("t", ""),
        found.get("s", ""),
        found.get("m", ""),
        found["f"],
        bool(found.get("end")),
    )


def _segment_name(scope: Scope, job_id: JobId, segment: int) -> str:
    return f"{escape(scope)}/{escape(job_id)}/{segment:08}.ndjson"


@dataclass(slots=True)
class OutputWriter:
    """The output of one attempt at one step, beginning where the recorded steps left off.

    Lines gather until `flush`, a megabyte or a second later; `mark` is what to record with the step.
    """

    blobs: Blobs
    job: Job
    clock: Clock
    segment_bytes: int = MAX_SEGMENT
    segment_blocks: int = MAX_BLOCKS
    mark: OutputMark = field(init=False)
    _found: list[_Frame] = field(default_factory=list[_Frame])
    """Lines that an earlier attempt left behind, not yet met again."""
    _looked: bool = False
    _pending: list[tuple[str, str, datetime]] = field(default_factory=list[tuple[str, str, datetime]])
    _pending_size: int = 0
    _flushed: float = 0.0

    def __post_init__(self) -> None:
        self.mark = self.job.output
        self._flushed = self.clock.monotonic()

    def write(self, text: str, *, stream: str = "Output") -> None:
        """Say some lines. FenceBroken once another runner has written."""
        at = self.clock.now()
        for line in text.split("\n"):
            for start in range(0, max(len(line), 1), MAX_LINE):
                piece = line[start : start + MAX_LINE]
                self._pending.append((stream, piece, at))
                self._pending_size += len(piece) + 100
        if self._pending_size >= MAX_BLOCK // 4 or self.clock.monotonic() - self._flushed >= 1:
            self.flush()

    def flush(self) -> None:
        """Make everything said so far durable and readable."""
        self._flushed = self.clock.monotonic()
        if not self._pending:
            return
        for _ in range(_ATTEMPTS):
            if not self._looked:
                self._look()
            self._skip_what_is_there()
            while self._pending:
                try:
                    self._append_block()
                except (BlobChanged, StorageUnavailable):
                    # Another runner wrote, or our own write's answer was lost: what is there decides.
                    self._looked = False
                    break
            else:
                return
        raise StorageUnavailable(
            f"the output of job {self.job.id} does not take an append", target=self.job.id
        )

    def _append_block(self) -> None:
        if self.mark.size >= self.segment_bytes or self.mark.blocks >= self.segment_blocks:
            self.blobs.append(self._name(), _end_frame(self.job.fence), at=self.mark.size)
            self.mark = OutputMark(segment=self.mark.segment + 1, lines=self.mark.lines)
        block = bytearray()
        taken = 0
        for stream, text, at in self._pending:
            block += _encode(self.mark.lines + taken + 1, at, stream, text, self.job.fence)
            taken += 1
            if len(block) >= MAX_BLOCK:
                break
        size = self.blobs.append(self._name(), bytes(block), at=self.mark.size)
        self.mark = OutputMark(
            segment=self.mark.segment, size=size, lines=self.mark.lines + taken, blocks=self.mark.blocks + 1
        )
        self._forget(taken)

    def _look(self) -> None:
        """Read what lies behind the mark: an earlier attempt's lines, or our own whose answer was lost."""
        self._found = []
        while True:
            tail = b"".join(_ranges(self.blobs, self._name(), self.mark.size))
            frames = [_decode(raw) for raw in tail.splitlines()]
            if any(frame.fence > self.job.fence for frame in frames):
                raise FenceBroken(f"job {self.job.id} has a new runner", target=self.job.id)
            ended = bool(frames) and frames[-1].ends
            self._found += [frame for frame in frames if not frame.ends]
            if not ended:
                break
            self.mark = OutputMark(segment=self.mark.segment + 1, lines=self.mark.lines)
        self.mark = OutputMark(
            segment=self.mark.segment,
            size=self.mark.size + len(tail),
            lines=self.mark.lines + len(self._found),
            blocks=self.mark.blocks + len(frames),
        )
        self._looked = True

    def _skip_what_is_there(self) -> None:
        same = 0
        for (stream, text, _), frame in zip(self._pending, self._found, strict=False):
            if (stream, text) != (frame.stream, frame.text):
                # This attempt goes another way: all that was said stays, and the new lines follow.
                self._found = []
                break
            same += 1
        else:
            self._found = self._found[same:]
        self._forget(same)

    def _forget(self, lines: int) -> None:
        self._pending = self._pending[lines:]
        self._pending_size = sum(len(text) + 100 for _, text, _ in self._pending)

    def _name(self) -> str:
        return _segment_name(self.job.scope, self.job.id, self.mark.segment)


@dataclass(frozen=True, slots=True)
class OutputLog:
    """The output of a job as readers see it, while it grows and afterwards."""

    blobs: Blobs
    clock: Clock
    scope: Scope
    job_id: JobId

    def read(self, after: str = "", *, limit: int = 1000) -> OutputPage:
        """Up to `limit` lines after the cursor ("" is the beginning). OutputCursorInvalid."""
        cursor = _cursor(after)
        lines: list[OutputLine] = []
        for frame, behind in self._frames(cursor):
            cursor = behind
            if not frame.ends:
                lines.append(frame.line())
            if len(lines) >= limit:
                break
        return OutputPage(lines=lines, cursor=str(cursor))

    def follow(
        self, after: str = "", *, wait: float, limit: int = 1000, is_over: Callable[[], bool]
    ) -> OutputPage:
        """Like `read`, but waits up to `wait` seconds for the first line, unless the job is over."""
        until = self.clock.monotonic() + wait
        pause = 0.1
        while True:
            over = is_over()
            page = self.read(after, limit=limit)
            if page.lines or over or self.clock.monotonic() >= until:
                return page
            self.clock.sleep(min(pause, max(until - self.clock.monotonic(), 0.01)))
            pause = min(pause * 1.5, 1.0)

    def search(
        self, wanted: str, *, after: str = "", limit: int = 100, stream: str | None = None
    ) -> OutputPage:
        """Lines that contain `wanted`, whatever the case, after the cursor; the page's cursor goes on from the last one."""
        cursor = _cursor(after)
        needle = wanted.casefold()
        lines: list[OutputLine] = []
        for frame, behind in self._frames(cursor):
            cursor = behind
            if not frame.ends and needle in frame.text.casefold() and stream in {None, frame.stream}:
                lines.append(frame.line())
                if len(lines) >= limit:
                    break
        return OutputPage(lines=lines, cursor=str(cursor))

    def tail(self, lines: int) -> OutputPage:
        """The last lines, without reading the ones before."""
        segment = 1
        while self._size(segment + 1) is not None:
            segment += 1
        found: list[OutputLine] = []
        end: str | None = None
        while segment >= 1 and len(found) < lines:
            size = self._size(segment) or 0
            end = end or f"{segment}.{size}"
            found = [*self._last(segment, size, lines - len(found)), *found]
            segment -= 1
        return OutputPage(lines=found, cursor=end or "1.0")

    def text(self) -> Iterator[bytes]:
        """The whole output as plain text, for download, in pieces."""
        block = bytearray()
        for frame, _ in self._frames(_Cursor(1, 0)):
            if not frame.ends:
                block += frame.text.encode() + b"\n"
            if len(block) >= _READ:
                yield bytes(block)
                block.clear()
        if block:
            yield bytes(block)

    def delete(self) -> None:
        for blob in [*self.blobs.list(f"{escape(self.scope)}/{escape(self.job_id)}/")]:
            self.blobs.delete(blob.name)

    def _frames(self, cursor: _Cursor) -> Iterator[tuple[_Frame, _Cursor]]:
        """Each frame from there on, with the cursor behind it."""
        ended = True
        while ended:
            rest, ended = b"", False
            for piece in _ranges(self.blobs, self._name(cursor.segment), cursor.offset):
                *whole, rest = (rest + piece).split(b"\n")
                for raw in whole:
                    frame = _decode(raw)
                    ended = frame.ends
                    cursor = (
                        _Cursor(cursor.segment + 1, 0)
                        if ended
                        else _Cursor(cursor.segment, cursor.offset + len(raw) + 1)
                    )
                    yield frame, cursor

    def _last(self, segment: int, size: int, lines: int) -> list[OutputLine]:
        window = 64 * 1024
        while True:
            start = max(0, size - window)
            raw = self.blobs.get(self._name(segment), start=start, length=size - start) if size else b""
            whole = raw.splitlines() if start == 0 else raw.splitlines()[1:]
            if start == 0 or len(whole) > lines:
                frames = [_decode(each) for each in whole[-lines - 1 :]]
                return [frame.line() for frame in frames if not frame.ends][-lines:]
            window *= 4

    def _size(self, segment: int) -> int | None:
        try:
            return self.blobs.info(self._name(segment)).size
        except BlobNotFound:
            return None

    def _name(self, segment: int) -> str:
        return _segment_name(self.scope, self.job_id, segment)


def _ranges(blobs: Blobs, name: str, start: int) -> Iterator[bytes]:
    """The blob from `start` on, in pieces; nothing where it does not reach so far, or is not there."""
    while True:
        try:
            piece = blobs.get(name, start=start, length=_READ)
        except BlobNotFound:
            return
        if piece:
            yield piece
        if len(piece) < _READ:
            return
        start += len(piece)


def _cursor(text: str) -> _Cursor:
    if not text:
        return _Cursor(1, 0)
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise OutputCursorInvalid(f"{text!r} is no cursor of a job's output", target="after")
    return _Cursor(int(match[1]), int(match[2]))
