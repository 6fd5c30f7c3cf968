// @vitest-environment jsdom
import { StrictMode, act, type ReactNode } from "react";
import { createRoot, type Root } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Client } from "@tidewire/client";
import { TidewireProvider, useChannel, useConnectionState, useGap, useLatestEvent, usePresence, useTrigger } from "@tidewire/client/react";
import { setup } from "./helpers.js";

declare global {
  var IS_REACT_ACT_ENVIRONMENT: boolean;
}

let root: Root;
let box: HTMLElement;

beforeEach(() => {
  globalThis.IS_REACT_ACT_ENVIRONMENT = true;
  vi.useFakeTimers();
  box = document.createElement("div");
  root = createRoot(box);
});
afterEach(async () => {
  await act(async () => root.unmount());
  vi.useRealTimers();
});

const pass = (ms = 5) => act(async () => void (await vi.advanceTimersByTimeAsync(ms)));
const render = async (client: Client, children: ReactNode) => {
  await act(async () => root.render(<TidewireProvider client={client}>{children}</TidewireProvider>));
  await pass();
};

describe("hooks", () => {
  it("follows the name, and null is no channel", async () => {
    const { server, client } = setup();
    function View({ name }: { name: string | null }) {
      const { state } = useChannel(name);
      const last = useLatestEvent<{ [c: string]: { x: number } }>(name, "x");
      return <p>{`${state} ${last ?? "-"}`}</p>;
    }
    await render(client, <View name={null} />);
    expect(server.sockets).toHaveLength(0);
    await render(client, <View name="a" />);
    await act(async () => server.publish("a", "x", 1));
    expect(box.textContent).toBe("subscribed 1");
    await render(client, <View name="b" />);
    expect(box.textContent).toBe("subscribed -");
    await pass(1_100);
    expect(server.received.filter((m) => m.event === "pusher:unsubscribe").map((m) => m.data.channel)).toEqual(["a"]);
  });

  it("shows presence and the connection", async () => {
    const { server, client } = setup({ auth: () => ({ auth: "k:s", channelData: '{"user_id":"1","user_info":{"name":"A"}}' }) });
    function View() {
      const { members, me, count } = usePresence<{ "presence-x": { $member: { name: string } } }, "presence-x">("presence-x");
      const { state } = useConnectionState();
      return <p>{`${state} ${count} ${me?.info.name} ${members.map((m) => m.id)}`}</p>;
    }
    await render(client, <StrictMode><View /></StrictMode>);
    expect(box.textContent).toBe("connected 1 A 1");
    await act(async () => server.socket.say({ event: "pusher_internal:member_added", channel: "presence-x", data: '{"user_id":"2","user_info":{"name":"B"}}' }));
    expect(box.textContent).toBe("connected 2 A 1,2");
    await act(async () => client.disconnect());
    expect(box.textContent).toContain("closed");
  });

  it("shows gaps and sends", async () => {
    const { server, client } = setup({ auth: () => ({ auth: "k:s" }) });
    const gaps: string[] = [];
    let send = (_e: "client-x", _d: unknown) => Promise.resolve();
    function View() {
      useChannel("private-a");
      useGap("private-a", (gap) => gaps.push(gap.reason));
      send = useTrigger("private-a");
      return null;
    }
    await render(client, <View />);
    const sent = send("client-x", 1);
    await pass();
    await sent;
    expect(server.count("client-x")).toBe(1);
    await act(async () => server.drop());
    await pass(2_000);
    expect(gaps).toEqual(["no_history"]);
  });

  it("renders on a server without connecting", async () => {
    const { server, client } = setup();
    function View() {
      const { state } = useConnectionState();
      const { members } = usePresence("presence-x");
      return <p>{`${state} ${members.length} ${useLatestEvent("a", "x") ?? "-"}`}</p>;
    }
    expect(renderToString(<TidewireProvider client={client}><View /></TidewireProvider>)).toBe("<p>idle 0 -</p>");
    await pass();
    expect(server.sockets).toHaveLength(0);
  });

  it("without a provider, says so", () => {
    function View() {
      useConnectionState();
      return null;
    }
    expect(() => renderToString(<View />)).toThrow(/TidewireProvider/);
  });
});
