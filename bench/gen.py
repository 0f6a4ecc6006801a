"""Our own generator of log records equal in kind to the measured ones: app, syslog and perf, skewed, with planted needles.

    python -m bench.gen OUTDIR --mb 200

Zipf-distributed hosts, users and templates, a diurnal rate, 0.1 % late records, a nested object in `app`, one record in
each tenth of `app` and `syslog` with the term NEEDLE-<table>-NN, `quasarfault` in about 0.01 % and `timeout` in 3 %.
The same seed gives the same bytes. Standard library only.
"""

import argparse
import itertools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

START: Final = datetime(2026, 11, 1, tzinfo=UTC)
DAYS: Final = 7
SHARES: Final = {
    "app": (0.50, 572),
    "syslog": (0.37, 302),
    "perf": (0.13, 170),
}  # of the bytes, bytes a record
_WORDS: Final = [
    "cache",
    "pool",
    "worker",
    "shard",
    "replica",
    "token",
    "session",
    "queue",
    "batch",
    "index",
    "lease",
    "socket",
    "certificate",
    "payload",
    "schema",
    "config",
    "volume",
    "snapshot",
    "cursor",
    "stream",
]
_ROLES: Final = [
    "storefront",
    "checkout",
    "payments",
    "inventory",
    "search",
    "identity",
    "notify",
    "shipping",
    "pricing",
    "recommend",
    "gateway",
    "billing",
]
_REGIONS: Final = ["westeurope", "northeurope", "eastus", "eastus2", "southeastasia", "australiaeast"]
_VERBS: Final = [
    f"{verb} /api/{noun}{rest}"
    for noun in [
        "products",
        "orders",
        "users",
        "carts",
        "search",
        "payments",
        "reviews",
        "images",
        "health",
        "login",
    ]
    for rest in ("", "/list", "/detail", "/update", "/delete", "/export", "/v2", "/bulk")
    for verb in ("GET", "POST")
]
_APP: Final = (
    ("Information", 30, "Request finished HTTP/1.1 {op} - {n} bytes in {ms}ms"),
    (
        "Information",
        14,
        "Executed DbCommand ({ms}ms) [Parameters=[@p0='{n}', @p1='{user}'], CommandType='Text', CommandTimeout='30'] SELECT o.id, o.total, o.state FROM orders AS o WHERE o.customer = @p1 ORDER BY o.created DESC LIMIT @p0",
    ),
    ("Information", 9, "User {user} signed in from {ip} with session {uuid}"),
    ("Information", 8, "Published message {uuid} to topic orders.{word} partition {k} offset {n}"),
    ("Debug", 14, "Cache hit for key {word}:{hex} ttl={n}s, replica {host}"),
    (
        "Information",
        9,
        "Order ORD-{hex} accepted for user {user}, {k} items, total {n}.{k} EUR, reference PAY{n}",
    ),
    ("Warning", 5, "Slow query detected: {ms} ms on {host} statement {hex} rows={n}"),
    ("Warning", 3, "Operation timeout after {ms} ms waiting for {word} {hex} on {host}"),
    (
        "Error",
        2,
        "Unhandled exception System.TimeoutException: The {word} operation on {host} failed with code {n} at Contoso.Core.Handler:line {k} correlation {uuid}",
    ),
    ("Critical", 0.01, "quasarfault detected in {word} {hex} on {host}, failing over"),
)
_SYSLOG: Final = (
    ("sshd", "auth", "info", 18, "Failed password for invalid user {user} from {ip} port {n} ssh2"),
    ("systemd", "daemon", "info", 20, "Started Session {n} of user {user}."),
    ("CRON", "cron", "info", 20, "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)"),
    (
        "kernel",
        "kern",
        "info",
        10,
        "[{n}.{n}] audit: type=1400 audit({n}.{k}): apparmor=ALLOWED operation=open profile=/usr/sbin/{word} name=/proc/{n}/status pid={n} comm={word} requested_mask=r denied_mask=r",
    ),
    (
        "nginx",
        "local7",
        "info",
        12,
        "{ip} - {user} {op} HTTP/2.0 {k} {n} https://shop.contoso.example/{word} Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 rt=0.{n}",
    ),
    (
        "nginx",
        "local7",
        "err",
        3,
        "upstream timeout (110: Connection timed out) while reading response header from upstream, client: {ip}, server: {host}, request: {op}",
    ),
    (
        "kubelet",
        "daemon",
        "info",
        6,
        "prober.go:107] Probe failed probeType=Readiness pod=prod/{word}-{hex} podUID={uuid} containerName={word} probeResult=failure statuscode: 50{k}",
    ),
    ("kernel", "kern", "crit", 0.01, "quasarfault: EDAC MC0: {n} UE memory error on DIMM {k} host {host}"),
)
_COUNTERS: Final = (
    ("Processor", "% Processor Time", "_Total"),
    ("Processor", "% Processor Time", "0"),
    ("Memory", "Available MBytes", ""),
    ("Memory", "% Used Memory", ""),
    ("Logical Disk", "% Free Space", "/"),
    ("Logical Disk", "Disk Transfers/sec", "_Total"),
    ("Network", "Total Bytes Received", "eth0"),
    ("Network", "Total Bytes Transmitted", "eth0"),
    ("System", "Uptime", ""),
    ("Process", "Pct User Time", "nginx"),
)


class _Pool:
    """Values with Zipf-distributed frequencies."""

    def __init__(self, values: Sequence[str], exponent: float) -> None:
        self.values = values
        self.weights = list(itertools.accumulate(1 / (rank + 1) ** exponent for rank in range(len(values))))

    def many(self, source: random.Random, count: int) -> list[str]:
        return source.choices(self.values, cum_weights=self.weights, k=count)


class Generator:
    """Records of one table, in batches, each as the text of a JSON object."""

    def __init__(self, table: str, total: int, *, seed: int = 7, days: float = DAYS) -> None:
        self.table, self.total, self.days = table, total, days
        shared = random.Random(seed)
        self.random = random.Random(f"{seed}:{table}")
        hosts = [
            f"{kind}-{n:04d}"
            for kind in ("web", "api", "db", "cache", "batch", "edge")
            for n in range(1, 101)
        ]
        shared.shuffle(hosts)
        self.hosts = hosts
        self.pools = {
            "host": _Pool(hosts, 0.7),
            "user": _Pool([f"u{shared.getrandbits(32):08x}" for _ in range(50_000)], 1.02),
            "ip": _Pool(
                [".".join(str(shared.randrange(1, 255)) for _ in range(4)) for _ in range(20_000)], 1.05
            ),
            "op": _Pool(_VERBS, 1.1),
            "word": _Pool(_WORDS, 0.8),
            "role": _Pool(_ROLES, 0.8),
            "region": _Pool(_REGIONS, 0.9),
        }
        self.needles = {int(total * (k + 0.5) / 10): f"NEEDLE-{table}-{k + 1:02d} " for k in range(10)}

    def records(self, *, batch: int = 20_000) -> Iterator[str]:
        make: Callable[[int, int], list[str]] = getattr(self, f"_{self.table}")
        for first in range(0, self.total, batch):
            yield from make(first, min(batch, self.total - first))

    def _times(self, first: int, count: int) -> list[str]:
        found: list[str] = []
        for index in range(first, first + count):
            days, part = divmod(index / self.total * self.days, 1)
            part += 0.0859 * (math.cos(2 * math.pi * part) - 1)
            seconds = (days + min(max(part, 0.0), 1.0)) * 86_400 + self.random.gauss(0, 1.5)
            if self.random.random() < 0.001:
                seconds -= self.random.random() * 3_600
            at = START + timedelta(milliseconds=int(min(max(seconds, 0), self.days * 86_400 - 1) * 1_000))
            found.append(at.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
        return found

    def _material(self, count: int) -> list[dict[str, str]]:
        columns = {name: pool.many(self.random, count) for name, pool in self.pools.items()}
        bits = self.random.getrandbits
        return [
            {
                **{name: values[index] for name, values in columns.items()},
                "n": str(1 + bits(16)),
                "k": str(1 + bits(3)),
                "ms": f"{math.exp(self.random.gauss(3.2, 1.3)):.1f}",
                "hex": f"{bits(32):08x}",
                "uuid": f"{bits(32):08x}-{bits(16):04x}-{bits(16):04x}-{bits(16):04x}-{bits(48):012x}",
            }
            for index in range(count)
        ]

    def _app(self, first: int, count: int) -> list[str]:
        weights = [weight for _, weight, _ in _APP]
        chosen = self.random.choices(_APP, weights=weights, k=count)
        bits, uniform = self.random.getrandbits, self.random.random
        found: list[str] = []
        for index, (at, m, (level, _, template)) in enumerate(
            zip(self._times(first, count), self._material(count), chosen, strict=True)
        ):
            message = self.needles.get(first + index, "") + template.format(**m)
            code = "200" if uniform() < 0.87 else ("404", "500", "429", "301")[bits(2)]
            duration = f"{math.exp(self.random.gauss(3.0, 1.2)):.3f}"
            cart = (
                f',"cart":{{"id":"{m["hex"]}","total":{duration}}},"flags":["beta","{m["word"]}"]'
                if uniform() < 0.3
                else ""
            )
            properties = f'{{"region":"{m["region"]}","build":"2026.{9 + bits(1)}.{1 + bits(3)}","items":{1 + bits(4)}{cart}}}'
            found.append(
                f'{{"TimeGenerated":"{at}","Level":"{level}","AppRoleName":"{m["role"]}","AppRoleInstance":"{m["host"]}",'
                f'"OperationId":"{bits(128):032x}","OperationName":"{m["op"]}","ClientIP":"{m["ip"]}","UserId":"{m["user"]}",'
                f'"ResultCode":"{code}","DurationMs":{duration},"Success":{"true" if code < "400" else "false"},'
                f'"Url":"https://shop.contoso.example{m["op"].split(" ")[1]}/{m["n"]}","Message":"{message}","Properties":{properties}}}'
            )
        return found

    def _syslog(self, first: int, count: int) -> list[str]:
        chosen = self.random.choices(_SYSLOG, weights=[one[3] for one in _SYSLOG], k=count)
        found: list[str] = []
        for index, (at, m, (process, facility, severity, _, template)) in enumerate(
            zip(self._times(first, count), self._material(count), chosen, strict=True)
        ):
            message = self.needles.get(first + index, "") + template.format(**m)
            number = self.hosts.index(m["host"]) if index % 50 == 0 else len(m["host"])
            found.append(
                f'{{"TimeGenerated":"{at}","Computer":"{m["host"]}","HostIP":"10.{number % 8}.{len(m["word"])}.{m["k"]}",'
                f'"Facility":"{facility}","SeverityLevel":"{severity}","ProcessName":"{process}",'
                f'"ProcessID":{1 + self.random.getrandbits(15)},"SyslogMessage":"{message}"}}'
            )
        return found

    def _perf(self, first: int, count: int) -> list[str]:
        found: list[str] = []
        for index, at in enumerate(self._times(first, count)):
            number = first + index
            thing, counter, instance = _COUNTERS[number % len(_COUNTERS)]
            value = self.random.random() * (100 if "%" in counter or "Pct" in counter else 100_000)
            host = self.hosts[(number // len(_COUNTERS)) % len(self.hosts)]
            found.append(
                f'{{"TimeGenerated":"{at}","Computer":"{host}","ObjectName":"{thing}","CounterName":"{counter}",'
                f'"InstanceName":"{instance}","CounterValue":{value:.4f}}}'
            )
        return found


def write(folder: Path, *, mb: float, seed: int = 7, days: float = DAYS) -> dict[str, Path]:
    """One NDJSON file per table, about `mb` megabytes together; files of the same size and seed are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[str, Path] = {}
    for table, (share, width) in SHARES.items():
        path = folder / f"{table}-{mb:g}-{days:g}-{seed}.ndjson"
        if not path.exists():
            part = path.with_suffix(".part")
            with part.open("w", encoding="utf-8") as file:
                for record in Generator(table, int(mb * 1e6 * share / width), seed=seed, days=days).records():
                    file.write(record + "\n")
            part.replace(path)
        made[table] = path
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mb", type=float, default=200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--days", type=float, default=DAYS)
    asked = parser.parse_args()
    for table, path in write(asked.folder, mb=asked.mb, seed=asked.seed, days=asked.days).items():
        print(table, path, path.stat().st_size)


if __name__ == "__main__":
    main()
