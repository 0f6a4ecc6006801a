"""One `oms up` per data folder: a lock that the system lets go of when its holder ends, whatever way."""

import fcntl
import os
from pathlib import Path
from typing import IO, Self


class DataDirInUse(Exception):
    """Another `oms up` runs on the same folder."""


class DataDirLock:
    """Held until `release` or the end of the process."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    @classmethod
    def take(cls, data_dir: Path) -> Self:
        """DataDirInUse names the process that has it."""
        path = data_dir / "up.lock"
        file = path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise DataDirInUse(
                f"{data_dir} is in use by another `oms up` (pid {holder}): stop that one, or choose another --data-dir"
            ) from None
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        return cls(file)

    def release(self) -> None:
        self._file.truncate(0)
        self._file.close()
