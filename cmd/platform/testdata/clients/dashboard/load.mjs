// A live console at 1,000 events a second, used by a person meanwhile: how long
// after each input the page is painted, what keeps it busy, and what it holds.
import assert from "node:assert/strict";
import { config, eventually, server, test } from "../lib.mjs";
import { button, field, openWindow } from "./pages.mjs";

const { app, seconds } = config.load;
const rate = 1000; // events a second
const batch = 10; // events of one call
const every = 50; // milliseconds between two rounds of calls

/** Publisher publishes at the rate, in batches, until it is stopped. */
class Publisher {
  #sent = 0;
  #made = 0;
  #failed = [];
  #backend = server(app);
  #begun = performance.now();
  #timer = setInterval(() => this.#round(), every);

  #round() {
    const due = ((performance.now() - this.#begun) / 1000) * rate;
    for (; this.#made + batch <= due; this.#made += batch) {
      const events = Array.from({ length: batch }, (_, i) => ({
        channel: `orders-${i % 5}`, name: "price.changed",
        data: { order: this.#made + i, price: 12.5, currency: "EUR", note: "what an event of an application looks like" },
      }));
      this.#backend.triggerBatch(events).then(() => (this.#sent += batch), (error) => this.#failed.push(error));
    }
  }

  /** stop returns how many events a second were taken. */
  stop() {
    clearInterval(this.#timer);
    assert.deepEqual(this.#failed, []);
    return this.#sent / ((performance.now() - this.#begun) / 1000);
  }
}

/** meter is put into the page: it notes what a person would feel, from the last reset on. */
function meter() {
  const m = (window.meter = {});
  m.reset = () => Object.assign(m, { begun: performance.now(), busy: [], waits: [], frames: 0, rows: 0 });
  m.reset();
  new PerformanceObserver((list) => m.busy.push(...list.getEntries().map((e) => e.duration))).observe({ type: "longtask" });
  const painted = (e) => requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel(); // a task after the frame that shows what the input did
    port1.onmessage = () => m.waits.push(performance.now() - e.timeStamp);
    port2.postMessage(undefined);
  });
  for (const type of ["click", "keydown"]) addEventListener(type, painted, true);
  const frame = () => {
    m.frames += 1;
    m.rows = Math.max(m.rows, document.querySelectorAll(".cn-row").length);
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

/** use does what a person does with a console. */
async function use(page) {
  const search = field(page, "Search");
  await search.click();
  await page.keyboard.type("orders-3", { delay: 80 });
  for (let i = 0; i < 8; i++) await page.keyboard.press("Backspace", { delay: 40 });
  for (const name of ["Refusals only", "Refusals only", "Pause", "Resume"]) await button(page, name).click({ delay: 40 });
}

const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];
const ms = (n) => `${n.toFixed(0)} ms`;
const mb = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

/** felt uses the page for as long as was asked and prints how that felt. */
async function felt(page, on) {
  await page.evaluate(() => window.meter.reset());
  const end = performance.now() + seconds * 1000;
  do await use(page); while (performance.now() < end);
  const m = await page.evaluate(() => ({ ...window.meter, took: (performance.now() - window.meter.begun) / 1000 }));
  assert.ok(m.rows > 0 && m.rows < 100, `${m.rows} rows in the page`);
  assert.ok(m.waits.length > 10, `${m.waits.length} inputs`);
  const waits = m.waits.toSorted((a, b) => a - b);
  console.log(`# ${on}, ${m.took.toFixed(0)} s, ${waits.length} clicks and keys`);
  console.log(`#   input to next paint: p50 ${ms(quantile(waits, 0.5))}, p95 ${ms(quantile(waits, 0.95))}, p99 ${ms(quantile(waits, 0.99))}, most ${ms(waits.at(-1))}`);
  console.log(`#   long tasks: ${m.busy.length}, ${ms(m.busy.reduce((sum, d) => sum + d, 0))} in all, the longest ${ms(Math.max(0, ...m.busy))}; ${(m.frames / m.took).toFixed(0)} frames/s; at most ${m.rows} rows in the page`);
}

await test(`a console at ${rate} events a second`, async () => {
  const { page, context, problems } = await openWindow();
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.goto(config.signIn);
  await button(page, "Sign in").click();
  await page.getByRole("heading", { name: "Apps", exact: true }).waitFor();
  await page.goto(`${config.api}/dashboard/apps/${app.id}/console`);
  await page.getByRole("status").getByText("live").waitFor();
  const devtools = await context.newCDPSession(page);
  const heap = async () => {
    await devtools.send("HeapProfiler.collectGarbage");
    return (await devtools.send("Runtime.getHeapUsage")).usedSize;
  };

  const empty = await heap();
  const publisher = new Publisher();
  await page.getByText("the last 5,000 are kept").waitFor();
  const full = await heap();
  await page.evaluate(meter);
  await felt(page, "as fast as this machine is");
  await devtools.send("Emulation.setCPUThrottlingRate", { rate: 4 });
  await felt(page, "slowed to a quarter");
  await devtools.send("Emulation.setCPUThrottlingRate", { rate: 1 });
  const published = publisher.stop();
  const left = await page.locator(".cn-skipped").allTextContents();
  console.log(`# ${published.toFixed(0)} events/s published; ${left.length === 0 ? "all were shown" : left.join()}`);
  console.log(`# heap: ${mb(empty)} with an empty list, ${mb(full)} with 5,000 entries, ${mb(await heap())} at the end`);
  await eventually(() => page.locator(".cn-row").first().getByText("published").count(), Boolean, "rows of events");
  assert.deepEqual(problems, []);
}, 240_000 + 2 * seconds * 1000);
