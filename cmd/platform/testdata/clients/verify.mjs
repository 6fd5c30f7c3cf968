// A customer's server that checks every webhook with the published libraries:
// Pusher's own, and that of Standard Webhooks, also while secrets are rotated.
import assert from "node:assert/strict";
import http from "node:http";
import { Webhook } from "standardwebhooks";
import { config, connect, eventually, finish, keep, main, server, signer, subscribe, test } from "./lib.mjs";

/** received is every request that came, as a library wants it. */
const received = [];
const receiver = http.createServer(async (request, response) => {
  let rawBody = "";
  for await (const chunk of request) rawBody += chunk;
  received.push({ headers: request.headers, rawBody });
  response.end();
});
await new Promise((resolve) => receiver.listen(0, "127.0.0.1", resolve));

async function admin(method, path, body) {
  const response = await fetch(`${config.api}/api/v1${path}`, {
    method,
    headers: { Authorization: `Bearer ${config.token}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  assert.ok(response.ok, `${method} ${path}: ${JSON.stringify(answer)}`);
  return answer;
}

const endpoint = await admin("POST", `/apps/${main.id}/webhooks`, { url: `http://127.0.0.1:${receiver.address().port}/hooks`, events: ["client_event"] });

/** next makes events until a request that is to the taste of accept has come. */
async function next(accept = () => true) {
  const ann = await connect(main, { channelAuthorization: signer(main, { user_id: "ann" }) });
  const room = await subscribe(ann, "presence-verify");
  const from = received.length;
  const find = () => received.slice(from).find(accept);
  await eventually(() => room.trigger("client-typing", { text: "Grüße, 世界 \u0000 </script>" }) && find(), (found) => found, "request");
  return find();
}

const standard = (secret, { headers, rawBody }) => new Webhook(secret).verify(rawBody, headers);
const signatures = ({ headers }) => headers["webhook-signature"].split(" ").length;

await test("pusher and standardwebhooks verify a request, and not a changed one", async () => {
  const request = await next();
  const webhook = server().webhook(request);
  assert.ok(webhook.isContentTypeValid() && webhook.isBodyValid() && webhook.isValid());
  const [event] = webhook.getEvents();
  assert.equal(event.name, "client_event");
  assert.equal(event.channel, "presence-verify");
  assert.equal(event.user_id, "ann");
  assert.match(event.socket_id, /^\d+\.\d+$/);
  assert.equal(JSON.parse(event.data).text, "Grüße, 世界 \u0000 </script>");
  assert.ok(Math.abs(Date.now() - webhook.getTime()) < 60_000);
  assert.deepEqual(standard(endpoint.secret, request).events, webhook.getEvents());

  const changed = { ...request, rawBody: request.rawBody.replace("client_event", "client_tneve") };
  assert.equal(server().webhook(changed).isValid(), false);
  assert.throws(() => standard(endpoint.secret, changed));
  assert.equal(server({ ...main, secret: "another" }).webhook(request).isValid(), false);
});

await test("both secrets verify while they overlap, and one does afterwards", async () => {
  const rotated = await admin("POST", `/webhooks/${endpoint.id}/rotate`, { overlap_seconds: 3600 });
  assert.notEqual(rotated.secret, endpoint.secret);
  const both = await next((request) => signatures(request) === 2);
  standard(endpoint.secret, both);
  standard(rotated.secret, both);
  assert.ok(server().webhook(both).isValid());

  const last = await admin("POST", `/webhooks/${endpoint.id}/rotate`, { overlap_seconds: 0 });
  const one = await next((request) => signatures(request) === 1);
  standard(last.secret, one);
  assert.throws(() => standard(rotated.secret, one));
});

await test("a rotation of the app's key leaves those who know the old one in peace", async () => {
  const key = await admin("POST", `/apps/${main.id}/keys`, {});
  const request = await next();
  assert.equal(request.headers["x-pusher-key"], main.key);
  assert.ok(server().webhook(request).isValid());
  const changing = server({ ...main, key: key.key, secret: key.secret });
  assert.equal(changing.webhook(request).isValid(), false);
  assert.ok(changing.webhook(request).isValid({ key: main.key, secret: main.secret }), "the extra token is what a customer sets meanwhile");
});

keep({ disconnect: () => receiver.close() });
finish();
