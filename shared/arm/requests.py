"""A management request and its answer as values: what the HTTP function hands in, and what it sends back."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from shared.identity.model import Principal
from shared.kernel.errors import OmsError

API_VERSION: Final = re.compile(r"\d{4}-\d\d-\d\d(-(preview|alpha|beta|privatepreview))?", re.IGNORECASE)


class InvalidRequestContent(OmsError):
    code = "InvalidRequestContent"


class MissingApiVersionParameter(OmsError):
    code = "MissingApiVersionParameter"


class InvalidApiVersionParameter(OmsError):
    code = "InvalidApiVersionParameter"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmRequest:
    """`path` is decoded and has no query. Names in `query` and `headers` are lower case. `origin` is scheme and host."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    principal: Principal
    origin: str
    correlation_id: str
    caller_ip: str = ""

    def json(self) -> dict[str, Any]:
        """The body, an object. InvalidRequestContent."""
        try:
            data: object = json.loads(self.body)
        except ValueError as wrong:
            raise InvalidRequestContent(f"The request content was invalid JSON: {wrong}") from None
        except RecursionError:
            raise InvalidRequestContent("The request content is JSON of too great a depth.") from None
        if not isinstance(data, dict):
            raise InvalidRequestContent("The request content must be a JSON object.")
        return cast("dict[str, Any]", data)

    def check_api_version(self) -> str:
        """Any well-formed version is accepted: clients mix several within one provider."""
        version = self.query.get("api-version")
        if not version:
            raise MissingApiVersionParameter(
                "The api-version query parameter (?api-version=) is required for all requests."
            )
        if API_VERSION.fullmatch(version) is None:
            raise InvalidApiVersionParameter(f"The api-version '{version[:40]}' is invalid.")
        return version


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmResponse:
    """`body` None sends none."""

    status: int
    body: Mapping[str, Any] | list[Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
