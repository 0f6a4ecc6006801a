"""The bundle's table of contents: every blueprint, registered."""

import azure.functions as func

from functions.loganalytics import compaction, ingestion, queries
from functions.management import arm, clients, tokens
from functions.operations import agents, first_start, health, jobs, metrics, poison
from functions.portal import logs, pages, session

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

for module in (
    compaction,
    ingestion,
    queries,
    arm,
    clients,
    tokens,
    agents,
    first_start,
    health,
    jobs,
    metrics,
    poison,
    pages,
    logs,
    session,
):
    app.register_functions(module.bp)
