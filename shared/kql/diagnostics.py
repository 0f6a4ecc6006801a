"""What is wrong with a query, for editors: place, message, suggestion."""

from dataclasses import dataclass

from shared.kernel.errors import OmsError
from shared.kernel.ticks import UNIX_EPOCH_TICKS
from shared.kql.catalog import Catalog
from shared.kql.errors import KqlError
from shared.kql.translator import translate


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One complaint. `line` and `column` count from one, `start` and `end` are offsets."""

    code: str
    message: str
    line: int
    column: int
    start: int
    end: int
    token: str
    suggestion: str | None = None


def diagnose(text: str, catalog: Catalog, *, now_ticks: int = UNIX_EPOCH_TICKS) -> list[Diagnostic]:
    """What translation would complain of; nothing for a good query or an empty text."""
    if not text.strip():
        return []
    try:
        translate(text, catalog=catalog, now_ticks=now_ticks, probe=lambda _asked: ())
    except KqlError as error:
        return [
            Diagnostic(
                code=error.code,
                message=error.message,
                line=error.line,
                column=error.column,
                start=error.pos,
                end=error.end,
                token=error.token,
                suggestion=error.suggestion,
            )
        ]
    except OmsError as error:  # the catalogue's: an unknown workspace, no right to read
        return [
            Diagnostic(
                code=error.code, message=error.message, line=1, column=1, start=0, end=len(text), token=""
            )
        ]
    return []
