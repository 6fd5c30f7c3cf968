// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { setup, settled } from "./helpers.js";

let online = true;
let visible = "visible";

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0.999);
  vi.spyOn(navigator, "onLine", "get").mockImplementation(() => online);
  vi.spyOn(document, "visibilityState", "get").mockImplementation(() => visible as DocumentVisibilityState);
  online = true;
  visible = "visible";
  sessionStorage.clear();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("a browser", () => {
  it("offline/online: notices at once that the network is gone, and that it is back", async () => {
    const { server, client } = setup();
    client.channel("a").subscribe();
    await settled();
    server.silent = true;
    online = false;
    window.dispatchEvent(new Event("offline"));
    await vi.advanceTimersByTimeAsync(4_100);
    expect(client.state).toBe("reconnecting");
    await vi.advanceTimersByTimeAsync(120_000);
    server.silent = false;
    online = true;
    window.dispatchEvent(new Event("online"));
    await settled();
    await vi.advanceTimersByTimeAsync(10_100); // an attempt that was under way ends first
    window.dispatchEvent(new Event("online"));
    await settled();
    expect(client.channel("a").state).toBe("subscribed");
  });

  it("sleep/wake: the page is shown again and the dead connection found in seconds", async () => {
    const { server, client } = setup();
    client.channel("a").subscribe();
    await settled();
    server.socket.alive = false; // cut by something between, while asleep
    visible = "hidden";
    document.dispatchEvent(new Event("visibilitychange"));
    await vi.advanceTimersByTimeAsync(5_000);
    expect(client.state).toBe("connected");
    visible = "visible";
    document.dispatchEvent(new Event("visibilitychange"));
    await vi.advanceTimersByTimeAsync(6_000);
    expect(client.channel("a").state).toBe("subscribed");
    expect(server.sockets).toHaveLength(2);
  });

  it("sleep/wake: a jump of the clock is enough", async () => {
    const { server, client } = setup();
    client.channel("a").subscribe();
    await settled();
    server.socket.alive = false;
    vi.setSystemTime(Date.now() + 3_600_000);
    await vi.advanceTimersByTimeAsync(11_000);
    expect(server.sockets).toHaveLength(2);
    expect(client.channel("a").state).toBe("subscribed");
  });

  it("leaves no listeners and timers behind", async () => {
    const { client } = setup();
    client.channel("a").subscribe();
    await settled();
    client.disconnect();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("fallback", () => {
  const ok = vi.fn(async () => new Response("ok")) as unknown as typeof fetch;

  it("is not chosen while the server is away", async () => {
    const asked: string[] = [];
    const { server, client } = setup({
      transports: ["websocket", "http"],
      fetch: (async (url: string) => {
        asked.push(url);
        throw new TypeError("refused");
      }) as unknown as typeof fetch,
    });
    server.up = false;
    client.connect();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(new Set(asked)).toEqual(new Set(["http://tide.test/healthz"]));
    server.up = true;
    await vi.advanceTimersByTimeAsync(31_000);
    expect(client.state).toBe("connected");
  });

  it("is chosen when WebSockets fail and plain HTTP does not, and remembered", async () => {
    const urls: string[] = [];
    const stream = (async (url: string, init?: RequestInit) => {
      urls.push(url);
      if (url.endsWith("/healthz")) return ok(url);
      if (url.includes("/xhr_streaming")) {
        return new Response(
          new ReadableStream({
            start(controller) {
              const say = (text: string) => controller.enqueue(new TextEncoder().encode(text));
              say('o\na["{\\"event\\":\\"pusher:connection_established\\",');
              say('\\"data\\":\\"{\\\\\\"socket_id\\\\\\":\\\\\\"1.2\\\\\\"}\\"}"]\n');
              init?.signal?.addEventListener("abort", () => controller.error(new Error("aborted")));
            },
          }),
        );
      }
      return new Response(null, { status: 204 });
    }) as unknown as typeof fetch;
    await import("../src/http.js"); // so that loading it takes no time
    const first = setup({ transports: ["websocket", "http"], fetch: stream });
    first.server.up = false;
    first.client.channel("a").subscribe();
    await vi.advanceTimersByTimeAsync(5_000);
    vi.useRealTimers();
    await vi.waitFor(() => expect(first.client.socketId).toBe("1.2"));
    await vi.waitFor(() => expect(urls.some((url) => url.includes("/xhr_send"))).toBe(true));
    expect(urls.find((url) => url.includes("/xhr_streaming"))).toMatch(/^http:\/\/tide\.test\/pusher\/app\/k\/\d{3}\/[0-9a-v]{8}\/xhr_streaming\?protocol=7&client=tidewire-js&version=[\d.]+&tidewire=1&t=\d+&n=1$/);
    first.client.disconnect();
    const second = setup({ transports: ["websocket", "http"], fetch: stream });
    second.client.connect();
    await vi.waitFor(() => expect(second.client.socketId).toBe("1.2"));
    expect(second.server.sockets).toHaveLength(0);
    second.client.disconnect();
  });
});
