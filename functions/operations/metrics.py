"""The timer that writes the bundle's own measurements into its system workspace."""

import logging

import azure.functions as func

from shared.bootstrap import services

log = logging.getLogger(__name__)
bp = func.Blueprint()


@bp.function_name("operations_metrics_tick")
@bp.timer_trigger("timer", schedule="45 * * * * *")
def tick(timer: func.TimerRequest) -> None:
    """Measure, and write what was measured."""
    log.info("measured", extra={"records": services().measures.write(), "late": timer.past_due})
