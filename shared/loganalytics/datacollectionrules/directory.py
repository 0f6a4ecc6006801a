"""Data collection rules as ingestion asks for them."""

from dataclasses import dataclass

from shared.loganalytics.datacollectionrules.model import RuleNotFound
from shared.loganalytics.datacollectionrules.service import DataCollectionRules
from shared.loganalytics.ingestion.ports import RuleDocument


@dataclass(frozen=True, slots=True)
class StoredRules:
    """Implements `RuleDirectory` over the rules of the management API."""

    rules: DataCollectionRules

    def by_immutable_id(self, immutable_id: str) -> RuleDocument | None:
        try:
            rule = self.rules.by_immutable_id(immutable_id)
        except RuleNotFound:
            return None
        return RuleDocument(
            immutable_id=rule.immutable_id,
            resource_id=rule.resource_id,
            properties=rule.properties,
            default_for=rule.default_for,
        )
