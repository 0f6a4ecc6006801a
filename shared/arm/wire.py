"""The base of every wire model: camelCase outside, snake_case inside, unknown fields ignored."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Wire(BaseModel):
    """Untrusted data that arrives, or data that leaves. Field names follow Microsoft's in camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")
