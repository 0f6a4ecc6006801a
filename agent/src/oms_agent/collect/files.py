"""Files that grow: followed across restarts and rotation, each line once."""

import glob
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from oms_agent.versions import check_version

VERSION: Final = 1
CHUNK: Final = 1024 * 1024
LONGEST_LINE: Final = 256 * 1024
HEAD: Final = 64

Take = Callable[[str, list[Mapping[str, Any]]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far a file was read. `head` is how it began, in hex: an inode is used again when a file is deleted."""

    path: str
    offset: int
    head: str = ""


@dataclass(slots=True)
class FileFollower:
    """Follows what `pattern` matches. `poll` reads what is new; the place is saved after `take` has made it durable.

    Files are known by inode, so that a renamed one goes on where it was and is not read twice under its new name. One that
    is new to the follower is read from its start, except those there at the very first poll: these from their end.
    """

    table: str
    pattern: str
    form: str
    computer: str
    state: Path
    take: Take
    _places: dict[int, Place] = field(default_factory=dict[int, Place], init=False)
    _known: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if self.state.is_file():
            saved = json.loads(self.state.read_text(encoding="utf-8"))
            check_version(self.state, saved.get("v"), current=VERSION)
            self._places = {int(inode): Place(**place) for inode, place in saved["files"].items()}
            self._known = True

    def poll(self, *, at: str) -> int:
        """How many records were taken."""
        taken = 0
        before = dict(self._places)
        present: set[int] = set()
        for name in sorted(glob.glob(self.pattern)):  # noqa: PTH207 - the pattern is an absolute path from the data source
            for path, inode in [*self._rotated(Path(name)), (Path(name), _inode(Path(name)))]:
                if inode is not None and inode not in present:
                    present.add(inode)
                    taken += self._follow(path, inode, at)
        self._places = {inode: place for inode, place in self._places.items() if inode in present}
        if self._places != before or not self._known:
            self._save()
        self._known = True
        return taken

    def _rotated(self, path: Path) -> list[tuple[Path, int | None]]:
        """Files beside `path` that were read under its name before: their last lines may not have been."""
        mine = {inode for inode, place in self._places.items() if place.path == str(path)}
        if not mine or _inode(path) in mine:
            return []
        return [
            (other, inode)
            for other in sorted(path.parent.glob(path.name + "*"))
            if (inode := _inode(other)) in mine
        ]

    def _follow(self, path: Path, inode: int, at: str) -> int:
        place = self._places.get(inode)
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if place is None:
                    place = Place(path=str(path), offset=0 if self._known else size)
                elif size < place.offset or file.read(len(place.head) // 2).hex() != place.head:
                    place = Place(path=str(path), offset=0)
                taken, offset = self._read(file, path, place.offset, at)
                file.seek(0)
                head = file.read(min(HEAD, offset)).hex()
        except OSError:
            return 0
        self._places[inode] = Place(path=str(path), offset=offset, head=head)
        return taken

    def _read(self, file: BinaryIO, path: Path, offset: int, at: str) -> tuple[int, int]:
        taken = 0
        file.seek(offset)
        while chunk := file.read(CHUNK):
            end = chunk.rfind(b"\n") + 1
            if end == 0:
                if len(chunk) < LONGEST_LINE:
                    break
                end = len(chunk)
            lines = [line for line in chunk[:end].split(b"\n") if line.strip()]
            self.take(self.table, [self._record(line, path, at) for line in lines])
            taken += len(lines)
            offset += end
            file.seek(offset)
        return taken, offset

    def _record(self, line: bytes, path: Path, at: str) -> Mapping[str, Any]:
        text = line.decode(errors="replace").rstrip("\r")
        base = {"TimeGenerated": at, "Computer": self.computer, "FilePath": str(path)}
        if self.form == "json":
            try:
                value = json.loads(text)
            except ValueError:
                return base | {"RawData": text}
            if isinstance(value, dict):
                return base | value
        return base | {"RawData": text}

    def _save(self) -> None:
        saved = {"v": VERSION, "files": {str(inode): asdict(place) for inode, place in self._places.items()}}
        self.state.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.state.with_suffix(".new")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(saved, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.state)


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None
