"""Deleting a resource and all below it: a tombstone first, then children before parents, resumable at any point."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shared.arm.registry import Registry
from shared.arm.resource_ids import ResourceId
from shared.arm.resources import Resource, ResourceNotFound
from shared.arm.store import ResourceStore
from shared.kernel.clock import Clock

BUDGET_SECONDS: Final = 20.0
SWEEP_AGE: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletions:
    """A buried resource is invisible at once. What a crash or the budget leaves is taken up by `sweep`."""

    resources: ResourceStore
    registry: Registry
    clock: Clock

    def start(self, resource: Resource, *, exactly: bool = False, budget: float = BUDGET_SECONDS) -> bool:
        """Bury it, then delete as far as the budget goes; whether all is gone. ResourceNotFound.

        With `exactly`, PreconditionFailed if somebody wrote since it was read.
        """
        return self.resume(self.resources.bury(resource, exactly=exactly), budget=budget)

    def resume(self, resource: Resource, *, budget: float = BUDGET_SECONDS) -> bool:
        """Go on with a buried resource; whether all is gone now. May run twice at once: hooks are idempotent."""
        until = self.clock.monotonic() + budget
        for each in self._leaves_first(resource):
            self._remove(each)
            if self.clock.monotonic() > until:
                return False
        self._remove(resource)
        return True

    def sweep(self, *, budget: float = BUDGET_SECONDS) -> int:
        """Finish deletions that were begun some time ago and not ended; how many are done now."""
        until, done = self.clock.monotonic() + budget, 0
        for resource, since in list(self.resources.buried()):
            if self.clock.now() - since < SWEEP_AGE:
                continue
            left = until - self.clock.monotonic()
            if left <= 0:
                break
            done += self.resume(resource, budget=left)
        return done

    def pending(self, resource_id: ResourceId) -> Resource | None:
        """The resource under its tombstone, while its deletion goes on."""
        for resource, _ in self.resources.buried(resource_id.subscription):
            if resource.id.same(resource_id):
                return resource
        return None

    def _leaves_first(self, resource: Resource) -> Iterator[Resource]:
        below = (
            self.resources.under(resource.id.subscription, resource.id.name, buried=True)
            if resource.id.is_group
            else self.resources.children(resource.id)
        )
        found = [each for each in below if not each.id.same(resource.id)]
        # Hidden before the first of them goes, so that nobody sees half a group. Children are hidden with their parents.
        for each in found:
            if len(each.id.types) == 1:
                with suppress(ResourceNotFound):
                    self.resources.bury(each)
        return iter(sorted(found, key=lambda each: -len(each.id.types)))

    def _remove(self, resource: Resource) -> None:
        declared = self.registry.known(resource.id)
        if declared is not None:
            declared.hooks.deleted(resource)
        self.resources.remove(resource.id)
