"""Writes tests/golden/functions.json: every function of the bundle with its trigger, as the real worker library indexes it.

`--print` writes the same to standard output instead.
"""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
GOLDEN: Final = ROOT / "tests" / "golden" / "functions.json"
# What a trigger is; the rest of a binding is how the library spells it.
_TOLD: Final = (
    "route",
    "methods",
    "authLevel",
    "queueName",
    "connection",
    "schedule",
    "runOnStartup",
    "useMonitor",
)


async def index() -> Sequence[Mapping[str, Any]]:
    """By name. AppFailed if the app does not index."""
    from devhost.web import http_routes
    from devhost.worker import Worker

    worker = await Worker.load(ROOT)
    # Refuses routes that clash or that ASP.NET would not read.
    http_routes(worker.functions, "")
    worker.close()
    return [
        {
            "name": each.name,
            "trigger": each.trigger,
            **{key: each.binding[key] for key in _TOLD if each.binding.get(key) is not None},
        }
        for each in sorted(worker.functions, key=lambda each: each.name)
    ]


def main(arguments: Sequence[str]) -> None:
    text = "[\n" + ",\n".join(f"  {json.dumps(each)}" for each in asyncio.run(index())) + "\n]\n"
    if "--print" in arguments:
        sys.stdout.write(text)
        return
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(text)
    print(f"{GOLDEN.relative_to(ROOT)}: {text.count('"trigger"')} functions")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main(sys.argv[1:])
