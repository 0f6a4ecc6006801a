"""Every measured goal, each beside its peer in one run: `python -m bench [logstore] [kql] [imports] [jobs]`."""

import subprocess
import sys
from typing import Final

PARTS: Final = ("imports", "logstore", "kql", "jobs")


def main() -> int:
    """Each part runs in a process of its own, so that none warms another; the worst exit code is ours."""
    wanted = sys.argv[1:] or PARTS
    unknown = set(wanted) - set(PARTS)
    if unknown:
        print(f"there is no bench named {', '.join(sorted(unknown))}: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    worst = 0
    for part in wanted:
        print(f"== {part}", flush=True)
        worst = max(worst, subprocess.run([sys.executable, "-m", f"bench.{part}"], check=False).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
