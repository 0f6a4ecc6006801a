"""A hook around every operation of the in-memory storage, so that a simulation can fail or crash just before or after it."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

Phase = Literal["before", "after"]


class Gate(Protocol):
    """Called outside the storage's lock with the phase, the operation (`blobs.put`) and what it is about (`container/name`).

    Raising "before" means the operation did not happen, raising "after" that it did and its answer was lost.
    An operation that fails by itself has no "after".
    """

    def __call__(self, phase: Phase, operation: str, key: str) -> None: ...


def open_gate(phase: Phase, operation: str, key: str) -> None:
    """The gate that lets everything pass."""


@dataclass(frozen=True, slots=True)
class Gated:
    gate: Gate

    @contextmanager
    def passing(self, operation: str, key: str) -> Generator[None]:
        self.gate("before", operation, key)
        yield
        self.gate("after", operation, key)
