"""Joining: a one-time invitation becomes this machine's connection file."""

import json
import os
import ssl
import urllib.error
import urllib.request
from pathlib import Path


class NotJoined(Exception):
    """The invitation was refused, or nobody answers; nothing was written."""


def join(endpoint: str, token: str, *, ca_file: str | None, folder: Path, config: Path) -> None:
    """Writes `config` (mode 0600), the spool and state below `folder`. NotJoined."""
    if not endpoint.startswith(("http://", "https://")):
        raise NotJoined(f"{endpoint} is no http or https address")
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked
        f"{endpoint.rstrip('/')}/operations/agents/join",
        data=json.dumps({"token": token}).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    trust = ssl.create_default_context(cafile=ca_file) if endpoint.startswith("https://") else None
    try:
        with urllib.request.urlopen(request, timeout=30, context=trust) as response:  # noqa: S310 - the scheme was checked
            answer = json.load(response)
    except urllib.error.HTTPError as refused:
        with refused:
            raise NotJoined(f"{endpoint} refused the invitation: {_reason(refused.read())}") from None
    except (OSError, ValueError) as failed:
        raise NotJoined(f"{endpoint} does not answer: {failed}") from None
    settings = {
        "endpoint": endpoint.rstrip("/"),
        **answer,
        "caFile": ca_file,
        "spoolDir": str(folder / "spool"),
        "stateDir": str(folder / "state"),
    }
    config.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    with os.fdopen(
        os.open(config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
    ) as file:
        json.dump(settings, file, indent=2)


def _reason(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace")
