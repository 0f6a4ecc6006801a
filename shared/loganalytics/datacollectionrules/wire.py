"""A data collection rule's properties as clients send them: what is checked before it is stored."""

from typing import Self

from pydantic import Field, model_validator

from shared.arm.wire import Wire


class StreamColumnWire(Wire):
    name: str = Field(min_length=1)
    type: str = Field(min_length=1)


class StreamWire(Wire):
    columns: list[StreamColumnWire] | None = None


class LogAnalyticsWire(Wire):
    name: str = Field(min_length=1)
    workspace_resource_id: str | None = None
    workspace_id: str | None = None


class DestinationsWire(Wire):
    log_analytics: list[LogAnalyticsWire] | None = None


class FlowWire(Wire):
    streams: list[str] | None = None
    destinations: list[str] | None = None
    transform_kql: str | None = None
    output_stream: str | None = None


class RuleWire(Wire):
    description: str | None = None
    data_collection_endpoint_id: str | None = None
    stream_declarations: dict[str, StreamWire] | None = None
    destinations: DestinationsWire | None = None
    data_flows: list[FlowWire] | None = None

    @model_validator(mode="after")
    def flows_lead_somewhere(self) -> Self:
        known = {each.name for each in (self.destinations and self.destinations.log_analytics) or ()}
        for flow in self.data_flows or ():
            if not flow.streams:
                raise ValueError("a data flow names its streams")
            for stream in flow.streams:
                if not stream.startswith(("Custom-", "Microsoft-")):
                    raise ValueError(f"the stream '{stream}' begins with neither Custom- nor Microsoft-")
            for name in flow.destinations or ():
                if self.destinations is not None and name not in known:
                    raise ValueError(f"the data flow's destination '{name}' is no Log Analytics destination")
        for stream in self.stream_declarations or ():
            if not stream.startswith("Custom-"):
                raise ValueError(f"only Custom- streams are declared, and '{stream}' is not one")
        return self
