"""Bundle the portal's third-party modules into `portal/assets/vendor`, with a lock of versions, licences and hashes.

Run by hand when a version in `scripts/vendor/package.json` changes; the results are committed. Needs npm.
`--check` only compares the committed files with the lock, and exits with 1 where one differs.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
SOURCE: Final = ROOT / "scripts" / "vendor"
TARGET: Final = ROOT / "portal" / "assets" / "vendor"
LOCK: Final = TARGET / "vendor.lock.json"
BUNDLES: Final = ("codemirror", "preact", "uplot")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files() -> dict[str, str]:
    return {path.name: digest(path) for path in sorted(TARGET.iterdir()) if path != LOCK}


def stale() -> list[str]:
    """Names of vendored files that the lock does not vouch for."""
    locked = json.loads(LOCK.read_text())["files"]
    found = files()
    return sorted(name for name in locked.keys() | found.keys() if locked.get(name) != found.get(name))


def build() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary) / "vendor"
        shutil.copytree(SOURCE, work, ignore=shutil.ignore_patterns("node_modules"))
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=work, check=True)
        for bundle in BUNDLES:
            subprocess.run(
                [
                    "node_modules/.bin/esbuild", f"{bundle}.js", "--bundle", "--minify", "--format=esm", "--target=es2022",
                    "--legal-comments=none", f"--outfile={TARGET / bundle}.js",
                ],
                cwd=work, check=True,
            )  # fmt: skip
        shutil.copy(work / "node_modules/uplot/dist/uPlot.min.css", TARGET / "uplot.css")
        packages = list(installed(work))
        notices = [f"{p['name']} {p['version']} ({p['licence']})\n\n{p['text']}" for p in packages]
        (TARGET / "LICENSES.txt").write_text(("\n" + "-" * 78 + "\n\n").join(notices))
    versions = [{key: p[key] for key in ("name", "version", "licence")} for p in packages]
    LOCK.write_text(json.dumps({"packages": versions, "files": files()}, indent=2) + "\n")


def installed(work: Path) -> list[dict[str, Any]]:
    """Every package that goes into the bundles, with its licence."""
    lock = json.loads((work / "package-lock.json").read_text())["packages"]
    found: list[dict[str, Any]] = []
    for place, entry in sorted(lock.items()):
        if not place or entry.get("dev") or entry.get("optional"):
            continue
        text = next((p for p in sorted((work / place).iterdir()) if p.name.upper().startswith("LICEN")), None)
        found.append(
            {
                "name": place.removeprefix("node_modules/"),
                "version": entry["version"],
                "licence": entry.get("license", "unknown"),
                "text": text.read_text() if text else "The package carries no licence text.\n",
            }
        )
    return found


def main() -> int:
    if "--check" in sys.argv:
        differing = stale()
        for name in differing:
            print(f"portal/assets/vendor/{name} is not what vendor.lock.json says")
        return 1 if differing else 0
    build()
    return 0


if __name__ == "__main__":
    sys.exit(main())
