"""Where the next page of a table begins, as one opaque string: the two keys of its first row."""

import base64
import binascii
import json
from typing import cast

from shared.storage.ports import StorageKeyInvalid


def encode(partition: str, key: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([partition, key]).encode()).decode().rstrip("=")


def decode(text: str) -> tuple[str, str]:
    try:
        padded = text + "=" * (-len(text) % 4)
        found = cast("object", json.loads(base64.b64decode(padded, altchars=b"-_", validate=True)))
    except (binascii.Error, ValueError):
        found = None
    match found:
        case [str(partition), str(key)]:
            return partition, key
        case _:
            raise StorageKeyInvalid(f"{text[:64]!r} is not where a page begins", target="after")
