"""Policy assertions on `infra/`: what every deployment must be, whoever edits the templates.

Run by `make check`. Prints each finding and exits with 1 if there is one. Where the type checker of the project's
knowledge base is at hand (`OMS_SHARED`), it runs too.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
INFRA: Final = ROOT / "infra"

REQUIRED: Final[dict[str, dict[str, str]]] = {
    "Microsoft.Storage/storageAccounts@": {
        "allowBlobPublicAccess": "false",
        "allowSharedKeyAccess": "false",
        "minimumTlsVersion": "'TLS1_2'",
        "supportsHttpsTrafficOnly": "true",
    },
    "Microsoft.Storage/storageAccounts/blobServices@": {"isVersioningEnabled": "true", "enabled": "true"},
    "Microsoft.Storage/storageAccounts/blobServices/containers@": {"publicAccess": "'None'"},
    "Microsoft.KeyVault/vaults@": {
        "enableRbacAuthorization": "true",
        "enableSoftDelete": "true",
        "enablePurgeProtection": "true",
    },
    "Microsoft.Insights/components@": {"DisableLocalAuth": "true"},
    "Microsoft.Web/sites@": {
        "httpsOnly": "true",
        "minTlsVersion": "'1.2'",
        "ftpsState": "'Disabled'",
        "allow": "false",
    },
}
"""What a resource of each type must say, wherever it says it."""

FORBIDDEN: Final = {
    r"\blistKeys\(": "keys are never read: use the identity",
    r"AccountKey=": "no key in a template",
    r"\bFUNCTIONS_WORKER_RUNTIME\b": "invalid on Flex Consumption: functionAppConfig.runtime says it",
    r"\bWEBSITE_RUN_FROM_PACKAGE\b": "invalid on Flex Consumption",
    r"\bSCM_DO_BUILD_DURING_DEPLOYMENT\b": "invalid on Flex Consumption",
    r"AzureWebJobsStorage\s*:": "identity-based: AzureWebJobsStorage__… settings",
}

_RESOURCE: Final = re.compile(r"^resource (\w+) '([^']+)'", re.MULTILINE)
_DECLARED: Final = re.compile(r"^(?:param|output) (\w+) ", re.MULTILINE)


def resources(text: str) -> Iterator[tuple[str, str]]:
    """Each top-level resource's type and its text, up to the next top-level declaration."""
    starts = list(_RESOURCE.finditer(text))
    for match in starts:
        following = re.search(r"^(?:resource|module|param|var|output|@)", text[match.end() :], re.MULTILINE)
        yield match[2], text[match.start() : match.end() + (following.start() if following else len(text))]


def findings(path: Path) -> Iterator[str]:
    return findings_in(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))


def findings_in(text: str, name: str) -> Iterator[str]:
    for kind, body in resources(text):
        for prefix, wanted in REQUIRED.items():
            if kind.startswith(prefix):
                for key, value in wanted.items():
                    if not re.search(rf"\b{key}:\s*{re.escape(value)}", body):
                        yield f"{name}: {kind} must say {key}: {value}"
    for pattern, why in FORBIDDEN.items():
        if match := re.search(pattern, text):
            yield f"{name}: {match[0]} — {why}"
    lines = text.splitlines()
    for match in _DECLARED.finditer(text):
        above = lines[: text.count("\n", 0, match.start())]
        while above and above[-1].startswith("@") and "@description" not in above[-1]:
            above.pop()
        if not above or not above[-1].startswith("@description("):
            yield f"{name}: {match[0].strip()} has no @description"
    if (match := re.search(r"perInstanceConcurrency:\s*(\w+)", text)) and (
        f"PYTHON_THREADPOOL_THREAD_COUNT: string({match[1]})" not in text
    ):
        yield f"{name}: perInstanceConcurrency and PYTHON_THREADPOOL_THREAD_COUNT must be one value"


def typed(files: list[Path]) -> int:
    shared = os.environ.get("OMS_SHARED")
    checker = Path(shared) / "bicepcheck" / "check.py" if shared else None
    if checker is None or not checker.is_file():
        return 0
    return subprocess.run([sys.executable, str(checker), *map(str, files)], check=False).returncode


def main() -> int:
    files = sorted(INFRA.rglob("*.bicep"))
    found = [finding for path in files for finding in findings(path)]
    for finding in found:
        print(finding)
    print(f"{len(files)} Bicep files, {len(found)} findings")
    return 1 if found or typed(files) else 0


if __name__ == "__main__":
    sys.exit(main())
