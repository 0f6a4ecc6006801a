"""A process of its own that appends requests and prints what was acknowledged: python -m tests.logstore.writer CONNECTION FOLDER FIRST COUNT."""

import sys
from pathlib import Path

from shared.kernel.clock import SystemClock
from shared.kernel.errors import OmsError
from shared.kql.types import KqlType
from shared.loganalytics.logstore.compaction import Compactor
from shared.loganalytics.logstore.store import LogStore
from shared.loganalytics.logstore.sweeping import Sweeper
from shared.storage.azure import AzureStorage
from tests.logstore.samples import WORKSPACE, frame


def main(connection: str, folder: str, first: int, count: int) -> None:
    clock = SystemClock()
    with AzureStorage.from_connection_string(connection) as storage:
        store = LogStore.over(storage, clock=clock, folder=Path(folder))
        compactor, sweeper = Compactor(store=store, compact_bytes=2_000), Sweeper(store=store)
        for number in range(first, first + count):
            one = frame(
                [{"N": number}], clock, schema={"N": KqlType.LONG}, request_id=number.to_bytes(32, "big")
            )
            while True:
                try:
                    store.append(WORKSPACE, [one])
                except OmsError:
                    continue
                break
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()
            if number % 7 == 0:
                try:
                    compactor.compact(WORKSPACE, "App_CL")
                    sweeper.advance_floor(WORKSPACE)
                    compactor.merge(WORKSPACE, "App_CL")
                except OmsError:
                    continue


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
