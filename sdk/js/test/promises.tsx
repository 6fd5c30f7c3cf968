// What the client promises whatever happens around it, to be held against any
// server that a test has: the fake one, and the real one.
import { StrictMode, useState, type ReactNode } from "react";
import { flushSync } from "react-dom";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createClient, type AuthGrant, type AuthRequest, type Client, type ClientOptions } from "@tidewire/client";
import { TidewireProvider, useChannel, useEvent, useLatestEvent } from "@tidewire/client/react";

export interface World {
  /** How a client of this server is made. */
  options: ClientOptions;
  publish(channel: string, event: string, data: unknown): Promise<void>;
  /** What an auth endpoint would answer; the server refuses it for names that end in "-closed". */
  authorize(request: AuthRequest): Promise<AuthGrant>;
  /** A token of a user, good for so many seconds. */
  token(user: string, seconds: number): Promise<string>;
  /** The connections there are fall silent for ever. New ones work. */
  freeze(): void;
  /** Nothing gets through, without a word, until something does again. */
  silent(yes: boolean): void;
  /** The server dies, with all it knew by heart. */
  kill(): Promise<void>;
  start(): Promise<void>;
}

const soon = { timeout: 15_000, interval: 20 };
const LONG = 60_000; // for what has to wait for deadlines of the client

/** The channels "chat" and "metrics" keep a history. */
export function promises(world: () => World): void {
  let root: Root;
  let box: HTMLElement;
  let sent: string[];
  const clients: Client[] = [];
  let online = true;
  let visible = "visible";

  beforeEach(() => {
    box = document.createElement("div");
    root = createRoot(box);
    sent = [];
    online = true;
    visible = "visible";
    vi.spyOn(navigator, "onLine", "get").mockImplementation(() => online);
    vi.spyOn(document, "visibilityState", "get").mockImplementation(() => visible as DocumentVisibilityState);
  });
  afterEach(() => {
    flushSync(() => root.unmount());
    for (const client of clients.splice(0)) client.disconnect();
    vi.restoreAllMocks();
  });

  function connect(options: Partial<ClientOptions> = {}): Client {
    const log = (message: string, detail?: unknown) => {
      if (message !== "send") return;
      const { event, data } = JSON.parse(String(detail)) as { event: string; data: { channel?: string } };
      if (/subscribe$/.test(event)) sent.push(`${event.slice("pusher:".length)} ${data.channel}`);
    };
    const client = createClient({ ...world().options, unsubscribeDelay: 100, log, ...options });
    clients.push(client);
    return client;
  }

  /** What a channel with history brings, and the gaps in it. */
  async function listen(client: Client, name: string): Promise<{ got: unknown[]; gaps: string[] }> {
    const heard = { got: [] as unknown[], gaps: [] as string[] };
    client.channel(name).onGap((gap) => heard.gaps.push(gap.reason));
    client.channel(name).on("n", (data) => heard.got.push(data));
    await client.channel(name).ready();
    return heard;
  }

  const mount = (client: Client, view: ReactNode) => flushSync(() => root.render(<TidewireProvider client={client}>{view}</TidewireProvider>));
  const shows = (text: string | RegExp) => vi.waitFor(() => expect(box.textContent).toMatch(text), soon);
  const state = (client: Client, wanted: string) => vi.waitFor(() => expect(client.state).toBe(wanted), { ...soon, interval: 2 });

  describe("promises", () => {
    it("StrictMode double mount: one subscription, none left behind", async () => {
      const client = connect();
      function View() {
        const { state } = useChannel("strict");
        const last = useLatestEvent("strict", "x");
        return <p>{`${state} ${last ?? "nothing"}`}</p>;
      }
      mount(client, <StrictMode><View /></StrictMode>);
      await shows("subscribed nothing");
      await world().publish("strict", "x", "hello");
      await shows("subscribed hello");
      mount(client, null);
      await vi.waitFor(() => expect(client.channel("strict").state).toBe("idle"), soon);
      expect(sent).toEqual(["subscribe strict", "unsubscribe strict"]);
    });

    it("1,000 re-renders: nothing is subscribed anew, and the newest handler is called", async () => {
      const client = connect();
      let again = (_n: number) => {};
      const got: string[] = [];
      function View() {
        const [n, setN] = useState(0);
        again = setN;
        useEvent("often", "x", (data) => got.push(`${n}:${data}`), { rewind: n + 1 });
        return null;
      }
      mount(client, <View />);
      await client.channel("often").ready();
      for (let n = 1; n <= 1000; n++) flushSync(() => again(n));
      await world().publish("often", "x", 1);
      await vi.waitFor(() => expect(got).toEqual(["1000:1"]), soon);
      expect(sent).toEqual(["subscribe often"]);
    });

    it("sleep/wake: the dead connection is found when the page is shown, and what was missed follows", async () => {
      const client = connect();
      const { got, gaps } = await listen(client, "chat");
      await world().publish("chat", "n", 1);
      await vi.waitFor(() => expect(got).toEqual([1]), soon);
      visible = "hidden";
      document.dispatchEvent(new Event("visibilitychange"));
      world().freeze();
      await world().publish("chat", "n", 2);
      visible = "visible";
      document.dispatchEvent(new Event("visibilitychange"));
      await vi.waitFor(() => expect(got).toEqual([1, 2]), soon);
      expect(gaps).toEqual([]);
    }, LONG);

    it("offline/online: noticed at once, and everything arrives once and in order", async () => {
      const client = connect();
      const { got, gaps } = await listen(client, "metrics");
      await world().publish("metrics", "n", 1);
      await vi.waitFor(() => expect(got).toEqual([1]), soon);
      world().silent(true);
      online = false;
      window.dispatchEvent(new Event("offline"));
      for (let n = 2; n <= 20; n++) await world().publish("metrics", "n", n);
      await state(client, "reconnecting");
      world().silent(false);
      online = true;
      window.dispatchEvent(new Event("online"));
      await state(client, "connected");
      await world().publish("metrics", "n", 21);
      await vi.waitFor(() => expect(got).toEqual(Array.from({ length: 21 }, (_, i) => i + 1)), soon);
      expect(gaps).toEqual([]);
    }, LONG);

    it("token expiry: renewed in place before, refused with the reason after", async () => {
      let asked = 0;
      const client = connect({ token: () => (asked++, world().token("carol", 4)) });
      await client.channel("private-c-1").ready();
      const id = client.socketId;
      expect(client.user.id).toBe("carol");
      await vi.waitFor(() => expect(asked).toBeGreaterThanOrEqual(2), soon);
      await client.channel("private-c-2").ready();
      expect(client.socketId).toBe(id);
      const late = connect({ token: () => world().token("carol", -60) });
      late.connect();
      await state(late, "failed");
      expect(late.error?.message).toMatch(/expired/);
    }, LONG);

    it("server restart: comes back by itself, and says that the history began anew", async () => {
      const client = connect();
      const { got, gaps } = await listen(client, "chat");
      await world().publish("chat", "n", 1);
      await vi.waitFor(() => expect(got).toEqual([1]), soon);
      await world().kill();
      await state(client, "reconnecting");
      await world().start();
      await vi.waitFor(() => expect(client.channel("chat").state).toBe("subscribed"), { timeout: 40_000, interval: 50 });
      await world().publish("chat", "n", 2);
      await vi.waitFor(() => expect(got).toEqual([1, 2]), soon);
      expect(gaps).toEqual(["epoch_changed"]);
    }, LONG);

    it("auth failure: the reason arrives where it belongs, and nothing else is harmed", async () => {
      const client = connect({ auth: (request) => world().authorize(request) });
      function View() {
        const { state, error } = useChannel("private-closed");
        return <p>{`${state} ${error?.message ?? ""}`}</p>;
      }
      mount(client, <View />);
      await shows(/^failed .*signature/i);
      await client.channel("private-open").ready();
      expect(client.state).toBe("connected");
      await expect(client.channel("private-closed").ready()).rejects.toMatchObject({ code: "refused", retryable: false });
    });
  });
}
