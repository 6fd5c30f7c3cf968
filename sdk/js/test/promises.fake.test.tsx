// @vitest-environment jsdom
import { beforeEach } from "vitest";
import { FakeServer } from "./fake-server.js";
import { jwt } from "./helpers.js";
import { promises, type World } from "./promises.js";

let world: World;

beforeEach(() => {
  const server = new FakeServer();
  for (const name of ["chat", "metrics"]) server.channel(name).history = true;
  server.refuse = (name) => (name.endsWith("-closed") ? "Invalid signature: it is not that of this channel" : undefined);
  server.tokens = (token) => {
    const { sub, exp } = JSON.parse(atob(token.split(".")[1] as string)) as { sub: string; exp: number };
    return exp > Date.now() / 1000 ? { sub } : "The token was refused: it has expired";
  };
  const now = () => Math.floor(Date.now() / 1000);
  world = {
    options: { url: "http://tide.test", key: "k", WebSocket: server.WebSocket, transports: ["websocket"] },
    publish: async (channel, event, data) => server.publish(channel, event, data),
    authorize: async () => ({ auth: "k:s" }),
    token: async (sub, seconds) => jwt({ sub, iat: now(), exp: now() + seconds }),
    freeze: () => {
      for (const socket of server.open()) socket.alive = false;
    },
    silent: (yes) => void (server.silent = yes),
    kill: async () => {
      server.up = false;
      server.drop();
    },
    start: async () => {
      Object.assign(server.channel("chat"), { epoch: "e2", events: [] });
      server.up = true;
    },
  };
});

promises(() => world);
