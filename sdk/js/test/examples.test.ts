// The six examples in a real browser, two or more pages each, on two nodes.
import { mkdir } from "node:fs/promises";
import { connect as dial } from "node:net";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { serveExamples } from "../examples/app.mjs";
import { launch } from "./browser.js";
import { Network } from "./network.js";
import { platform, type Platform } from "./platform.js";

const soon = { timeout: 15_000, interval: 50 };
const shots = process.env.SHOTS; // a folder for pictures to look at

let real: Platform;
let spare: Awaited<ReturnType<Platform["node"]>>;
let network: Network;
let pages: Awaited<ReturnType<typeof serveExamples>>;
let browser: Browser;

beforeAll(async () => {
  const redis = process.env.TEST_REDIS_URL;
  if (!redis) throw new Error("TEST_REDIS_URL is not set: run `make test-js`");
  await wipeRedis(); // a Redis belongs to one database: an earlier run's
  const together = ["--redis-url", redis, "--node-lease", "2s"];
  real = await platform(...together);
  spare = await real.node(...together);
  network = new Network();
  network.target = real.port;
  // Backends reach the second node, which lives on; browsers come through the network to the first.
  pages = await serveExamples({ url: spare.url, publicUrl: await network.listen(), port: 0 });
  browser = await launch();
  if (shots) await mkdir(shots, { recursive: true });
}, 90_000);

afterAll(async () => {
  await browser?.close();
  await pages?.close();
  network?.close();
  await real?.stop();
});

async function open(path: string): Promise<Page> {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  await page.goto(`${pages.url}/${path}`);
  return page;
}

const connected = (page: Page) => page.locator(".status.connected").waitFor();
const texts = (page: Page) => page.locator('[aria-label="Messages"] li span').allTextContents();
const say = async (page: Page, label: string, text: string) => {
  await page.getByLabel(label).fill(text);
  await page.getByRole("button", { name: "Send" }).click();
};

/** Pictures in light and dark, on a desktop and a phone. */
async function picture(page: Page, name: string): Promise<void> {
  if (!shots) return;
  for (const colorScheme of ["light", "dark"] as const) {
    for (const [device, width, height] of [["desktop", 1100, 720], ["phone", 390, 760]] as const) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height });
      await page.screenshot({ path: join(shots, `${name}-${colorScheme}-${device}.png`) });
    }
  }
}

describe("examples", () => {
  it("prices: 20 updates a second and more; a late joiner sees the last price before the next tick", async () => {
    const page = await open("prices/");
    await connected(page);
    const count = () => page.locator("tr[data-symbol]").evaluateAll((rows) => rows.reduce((sum, row) => sum + Number((row as HTMLElement).dataset.updates), 0));
    await vi.waitFor(async () => expect(await count()).toBeGreaterThan(10), soon);
    const [from, began] = [await count(), Date.now()];
    await vi.waitFor(async () => expect((await count()) - from).toBeGreaterThan(60), soon);
    expect(((await count()) - from) / ((Date.now() - began) / 1000)).toBeGreaterThanOrEqual(20);
    await picture(page, "prices");
    // No tick comes any more: only what is kept can show.
    pages.pause("prices");
    const shown = () => page.locator("td:nth-child(2)").allTextContents();
    let before: string[] = [];
    await vi.waitFor(async () => {
      const now = await shown();
      const same = now.join() === before.join();
      before = now;
      expect(same).toBe(true);
    }, { timeout: 15_000, interval: 500 });
    const late = await open("prices/");
    const digits = (cells: string[]) => cells.map((cell) => cell.replace(/[^\d.]/g, ""));
    await vi.waitFor(async () => expect(digits(await late.locator("td:nth-child(2)").allTextContents())).toEqual(digits(before)), soon);
  });

  it("rooms: joined, left, typing and messages, in one room only", async () => {
    const alice = await open("rooms/?user=alice");
    await connected(alice);
    await vi.waitFor(async () => expect(await alice.getByLabel("Members").allTextContents()).toEqual(["alice"]), soon);
    const bob = await open("rooms/?user=bob");
    const carol = await open("rooms/?user=carol");
    await vi.waitFor(async () => expect((await texts(alice)).sort()).toEqual(["bob joined", "carol joined"]), soon);
    await carol.getByRole("button", { name: "garden" }).click();
    await vi.waitFor(async () => expect(await texts(alice)).toContain("carol left"), soon);
    await bob.getByLabel("Message as bob").pressSequentially("hello lobby");
    await alice.getByText("bob is typing").waitFor();
    expect(await carol.getByText("is typing").count()).toBe(0);
    await bob.getByRole("button", { name: "Send" }).click();
    await vi.waitFor(async () => expect(await texts(alice)).toContain("hello lobby"), soon);
    await say(carol, "Message as carol", "hello garden");
    await vi.waitFor(async () => expect(await texts(carol)).toEqual(["hello garden"]), soon);
    expect(await texts(alice)).not.toContain("hello garden");
    await picture(alice, "rooms");
    await bob.getByRole("button", { name: "leave" }).click();
    await vi.waitFor(async () => expect(await texts(alice)).toContain("bob left"), soon);
  });

  it("metrics: the chart moves, and is filled from the history for who comes late", async () => {
    const page = await open("metrics/");
    const samples = async (of: Page) => Number(await of.locator("svg").getAttribute("data-samples"));
    await vi.waitFor(async () => expect(await samples(page)).toBeGreaterThan(1), soon);
    const path = await page.locator("svg path").last().getAttribute("d");
    await vi.waitFor(async () => expect(await page.locator("svg path").last().getAttribute("d")).not.toBe(path), soon);
    await picture(page, "metrics");
    const late = await open("metrics/");
    await vi.waitFor(async () => expect(await samples(late)).toBeGreaterThan(2), { timeout: 1_900, interval: 20 });
  });

  it("notifications: on both browsers of alice, and none of bob's", async () => {
    const [one, two, bob] = await Promise.all(["alice", "alice", "bob"].map((user) => open(`notifications/?user=${user}`)));
    for (const page of [one!, two!, bob!]) await connected(page);
    const toasts = (page: Page) => page.locator(".toast").allTextContents();
    let n = 0;
    // Signing in follows connecting: the first ones may be too early for both.
    await vi.waitFor(async () => {
      await say(bob!, "Text", `Your parcel is here ${++n}`);
      await one!.getByText(`here ${n}`).waitFor({ timeout: 500 });
      await two!.getByText(`here ${n}`).waitFor({ timeout: 500 });
    }, soon);
    await picture(one!, "notifications");
    await bob!.getByLabel("To").selectOption("bob");
    await say(bob!, "Text", "only bob");
    await bob!.getByText("only bob").waitFor();
    expect(await toasts(bob!)).toEqual(["only bob"]);
    expect((await toasts(one!)).join()).not.toContain("only bob");
  });

  it("jwt: good, bad and expired tokens; renewing keeps the socket_id", async () => {
    const page = await open("jwt/?user=alice");
    const value = (id: string) => page.getByTestId(id).textContent();
    await vi.waitFor(async () => expect([await value("channel"), await value("user")]).toEqual(["subscribed", "alice"]), soon);
    const id = await value("socket");
    await page.getByRole("button", { name: "Renew the token" }).click();
    await vi.waitFor(async () => expect(await value("renewed")).toBe("1×"), soon);
    expect(await value("socket")).toBe(id);
    await page.getByRole("button", { name: "Ping me" }).click();
    await vi.waitFor(async () => expect(await value("ping")).toMatch(/^20/), soon);
    await picture(page, "jwt");
    for (const [kind, message] of [["expired", /expired/], ["bad", /signature/]] as const) {
      await page.getByRole("button", { name: `${kind} token` }).click();
      await vi.waitFor(async () => expect(await page.getByRole("alert").textContent()).toMatch(message), soon);
      await page.locator(".status.failed").waitFor();
    }
    await picture(page, "jwt-failed");
    await page.getByRole("button", { name: "good token" }).click();
    await connected(page);
    expect(await page.getByRole("alert").count()).toBe(0);
  });

  it("chat: 100 of 100, once and in order, across a killed node and ten seconds without network; a wiped history is a gap", async () => {
    const alice = await open("chat/?user=alice");
    const bob = await open("chat/?user=bob");
    for (const page of [alice, bob]) await connected(page);
    await say(alice, "Message as alice", "hello");
    for (const page of [alice, bob]) await vi.waitFor(async () => expect(await texts(page)).toEqual(["hello"]), soon);
    const send = (n: number) => pages.server.trigger("chat", "message", { user: "carol", text: `message ${n}`, id: `m${n}` });
    let upTo = 0;
    // A hundred in eleven seconds: the first before it all breaks, the last after it is well again.
    const sendUntil = async (last: number) => {
      while (upTo < last) {
        await send(++upTo);
        await new Promise((next) => setTimeout(next, 110));
      }
    };
    await sendUntil(5);
    await real.kill();
    network.cut = true;
    const cutAt = Date.now();
    await sendUntil(30);
    for (const page of [alice, bob]) await page.locator(".status.reconnecting").waitFor();
    await picture(alice, "chat-reconnecting");
    await sendUntil(95);
    await vi.waitFor(() => expect(Date.now() - cutAt).toBeGreaterThan(10_000), soon);
    network.target = spare.port;
    network.cut = false;
    await sendUntil(100);
    const all = ["hello", ...Array.from({ length: 100 }, (_, i) => `message ${i + 1}`)];
    for (const page of [alice, bob]) await vi.waitFor(async () => expect(await texts(page)).toEqual(all), { timeout: 40_000, interval: 100 });
    for (const page of [alice, bob]) expect(await page.locator(".gap").count()).toBe(0);
    await picture(alice, "chat");

    network.cut = true;
    await alice.locator(".status.reconnecting").waitFor();
    await wipeRedis();
    network.cut = false;
    for (const page of [alice, bob]) await page.getByText("missing here").waitFor({ timeout: 40_000 });
    await say(bob, "Message as bob", "still here");
    await vi.waitFor(async () => expect((await texts(alice)).at(-1)).toBe("still here"), { timeout: 40_000, interval: 100 });
    await picture(alice, "chat-gap");
  }, 120_000);
});

/** Loses everything Redis has. */
async function wipeRedis(): Promise<void> {
  const { hostname, port } = new URL(process.env.TEST_REDIS_URL as string);
  const socket = dial(Number(port), hostname);
  socket.write("FLUSHALL\r\n");
  await new Promise((resolve) => socket.once("data", resolve));
  socket.destroy();
}
