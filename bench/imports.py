"""Goal 10: what an instance imports before it can take its first records, beside importing everything the bundle may use.

python -m bench.imports [--runs 5]
"""

import argparse
import statistics
import subprocess
import sys
import time
from typing import Final

EVERYTHING: Final = (
    "import azure.functions, pydantic, pydantic_settings, orjson, isal.isal_zlib, azure.storage.blob, azure.storage.queue, "
    "azure.data.tables, azure.identity, azure.monitor.query, azure.keyvault.keys, duckdb, pyarrow.parquet, jinja2, jwt, cryptography.x509"
)
INGEST: Final = """
import function_app
from shared.bootstrap import Services
from shared.kernel.clock import SystemClock
from shared.settings import Settings
bundle = Services(settings=Settings(storage="UseDevelopmentStorage=true", issuer="local"), clock=SystemClock())
bundle.logs_ingestion, bundle.data_collector, bundle.identity
import azure.storage.blob, azure.data.tables
"""
QUERY: Final = INGEST + "bundle.queries\n"


def seconds(code: str, runs: int) -> float:
    """Median over bare Python's start."""

    def start(text: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", text], check=True)
        return time.perf_counter() - began

    start(code)
    return statistics.median(start(code) - start("pass") for _ in range(runs))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    everything, ingest, query = (seconds(code, runs) for code in (EVERYTHING, INGEST, QUERY))
    print(f"everything {everything * 1e3:.0f} ms, ingest {ingest * 1e3:.0f} ms, query {query * 1e3:.0f} ms")
    print(f"goal 10: ingest {ingest / everything:.2f}x everything (<= 0.45)")


if __name__ == "__main__":
    main()
