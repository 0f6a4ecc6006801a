"""A plan to SQL text: what nobody reads is left out, every node becomes a CTE once."""

from collections.abc import Mapping, Sequence

from shared.kql.plan.nodes import PlanNode, ScanNode
from shared.kql.translation import Scan


def _ordered(roots: Sequence[PlanNode]) -> list[PlanNode]:
    """All nodes that the roots stand on, each after those it reads, roots in their order."""
    found: list[PlanNode] = []
    seen: set[int] = set()
    stack: list[tuple[PlanNode, bool]] = [(root, False) for root in reversed(roots)]
    while stack:
        node, done = stack.pop()
        if done:
            found.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((each, False) for each in reversed(node.inputs) if id(each) not in seen)
    return found


class Writer:
    """Writes the statements of one translation. `subqueries` are the CTEs that expressions name, in order of making."""

    def __init__(self, subqueries: Mapping[str, PlanNode]) -> None:
        self._subqueries = subqueries
        self._scans: list[ScanNode] = []
        self._named = 0

    def settle(self, root: PlanNode) -> list[PlanNode]:
        """The nodes a statement stands on, in order, with all demands known."""
        used: set[str] = set()
        while True:
            roots = [node for key, node in self._subqueries.items() if key in used]
            nodes = _ordered([*roots, root])
            found: set[str] = set()
            for node in reversed(nodes):
                node.demand()
                found |= node.subqueries
            if found <= used:
                return nodes
            used |= found

    def with_clause(self, nodes: Sequence[PlanNode]) -> str:
        clauses: list[str] = []
        for node in nodes:
            if isinstance(node, ScanNode):
                if not node.name:
                    self._scans.append(node)
                    node.name = f"scan_{len(self._scans)}"
                continue
            if not node.name:
                self._named += 1
                node.name = f"q{self._named}"
            how = "MATERIALIZED" if node.materialized else "NOT MATERIALIZED"
            clauses.append(f"{node.name} AS {how} ({node.sql()})")
        return "WITH " + ",\n".join(clauses) + "\n" if clauses else ""

    def scans(self) -> list[Scan]:
        return [
            Scan(
                relation=node.name,
                workspace=node.schema.workspace,
                table=node.schema.name,
                columns=node.read_columns(),
                min_ticks=node.min_ticks,
                max_ticks=node.max_ticks,
                needles=tuple(dict.fromkeys(node.needles)),
                newest=node.newest,
                ingestion_time=node.ingestion_time,
            )
            for node in self._scans
        ]
