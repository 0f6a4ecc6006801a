"""Write `docs/settings.md` and `local.settings.example.json` from the one `Settings` object.

`--check` writes nothing and exits with 1 where a file is not what this would write.
"""

import json
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from shared.settings import LOCAL, Settings  # noqa: E402 - the script runs from anywhere

DOC: Final = ROOT / "docs" / "settings.md"
EXAMPLE: Final = ROOT / "local.settings.example.json"

HOST: Final = {
    "FUNCTIONS_WORKER_RUNTIME": "python",
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "PYTHON_THREADPOOL_THREAD_COUNT": "16",
}
"""What `func start` itself reads."""

LOCALLY: Final = {"OMS_STORAGE": "UseDevelopmentStorage=true", "OMS_ISSUER": "local", "OMS_DATA_DIR": ".oms"}
"""Where the laptop differs from the default."""


def name_of(field: str) -> str:
    return f"OMS_{field.upper()}"


def is_local(field: str) -> bool:
    """Whether only a laptop sets it."""
    return Settings.model_fields[field].json_schema_extra is LOCAL


def document() -> str:
    lines = [
        "# Settings",
        "",
        "Every setting is an environment variable (an app setting on Azure), read once when the bundle starts.",
        "Generated from `shared/settings.py`.",
        "",
        "| setting | default | what it is for |",
        "| --- | --- | --- |",
    ]
    for field, info in Settings.model_fields.items():
        default = "" if info.default is None else f"`{info.default}`"
        where = " *Local only.*" if is_local(field) else ""
        lines.append(f"| `{name_of(field)}` | {default} | {info.description}{where} |")
    return "\n".join(lines) + "\n"


def example() -> str:
    values = dict(HOST)
    for field, info in Settings.model_fields.items():
        name = name_of(field)
        values[name] = LOCALLY.get(name, "" if info.default is None else str(info.default))
    return json.dumps({"IsEncrypted": False, "Values": values}, indent=2) + "\n"


def main() -> int:
    wanted = {DOC: document(), EXAMPLE: example()}
    if "--check" in sys.argv:
        stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text() != text]
        for path in stale:
            print(f"{path.relative_to(ROOT)} is stale: run scripts/settings_docs.py")
        return 1 if stale else 0
    for path, text in wanted.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
