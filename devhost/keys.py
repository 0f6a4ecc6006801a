"""The host's keys: made on first start, kept in a file that only its owner reads."""

import hmac
import json
import os
import secrets
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

_VERSION: Final = 1


class KeysUnreadable(Exception):
    """The key file is there but is not what this release writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """`master` opens everything, `function` every function that asks for a key.

    `instance` names this host and its data: a host that starts again takes over the leases its dead self still holds.
    """

    master: str
    function: str
    instance: str

    @classmethod
    def load(cls, path: Path | None) -> Self:
        """The keys in the file, made when it is absent; without a file, keys for this process only."""
        if path is not None and path.is_file():
            try:
                document = json.loads(path.read_text())
                if document["v"] != _VERSION:
                    raise KeysUnreadable(f"{path} has version {document['v']}; this release reads {_VERSION}")
                return cls(
                    master=document["master"], function=document["function"], instance=document["instance"]
                )
            except (ValueError, KeyError, TypeError) as error:
                raise KeysUnreadable(f"{path} is damaged ({error!r}): remove it to get new keys") from error
        made = cls(
            master=secrets.token_urlsafe(40), function=secrets.token_urlsafe(40), instance=str(uuid.uuid4())
        )
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_private(
                path,
                json.dumps(
                    {
                        "v": _VERSION,
                        "master": made.master,
                        "function": made.function,
                        "instance": made.instance,
                    }
                ),
            )
        return made

    def opens(self, presented: str, *, admin: bool) -> bool:
        """Whether a presented key is good: the master key always, the function key where no administrator is asked for."""
        given = presented.encode()
        is_master = hmac.compare_digest(given, self.master.encode())
        is_function = hmac.compare_digest(given, self.function.encode())
        return is_master or (is_function and not admin)


def write_private(path: Path, text: str) -> None:
    """Replace the file in one step; only its owner can read it, at no moment anybody else."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
