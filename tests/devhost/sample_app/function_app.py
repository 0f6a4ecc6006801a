"""A function app that tells what its host does to it: it writes each call as a line of JSON to the file SAMPLE_LOG."""

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def record(kind: str, **what: Any) -> None:
    line = json.dumps({"kind": kind, "pid": os.getpid(), "thread": threading.current_thread().name, **what})
    with Path(os.environ["SAMPLE_LOG"]).open("a") as file:
        file.write(line + "\n")


def told(req: func.HttpRequest, name: str) -> func.HttpResponse:
    answer: dict[str, Any] = {
        "function": name,
        "method": req.method,
        "url": req.url,
        "headers": dict(req.headers),
        "params": dict(req.params),
        "route": dict(req.route_params),
        "body": req.get_body().decode("latin-1"),
    }
    return func.HttpResponse(json.dumps(answer), mimetype="application/json", headers={"x-function": name})


@app.function_name("echo")
@app.route("echo/{*rest}")
def echo(req: func.HttpRequest) -> func.HttpResponse:
    return told(req, "echo")


@app.function_name("logs")
@app.route("api/logs", methods=["POST"])
def logs(req: func.HttpRequest) -> func.HttpResponse:
    return told(req, "logs")


@app.function_name("item_number")
@app.route("items/{id:int}", methods=["GET"])
def item_number(req: func.HttpRequest) -> func.HttpResponse:
    return told(req, "item_number")


@app.function_name("item_name")
@app.route("items/{name}", methods=["GET"])
def item_name(req: func.HttpRequest) -> func.HttpResponse:
    return told(req, "item_name")


@app.function_name("item_special")
@app.route("items/special", methods=["GET"])
def item_special(req: func.HttpRequest) -> func.HttpResponse:
    return told(req, "item_special")


@app.function_name("item_put")
@app.route("items/{name}", methods=["PUT"])
def item_put(req: func.HttpRequest) -> func.HttpResponse:
    return told(req, "item_put")


@app.function_name("keyed")
@app.route("keyed", auth_level=func.AuthLevel.FUNCTION)
def keyed(req: func.HttpRequest) -> func.HttpResponse:
    return told(req, "keyed")


@app.function_name("administered")
@app.route("administered", auth_level=func.AuthLevel.ADMIN)
def administered(req: func.HttpRequest) -> func.HttpResponse:
    return told(req, "administered")


@app.function_name("asynchronous")
@app.route("asynchronous")
async def asynchronous(req: func.HttpRequest) -> func.HttpResponse:
    return told(req, "asynchronous")


@app.function_name("breaks")
@app.route("breaks")
def breaks(req: func.HttpRequest) -> func.HttpResponse:
    raise ValueError(f"secret reason of {req.method}")


@app.function_name("cookies")
@app.route("cookies")
def cookies(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse(f"{req.method} bytes \xff".encode("latin-1"), status_code=201)
    response.headers.add("Set-Cookie", "a=1; HttpOnly; Path=/")
    response.headers.add("Set-Cookie", "b=2; SameSite=Strict")
    return response


@app.function_name("setting")
@app.route("setting")
def setting(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(os.environ.get(req.params["name"], ""))


@app.function_name("slow")
@app.route("slow")
def slow(req: func.HttpRequest) -> func.HttpResponse:
    record("slow begins")
    time.sleep(float(req.params.get("seconds", "1")))
    record("slow ends")
    return func.HttpResponse("slow")


# The library leaves the types of this decorator's further arguments open.
queue_trigger: Any = app.queue_trigger  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  see above


@app.function_name("work")
@queue_trigger("msg", queue_name="%SAMPLE_QUEUE%", connection="OMS_STORAGE")
def work(msg: func.QueueMessage) -> None:
    body = msg.get_body().decode()
    record(
        "work",
        body=body,
        dequeues=msg.dequeue_count,
        id=msg.id,
        inserted=msg.insertion_time.isoformat() if msg.insertion_time else None,
        receipt=bool(msg.pop_receipt),
    )
    order = json.loads(body)
    if order.get("fail", 0) >= (msg.dequeue_count or 0):
        raise RuntimeError("told to fail")
    time.sleep(order.get("seconds", 0))
    record("work done", body=body)


@app.function_name("each_second")
@app.timer_trigger("timer", schedule="* * * * * *")
def each_second(timer: func.TimerRequest) -> None:
    record("each_second", late=timer.past_due, at=time.time())


@app.function_name("yearly")
@app.timer_trigger("timer", schedule="0 0 0 1 1 *")
def yearly(timer: func.TimerRequest) -> None:
    record("yearly", late=timer.past_due)


@app.function_name("at_startup")
@app.timer_trigger("timer", schedule="0 0 0 1 1 *", run_on_startup=True, use_monitor=False)
@app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:00")
def at_startup(timer: func.TimerRequest, context: func.Context) -> None:
    record("at_startup", late=timer.past_due, attempt=context.retry_context.retry_count)
    if context.retry_context.retry_count < 2:
        raise RuntimeError("told to fail twice")


@app.function_name("bootstrap")
@app.route("operations/bootstrap", methods=["POST"])
def bootstrap(req: func.HttpRequest) -> func.HttpResponse:
    headers: dict[str, str] = dict(req.headers)
    if headers.get("x-oms-bootstrap") != os.environ["OMS_BOOTSTRAP_SECRET"]:
        return func.HttpResponse(status_code=401)
    names = "tenantId subscriptionId resourceGroup location workspaceName workspaceId workspaceKey dataCollectionRule token"
    return func.HttpResponse(
        json.dumps({name: f"the {name}" for name in names.split()} | {"portalUrl": "/signin?token=once"}),
        mimetype="application/json",
    )


@app.function_name("die")
@app.route("die", methods=["POST"])
def die(req: func.HttpRequest) -> func.HttpResponse:
    sys.stderr.write("told to die\n")
    os._exit(int(req.params.get("code", "3")))
