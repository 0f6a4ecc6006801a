"""Files that grow: followed across restarts and rotation, each line once."""

import glob
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

CHUNK: Final = 1024 * 1024
LONGEST_LINE: Final = 256 * 1024

Take = Callable[[str, list[Mapping[str, Any]]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far a file was read: which file (inode) and which byte."""

    inode: int
    offset: int


@dataclass(slots=True)
class FileFollower:
    """Follows what `pattern` matches. `poll` reads what is new; the place is saved after `take` has made it durable.

    A file that is new to the follower is read from its start, except those there at the very first poll: these from their end.
    """

    table: str
    pattern: str
    form: str
    computer: str
    state: Path
    take: Take
    _places: dict[str, Place] = field(default_factory=dict[str, Place], init=False)
    _known: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if self.state.is_file():
            saved = json.loads(self.state.read_text(encoding="utf-8"))
            self._places = {
                path: Place(inode=place["inode"], offset=place["offset"]) for path, place in saved.items()
            }
            self._known = True

    def poll(self, *, at: str) -> int:
        """How many records were taken."""
        taken = 0
        for name in sorted(glob.glob(self.pattern)):  # noqa: PTH207 - the pattern is an absolute path from the data source
            path = Path(name)
            try:
                status = path.stat()
            except OSError:
                continue
            place = self._places.get(name)
            if place is None:
                self._places[name] = place = Place(
                    inode=status.st_ino, offset=0 if self._known else status.st_size
                )
            elif place.inode != status.st_ino:
                taken += self._finish_rotated(path, place, at)
                place = Place(inode=status.st_ino, offset=0)
            elif status.st_size < place.offset:
                place = Place(inode=status.st_ino, offset=0)
            taken += self._read(path, name, place, at)
        if taken or not self._known:
            self._save()
        self._known = True
        return taken

    def _finish_rotated(self, path: Path, place: Place, at: str) -> int:
        """What was written to the old file before it was renamed: found beside the new one by its inode."""
        for sibling in path.parent.glob(path.name + "*"):
            try:
                if sibling != path and sibling.stat().st_ino == place.inode:
                    return self._read(sibling, None, place, at)
            except OSError:
                continue
        return 0

    def _read(self, path: Path, name: str | None, place: Place, at: str) -> int:
        taken = 0
        offset = place.offset
        try:
            with path.open("rb") as file:
                file.seek(offset)
                while chunk := file.read(CHUNK):
                    end = chunk.rfind(b"\n") + 1
                    if end == 0:
                        if len(chunk) < LONGEST_LINE:
                            break
                        end = len(chunk)
                    records = [
                        r
                        for line in chunk[:end].split(b"\n")
                        if line.strip() and (r := self._record(line, path, at))
                    ]
                    self.take(self.table, records)
                    taken += len(records)
                    offset += end
                    file.seek(offset)
        except OSError:
            pass
        if name is not None:
            self._places[name] = Place(inode=place.inode, offset=offset)
        return taken

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
        saved = {name: {"inode": place.inode, "offset": place.offset} for name, place in self._places.items()}
        self.state.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.state.with_suffix(".new")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(saved, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.state)
