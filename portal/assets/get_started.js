// The four ticks of "Get started" fill while the page is open.
import { call, workspace } from "/assets/page.js";

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function follow() {
  for (;;) {
    try {
      const { ticks } = await call(`/portal/api/ticks?workspace=${workspace}`);
      for (const tick of ticks) {
        const item = document.querySelector(`#tick-${tick.name}`);
        item.classList.toggle("done", tick.done);
        item.querySelector(".detail").textContent = tick.detail;
        const state = item.querySelector(".state");
        state.textContent = tick.done ? "done" : "waiting";
        state.classList.toggle("ok", tick.done);
        if (tick.done) item.querySelector(".mark").textContent = "✓";
      }
      if (ticks.every((tick) => tick.done)) return;
    } catch (failure) {
      if (failure.status === 401) return location.assign("/signin");
    }
    await pause(1000);
  }
}

follow();
