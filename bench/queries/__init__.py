"""The queries that everything is measured with: `NN_name.kql`, and beside it the SQL that a person would write by hand."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One query in both languages. The SQL reads the relations `app` and `syslog`."""

    name: str
    kql: str
    sql: str


def pairs() -> list[Pair]:
    folder = Path(__file__).parent
    return [
        Pair(name=path.stem, kql=path.read_text(), sql=path.with_suffix(".sql").read_text())
        for path in sorted(folder.glob("*.kql"))
    ]
