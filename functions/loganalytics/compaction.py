"""Timers of the log store: they start the jobs that compact, merge, retain and sweep."""

import logging

import azure.functions as func

from shared.bootstrap import services

log = logging.getLogger(__name__)
bp = func.Blueprint()


@bp.function_name("loganalytics_compaction_tick")
@bp.timer_trigger("timer", schedule="15 * * * * *")
def compact(timer: func.TimerRequest) -> None:
    """Start compaction where records wait for it."""
    started = services().start_compactions()
    log.info("compaction ticked", extra={"started": started, "late": timer.past_due})


@bp.function_name("loganalytics_sweep_tick")
@bp.timer_trigger("timer", schedule="0 7 * * * *")
def sweep(timer: func.TimerRequest) -> None:
    """Start the sweep of every workspace."""
    started = services().start_sweeps()
    log.info("sweep ticked", extra={"started": started, "late": timer.past_due})
