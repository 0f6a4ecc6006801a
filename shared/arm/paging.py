"""Pages of a listing: a `nextLink` whose continuation is signed, so that it continues just this listing."""

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from shared.arm.requests import ArmRequest
from shared.kernel.errors import OmsError

PAGE_SIZE: Final = 200
MAX_PAGE_SIZE: Final = 1000


class InvalidSkipToken(OmsError):
    code = "InvalidSkipToken"


class InvalidTop(OmsError):
    code = "InvalidTopQueryParameter"


@dataclass(frozen=True, slots=True)
class Continuations:
    """Signs with a key of the bundle's own: a caller cannot make one up, or move one to another listing or caller."""

    key: bytes

    def sign(self, request: ArmRequest, after: str) -> str:
        digest = self._digest(request, after)
        return base64.urlsafe_b64encode(digest + after.encode()).decode().rstrip("=")

    def read(self, request: ArmRequest) -> str | None:
        """Where this page begins; None: at the start. InvalidSkipToken."""
        token = request.query.get("$skiptoken")
        if not token:
            return None
        try:
            data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
            digest, after = data[:32], data[32:].decode()
        except (binascii.Error, ValueError):
            raise InvalidSkipToken("The $skipToken is invalid.", target="$skipToken") from None
        if not hmac.compare_digest(digest, self._digest(request, after)):
            raise InvalidSkipToken("The $skipToken is invalid.", target="$skipToken")
        return after

    def next_link(self, request: ArmRequest, after: str | None) -> Mapping[str, str]:
        """`{"nextLink": …}`, or nothing on the last page."""
        if after is None:
            return {}
        spelled = {"$skiptoken": "$skipToken", "$filter": "$filter", "$top": "$top"}
        query = {
            spelled.get(name, name): value for name, value in request.query.items() if name != "$skiptoken"
        } | {"$skipToken": self.sign(request, after)}
        return {"nextLink": f"{request.origin}{quote(request.path)}?{urlencode(query, safe='$')}"}

    def _digest(self, request: ArmRequest, after: str) -> bytes:
        bound = "\n".join(
            (request.path.lower(), request.query.get("$filter", ""), request.principal.object_id, after)
        )
        return hmac.digest(self.key, bound.encode(), "sha256")


def page_size(request: ArmRequest) -> int:
    """`$top`, within bounds. InvalidTop."""
    top = request.query.get("$top")
    if not top:
        return PAGE_SIZE
    if not top.isascii() or not top.isdigit() or int(top) < 1:
        raise InvalidTop("The $top query parameter is a positive number.", target="$top")
    return min(int(top), MAX_PAGE_SIZE)
