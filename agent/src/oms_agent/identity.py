"""Who this machine is: a lasting id, its name and addresses, its operating system."""

import platform
import socket
import uuid
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    id: str
    name: str
    address: str
    addresses: tuple[str, ...]
    os_type: str
    os_name: str
    os_major: str
    os_minor: str


def this_machine(state_dir: Path) -> Machine:
    """The id is made once and kept in `state_dir`."""
    path = state_dir / "machine-id"
    if not path.is_file():
        state_dir.mkdir(parents=True, exist_ok=True)
        path.write_text(str(uuid.uuid4()), encoding="ascii")
    addresses = tuple(
        address.address
        for entries in psutil.net_if_addrs().values()
        for address in entries
        if address.family == socket.AF_INET and not address.address.startswith("127.")
    )
    release = _os_release()
    major, _, minor = release.get("VERSION_ID", "").partition(".")
    return Machine(
        id=path.read_text(encoding="ascii").strip(),
        name=socket.gethostname(),
        address=addresses[0] if addresses else "127.0.0.1",
        addresses=addresses,
        os_type=platform.system(),
        os_name=release.get("NAME", platform.system()),
        os_major=major,
        os_minor=minor,
    )


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}
