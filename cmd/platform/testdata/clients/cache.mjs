// Cache channels: a new subscriber gets the last event, or is told there is none.
import assert from "node:assert/strict";
import { connect, finish, get, main, server, signer, subscribe, test } from "./lib.mjs";

await test("an empty cache is a miss", async () => {
  const channel = await subscribe(await connect(), "cache-empty");
  await channel.inbox.take("pusher:cache_miss");
});

await test("the last event is replayed, and only that", async () => {
  await server().trigger("cache-prices", "first", { n: 1 });
  await server().trigger("cache-prices", "second", { n: 2 });
  const channel = await subscribe(await connect(), "cache-prices");
  assert.deepEqual((await channel.inbox.take("second")).data, { n: 2 });
  await server().trigger("cache-prices", "third", { n: 3 });
  await channel.inbox.take("third");
  assert.deepEqual(channel.inbox.names(), []);
  assert.equal(channel.inbox.count("pusher:cache_miss"), 0);
});

await test("private and presence cache channels", async () => {
  const member = { user_id: "ann", user_info: {} };
  for (const [name, data] of [["private-cache-a", undefined], ["presence-cache-a", member]]) {
    const pusher = await connect(main, { channelAuthorization: signer(main, data) });
    await (await subscribe(pusher, name)).inbox.take("pusher:cache_miss");
    await server().trigger(name, "kept", name);
    const late = await connect(main, { channelAuthorization: signer(main, data) });
    assert.equal((await (await subscribe(late, name)).inbox.take("kept")).data, name);
  }
});

await test("client events are not kept", async () => {
  const options = { channelAuthorization: signer() };
  const [sender, peer] = [await connect(main, options), await connect(main, options)];
  const [own, theirs] = [await subscribe(sender, "private-cache-chat"), await subscribe(peer, "private-cache-chat")];
  own.trigger("client-typing", {});
  await theirs.inbox.take("client-typing");
  const late = await subscribe(await connect(main, options), "private-cache-chat");
  await late.inbox.take("pusher:cache_miss");
});

await test("the HTTP API shows what is kept", async () => {
  assert.equal((await get("/channels/cache-shown", { info: "cache" })).cache, null);
  await server().trigger("cache-shown", "kept", { n: 1 });
  const { cache } = await get("/channels/cache-shown", { info: "cache" });
  assert.deepEqual(JSON.parse(cache.data), { n: 1 });
  assert.ok(cache.ttl > 0 && cache.ttl <= 1800, `ttl ${cache.ttl}`);
});

finish();
