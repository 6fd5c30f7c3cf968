// A client whose server goes away and comes back. The test restarts the server
// when it reads "ready".
import assert from "node:assert/strict";
import { config, connect, eventually, finish, main, server, signer, subscribe, test } from "./lib.mjs";

await test("connected again, and events flow", async () => {
  const member = { user_id: "ann", user_info: { name: "Ann" } };
  const pusher = await connect(main, { channelAuthorization: signer(main, member) });
  const states = [];
  pusher.connection.bind("state_change", ({ current }) => states.push(current));
  const before = pusher.connection.socket_id;
  const names = ["orders", "private-orders", "presence-orders"];
  const channels = [];
  for (const name of names) channels.push(await subscribe(pusher, name));
  console.log("ready");

  // The library waits up to 15 s where nobody listens.
  await eventually(() => pusher.connection.state === "connected" && pusher.connection.socket_id !== before, Boolean, "connected again", 45_000);
  assert.ok(states.includes("connecting"), states.join());
  for (const channel of channels) await channel.inbox.take("pusher:subscription_succeeded");
  assert.equal(channels[2].members.count, 1);
  await server().trigger(names, "again", { n: 1 });
  for (const channel of channels) assert.deepEqual((await channel.inbox.take("again")).data, { n: 1 });
  console.log(`# states: ${states.join(", ")}; ${config.sockets}`);
});

finish();
