// Waits for events that others publish: the lines it prints tell the test when
// it is ready and what came.
import { config, connect, finish, Inbox, subscribe, test } from "./lib.mjs";

await test("receive", async () => {
  const channel = await subscribe(await connect(), "orders");
  console.log("ready");
  for (const { event, data } of config.expect) {
    const received = await channel.inbox.take(event);
    if (JSON.stringify(received.data) !== JSON.stringify(data)) throw new Error(`got ${JSON.stringify(received.data)}`);
    console.log(`received ${event}`);
  }
});

finish();
