"""Request ids that were committed: a dense log per workspace, so that of two instances given one request only one commits it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from shared.kernel.ticks import TICKS_PER_SECOND
from shared.kernel.versions import check_version
from shared.loganalytics.logstore.catalogue import VERSION, request_key, whole
from shared.loganalytics.logstore.errors import FrameRefused
from shared.loganalytics.logstore.model import Commit, LaneId
from shared.storage.ports import Insert, Table, prefix_end

ID_BYTES: Final = 32
# A Data Collector signature is good for 15 minutes either side of its date.
REMEMBERED_TICKS: Final = 40 * 60 * TICKS_PER_SECOND


@dataclass(slots=True)
class RequestLog:
    """What this process knows of a workspace's log. Not thread-safe: only the one who commits uses it.

    A commit with ids inserts the log's next row in its own transaction. Whoever does not know the last row meets
    RowExists there, reads on, and finds what was committed meanwhile.
    """

    table: Table
    workspace: str
    known: dict[bytes, Commit] = field(default_factory=dict[bytes, Commit])
    next: int = 0
    loaded: bool = False

    def refresh(self) -> None:
        """Read what others added since."""
        rows = self.table.query(self.workspace, start=request_key(self.next), before=prefix_end("r|"))
        for row in rows:
            check_version("request row", row.values.get("v"), current=VERSION)
            ids = row.values["ids"]
            if not isinstance(ids, bytes):
                raise TypeError(f"{row.key}.ids is no bytes")
            commit = Commit(
                lane=LaneId(str(row.values["lane"])),
                sequence=whole(row, "number"),
                ticks=whole(row, "ticks"),
                repeated=True,
            )
            self.known.update((ids[at : at + ID_BYTES], commit) for at in range(0, len(ids), ID_BYTES))
            self.next = int(row.key.removeprefix("r|")) + 1
        self.loaded = True

    def entry(self, ids: Sequence[bytes], *, lane: LaneId, number: int, ticks: int) -> Insert:
        """The row to insert in the transaction that commits `ids`."""
        for one in ids:
            if len(one) != ID_BYTES:
                raise FrameRefused(f"a request id has {len(one)} bytes instead of {ID_BYTES}")
        return Insert(
            key=request_key(self.next),
            values={"v": VERSION, "ids": b"".join(ids), "lane": lane, "number": number, "ticks": ticks},
        )

    def committed(self, ids: Mapping[bytes, Commit], *, now_ticks: int) -> None:
        """The row went in. Forgets what is too old to come again."""
        self.known.update(ids)
        self.next += 1
        oldest = now_ticks - REMEMBERED_TICKS
        # Dicts keep the order of insertion, which is near enough that of time.
        while self.known:
            first = next(iter(self.known))
            if self.known[first].ticks >= oldest:
                return
            del self.known[first]
