"""HTTP functions of the portal's door: assets, sign-in, sign-out."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import cast
from urllib.parse import parse_qs

import azure.functions as func

from shared.bootstrap import services
from shared.http.authorize import check_csrf, header_of, session_of
from shared.http.errors import http_errors
from shared.identity.model import AuthenticationFailed
from shared.identity.sign_in import clear_cookie

bp = func.Blueprint()

MAX_FORM_BYTES = 16 * 1024
"""More than the sign-in form ever holds; strangers may post to it."""


@bp.function_name("portal_asset_get")
@bp.route("assets/{release}/{*name}", methods=["GET"])
@http_errors
def asset(req: func.HttpRequest) -> func.HttpResponse:
    """A static file. Its URL holds a hash of its content, so it may be kept for ever."""
    found = services().assets.load(req.route_params.get("name", ""))
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept-Encoding",
    }
    if "gzip" in header_of(req, "Accept-Encoding"):
        return func.HttpResponse(
            found.compressed, mimetype=found.mimetype, headers={**headers, "Content-Encoding": "gzip"}
        )
    return func.HttpResponse(found.data, mimetype=found.mimetype, headers=headers)


@bp.function_name("portal_session_ask")
@bp.route("signin", methods=["GET"])
@http_errors
def ask(req: func.HttpRequest) -> func.HttpResponse:
    """The page behind a sign-in link. Opening it spends nothing: only its button does, so a link preview cannot."""
    params = cast("Mapping[str, str]", req.params)
    return services().pages.page(
        "signin", {"token": params.get("token", ""), "to": local_path(params.get("to", "")), "problem": ""}
    )


@bp.function_name("portal_session_start")
@bp.route("signin", methods=["POST"])
@http_errors
def start(req: func.HttpRequest) -> func.HttpResponse:
    """Turn a one-time token into a session."""
    form = parse_qs(req.get_body()[:MAX_FORM_BYTES].decode(errors="replace"))
    try:
        session = services().identity.sign_in(form.get("token", [""])[0])
    except AuthenticationFailed as refused:
        return services().pages.page(
            "signin", {"token": "", "to": "", "problem": refused.message}, status=HTTPStatus.UNAUTHORIZED
        )
    cookie = session.set_cookie(secure=services().identity.secure_cookies)
    return redirect(local_path(form.get("to", [""])[0]), {"Set-Cookie": cookie})


@bp.function_name("portal_session_end")
@bp.route("signout", methods=["POST"])
@http_errors
def end(req: func.HttpRequest) -> func.HttpResponse:
    """Forget the session."""
    session = session_of(req, services().identity)
    if session is not None:
        check_csrf(session, parse_qs(req.get_body().decode(errors="replace")).get("csrf", [""])[0])
    return redirect("/signin", {"Set-Cookie": clear_cookie()})


def redirect(to: str, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    return func.HttpResponse(
        b"",
        status_code=HTTPStatus.SEE_OTHER.value,
        headers={"Location": to, "Cache-Control": "no-store", **(headers or {})},
    )


def local_path(text: str) -> str:
    """Where to go after signing in: a path here, never another site."""
    # Browsers drop tabs and line ends from addresses, so that `/<tab>/elsewhere` would be another site's.
    clean = text.startswith("/") and not text.startswith("//") and "\\" not in text and text.isprintable()
    return text if clean else "/get-started"
