// @vitest-environment jsdom
import { afterAll, beforeAll } from "vitest";
import { signToken } from "@tidewire/client/server";
import { app, jwt } from "../examples/app.mjs";
import { Network } from "./network.js";
import { platform, webSocket, type Platform } from "./platform.js";
import { promises, type World } from "./promises.js";

let real: Platform;
let network: Network;
let world: World;

beforeAll(async () => {
  real = await platform();
  network = new Network();
  network.target = real.port;
  const url = await network.listen();
  const { server } = real;
  world = {
    options: { url, key: app.key, WebSocket: webSocket, transports: ["websocket"] },
    publish: (channel, event, data) => server.trigger(channel, event, data),
    authorize: ({ socketId, channel }) => server.authorizeChannel({ socketId, channel: channel.endsWith("-closed") ? "private-other" : channel }),
    token: (sub, expiresIn) => signToken({ sub, channels: { "private-c-*": ["subscribe"] } }, { ...jwt, expiresIn }),
    freeze: () => network.freeze(),
    silent: (yes) => {
      network.silent = yes;
      if (yes) network.freeze();
    },
    kill: () => real.kill(),
    start: () => real.start(),
  };
});
afterAll(async () => {
  network?.close();
  await real?.stop();
});

promises(() => world);
