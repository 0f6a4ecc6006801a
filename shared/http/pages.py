"""The portal's pages: Jinja templates under a strict content security policy, one nonce a page."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import azure.functions as func
import jinja2

from shared.http.assets import Assets

_HEADERS: Final = {
    "Cache-Control": "no-cache",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def policy(nonce: str) -> str:
    """Scripts and styles only from here; the editor's own style element carries the nonce. No inline handler runs."""
    return (
        "default-src 'none'; "
        f"script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


@dataclass(frozen=True)
class Pages:
    """Renders `templates/<name>.html`. Text is escaped, an unknown variable is an error."""

    folder: Path
    assets: Assets

    @cached_property
    def environment(self) -> jinja2.Environment:
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(self.folder),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.globals["asset"] = self.assets.url  # pyright: ignore[reportArgumentType] - jinja types its globals narrowly
        return environment

    def page(
        self,
        name: str,
        values: Mapping[str, Any],
        *,
        status: HTTPStatus = HTTPStatus.OK,
        headers: Mapping[str, str] | None = None,
    ) -> func.HttpResponse:
        nonce = secrets.token_urlsafe(16)
        text = self.environment.get_template(f"{name}.html").render(nonce=nonce, **values)
        return func.HttpResponse(
            text,
            status_code=status.value,
            mimetype="text/html",
            charset="utf-8",
            headers={**_HEADERS, "Content-Security-Policy": policy(nonce), **(headers or {})},
        )
