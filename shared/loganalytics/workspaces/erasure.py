"""Erasing what a deleted workspace or table leaves in the log store."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from shared.kernel.errors import Category, OmsError
from shared.loganalytics.logstore.catalogue import SEGMENTS, STAGED, TABLE
from shared.loganalytics.logstore.compaction import Compactor
from shared.loganalytics.logstore.manifest import manifest_name
from shared.loganalytics.logstore.model import WorkspaceId
from shared.storage.ports import Storage

ATTEMPTS: Final = 8


class TableBusy(OmsError):
    """Compaction kept changing the table while its records were being dropped."""

    category = Category.CONFLICT
    code = "TableBusy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """Both may be done again. `tables` names a workspace's tables."""

    storage: Storage
    compactor: Compactor
    tables: Callable[[WorkspaceId], Sequence[str]]

    def workspace(self, workspace: WorkspaceId) -> None:
        """Every blob of it, and then its catalogue: what a crash leaves is found again through the catalogue."""
        heads = self.compactor.store.catalogue.read(workspace).heads
        segments = self.storage.blobs(SEGMENTS)
        for table in {*heads, *self.tables(workspace)}:
            folder = manifest_name(workspace, table, "").rpartition("/")[0]
            for blob in list(segments.list(f"{folder}/")):
                segments.delete(blob.name)
        # Staged batches are spread over all prefixes; compaction keeps them few.
        staged = self.storage.blobs(STAGED)
        for blob in list(staged.list()):
            if blob.name.split("/")[1:2] == [workspace]:
                staged.delete(blob.name)
        catalogue = self.storage.table(TABLE)
        for row in list(catalogue.query(workspace, select=[])):
            catalogue.delete(workspace, row.key)

    def table(self, workspace: WorkspaceId, table: str) -> None:
        """No query sees the table's records from now on; the sweeper removes their blobs. TableBusy."""
        for _ in range(ATTEMPTS):
            if not self.compactor.delete(workspace, table).conflict:
                return
        raise TableBusy(f"table {table} keeps changing", target=table, retry_after=1)
