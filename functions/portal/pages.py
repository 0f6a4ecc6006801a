"""HTTP functions of the portal's pages."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import wraps
from typing import cast
from urllib.parse import parse_qs, quote

import azure.functions as func
import orjson

from functions.portal.session import redirect
from shared.bootstrap import services
from shared.http.authorize import CSRF_HEADER, check_csrf, header_of, session_of
from shared.http.errors import http_errors
from shared.http.portal import views
from shared.http.portal.page import Page
from shared.http.portal.queries import PageQueries
from shared.http.responses import respond
from shared.identity.model import AuthenticationFailed
from shared.identity.sign_in import Session
from shared.jobs.desk import JobQuery
from shared.jobs.model import Scope
from shared.kernel.errors import OmsError
from shared.kernel.health import examine
from shared.kernel.ticks import ticks_of
from shared.loganalytics.queries.scope import PathNotFound

bp = func.Blueprint()

READ = "Microsoft.OperationalInsights/workspaces/read"

Render = Callable[[func.HttpRequest, Page], func.HttpResponse]


def signed_in(render: Render) -> Callable[[func.HttpRequest], func.HttpResponse]:
    """Open the page for whoever is signed in; send anybody else to the sign-in page, and back here after it."""

    @wraps(render)
    @http_errors
    def handle(req: func.HttpRequest) -> func.HttpResponse:
        session = session_of(req, services().identity)
        if session is None:
            path = "/" + req.url.split("://", 1)[-1].partition("/")[2]
            return redirect("/signin?to=" + quote(path))
        params = cast("Mapping[str, str]", req.params)
        return render(req, open_page(session, params.get("workspace", "")))

    # The worker reads a handler's parameters by name: it must see this one's, not the page's.
    del handle.__wrapped__
    return handle


def for_script(
    answer: Callable[[func.HttpRequest, Page], func.HttpResponse],
) -> Callable[[func.HttpRequest], func.HttpResponse]:
    """Answer the page's own script: 401 without a session (a redirect would be followed), and the CSRF token with a POST."""

    @wraps(answer)
    @http_errors
    def handle(req: func.HttpRequest) -> func.HttpResponse:
        session = session_of(req, services().identity)
        if session is None:
            raise AuthenticationFailed("the session has ended: sign in again")
        if req.method != "GET":
            check_csrf(session, header_of(req, CSRF_HEADER))
        return answer(req, open_page(session, cast("Mapping[str, str]", req.params).get("workspace", "")))

    # The worker reads a handler's parameters by name: it must see this one's.
    del handle.__wrapped__
    return handle


def open_page(session: Session, named: str) -> Page:
    """The page's workspace is the one named, else the first that the person may read. PathNotFound where there is none."""
    find = services().finder(session.principal)
    readable = services().query_access.readable(session.principal)
    customer_id = find(named) if named else next((each.customer_id for each in readable), None)
    if customer_id is None:
        raise PathNotFound("there is no workspace that you may read yet")
    queries = PageQueries(
        queries=services().queries, find=find, workspace=customer_id, principal=session.principal
    )
    return Page(
        session=session,
        workspace=services().workspaces.by_customer_id(customer_id),
        workspaces=readable,
        queries=queries,
        identity=services().identity,
        pages=services().pages,
    )


@bp.function_name("portal_home_show")
@bp.route("{nothing:maxlength(0)?}", methods=["GET"])
@http_errors
def home(req: func.HttpRequest) -> func.HttpResponse:
    """The root of the site."""
    known = session_of(req, services().identity) is not None
    return redirect("/overview" if known else "/signin")


@bp.function_name("portal_getstarted_show")
@bp.route("get-started", methods=["GET", "POST"])
@signed_in
def get_started(req: func.HttpRequest, page: Page) -> func.HttpResponse:
    """The four ticks of the first run; a POST makes the line for another machine."""
    line = ""
    if req.method == "POST":
        form: dict[str, list[str]] = parse_qs(req.get_body().decode(errors="replace"))
        check_csrf(page.session, form.get("csrf", [""])[0])
        page.allow("Microsoft.OperationalInsights/workspaces/sharedKeys/action")
        token = services().agents.invite(page.workspace.customer_id)
        line = f"oms-agent join --endpoint {services().settings.base_url} --token {token}"
    perf = "Perf | where ObjectName == 'Processor' and InstanceName == '_Total' and CounterName == '% Processor Time'"
    return page.show(
        "get_started",
        here="/get-started",
        ticks=views.ticks(page.queries),
        line=line,
        cpu_query=perf
        + "\n| summarize avg(CounterValue) by bin(TimeGenerated, 10s), Computer\n| render timechart",
        syslog_query="Syslog\n| top 50 by TimeGenerated",
        heartbeat_query="Heartbeat\n| summarize max(TimeGenerated) by Computer",
    )


@bp.function_name("portal_getstarted_follow")
@bp.route("portal/api/ticks", methods=["GET"])
@for_script
def follow_ticks(req: func.HttpRequest, page: Page) -> func.HttpResponse:
    """The ticks as data, for the page that is open."""
    return respond(views.as_json(views.ticks(page.queries)))


@bp.function_name("portal_overview_show")
@bp.route("overview", methods=["GET"])
@signed_in
def overview(req: func.HttpRequest, page: Page) -> func.HttpResponse:
    """What came in, and how the bundle is."""
    problem, volume, tiles = "", [], []
    try:
        since = ticks_of(services().clock.now() - timedelta(days=1))
        usage = services().log_store.usage(page.workspace.customer_id, since=since)
        volume = list(views.volumes(usage))
        now = services().clock.now()
        tiles = list(views.tiles(page.queries, volume, views.hourly(usage, now), now))
    except OmsError as error:
        problem = views.problem_of(error)
    found = examine(services().health_checks())["checks"]
    health = [
        (name, {"state": part.pop("state"), "reason": part.pop("reason", ""), "facts": views.facts_of(part)})
        for name, part in found.items()
    ]
    return page.show(
        "overview", here="/overview", volumes=volume, tiles=tiles, health=health, problem=problem
    )


@bp.function_name("portal_agents_show")
@bp.route("agents", methods=["GET"])
@signed_in
def agents(req: func.HttpRequest, page: Page) -> func.HttpResponse:
    """The fleet."""
    problem, fleet = "", []
    try:
        fleet = list(views.agents(page.queries, services().clock.now()))
    except OmsError as error:
        problem = views.problem_of(error)
    configuration = services().agents.configuration(page.workspace.customer_id)
    return page.show(
        "agents",
        here="/agents",
        agents=fleet,
        problem=problem,
        own=not configuration.keys() - {"version", "dataCollectionRule"},
        configuration=orjson.dumps(configuration, option=orjson.OPT_INDENT_2).decode(),
    )


@bp.function_name("portal_jobs_show")
@bp.route("jobs", methods=["GET"])
@signed_in
def jobs(req: func.HttpRequest, page: Page) -> func.HttpResponse:
    """The suite's own jobs."""
    page.allow(READ)
    asked = JobQuery() if page.may_everywhere(READ) else JobQuery(scope=Scope(page.workspace.customer_id))
    return page.show(
        "jobs", here="/jobs", jobs=[views.job_row(job) for job in services().job_desk.list(asked)[0]]
    )


@bp.function_name("portal_poison_show")
@bp.route("poison", methods=["GET", "POST"])
@signed_in
def poison(req: func.HttpRequest, page: Page) -> func.HttpResponse:
    """Messages set aside, and the way back to work. The queues are all workspaces', so a role on one is not enough."""
    page.allow_everywhere(READ)
    done = ""
    if req.method == "POST":
        form: dict[str, list[str]] = parse_qs(req.get_body().decode(errors="replace"))
        check_csrf(page.session, form.get("csrf", [""])[0])
        page.allow_everywhere("Microsoft.OperationalInsights/workspaces/write")
        queue = form.get("queue", [""])[0]
        done = f"{services().poison.replay(queue)} messages of {queue} are back at work"
    return page.show(
        "poison",
        here="/poison",
        messages=[m for each in services().poison.list() for m in services().poison.peek(each.queue)],
        done=done,
    )
