"""Structured log lines: the event phrase, then its facts and the correlation id as JSON.

The Functions worker passes on only a record's message, so that is where the facts must be for Application Insights and for the
local log alike: `traces | extend facts = parse_json(extract(@"({.*})$", 1, message))`.
"""

import json
import logging
from typing import Any, Final

from shared.kernel.correlation import correlation_id

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "correlation"}
_OURS: Final = ("shared", "functions")


class StructuredRecord(logging.LogRecord):
    """A log record of ours shows its `extra` too. What is in `extra` is never a secret and never a payload."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.correlation = correlation_id()

    def getMessage(self) -> str:  # noqa: N802 - the name is logging's
        text = super().getMessage()
        if not self.name.startswith(_OURS):
            return text
        facts = {key: value for key, value in vars(self).items() if key not in _STANDARD}
        if self.correlation:
            facts["correlationId"] = self.correlation
        return f"{text} {json.dumps(facts, default=str)}" if facts else text


def install() -> None:
    """Use it for every record from now on. Doing it again changes nothing."""
    logging.setLogRecordFactory(StructuredRecord)
