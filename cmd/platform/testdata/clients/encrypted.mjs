// End-to-end encrypted channels: the server carries what it cannot read.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { connect, eventually, finish, get, main, refused, server, signer, subscribe, test } from "./lib.mjs";

// What is published for browsers as pusher-js/with-encryption; the test of
// the playground runs that build. The build for Node brings encryption along.
const nacl = createRequire(import.meta.url)("tweetnacl");
const key = Buffer.alloc(32, 7).toString("base64");
const backend = server(main, { encryptionMasterKeyBase64: key });
const options = { channelAuthorization: signer(main, undefined, backend), nacl };
const name = "private-encrypted-vault";

await test("clients with the shared secret read, the wire does not", async () => {
  const channel = await subscribe(await connect(main, options), name);
  const pusher = await connect(main, { channelAuthorization: signer() });
  const frames = [];
  pusher.connection.bind("message", (frame) => frames.push(frame));
  // Authorized, but without the secret.
  pusher.send_event("pusher:subscribe", { channel: name, auth: backend.authorizeChannel(pusher.connection.socket_id, name).auth });
  await subscribe(pusher, "before"); // done in order: this answer comes second

  await backend.trigger(name, "opened", { code: "swordfish" });
  assert.deepEqual((await channel.inbox.take("opened")).data, { code: "swordfish" });
  await eventually(() => frames.some(({ event }) => event === "opened"), Boolean, "the frame arrived");
  assert.ok(!JSON.stringify(frames).includes("swordfish"));
});

await test("several events, batches and other channels at once", async () => {
  const pusher = await connect(main, options);
  const [vault, open] = [await subscribe(pusher, name), await subscribe(pusher, "open")];
  await backend.triggerBatch([
    { channel: name, name: "one", data: { n: 1 } },
    { channel: "open", name: "two", data: { n: 2 } },
  ]);
  assert.deepEqual((await vault.inbox.take("one")).data, { n: 1 });
  assert.deepEqual((await open.inbox.take("two")).data, { n: 2 });
});

await test("an encrypted cache channel replays what it keeps", async () => {
  const cached = "private-encrypted-cache-vault";
  await backend.trigger(cached, "kept", { code: "swordfish" });
  const channel = await subscribe(await connect(main, options), cached);
  assert.deepEqual((await channel.inbox.take("kept")).data, { code: "swordfish" });
  const { cache } = await get(`/channels/${cached}`, { info: "cache" });
  assert.match(cache.data, /ciphertext/);
  assert.ok(!cache.data.includes("swordfish"));
});

await test("the library refuses to publish unencrypted", async () => {
  assert.match((await refused(Promise.resolve().then(() => backend.trigger([name, "open"], "x", 1)))).message, /encrypted/);
});

finish();
