// The life of a customer in the browser, from signing up to deleting the app,
// and the operator who looks after it. Every step is what a person would do:
// what the pages show is what is used.
import assert from "node:assert/strict";
import { client, config, connect, eventually, once, refused, server, subscribe, test } from "../lib.mjs";
import { button, confirm, field, Folder, heading, mail, makeApp, openWindow, operate, password, Receiver, shownOnce, signed, signUp, watch } from "./pages.mjs";

const elsewhere = config.sockets.at(-1); // another node, if there is one
const owner = "ada@example.com";
const mate = "bob@example.com";

/** go opens a page by the sidebar. */
const go = (page, name) => page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name, exact: true }).click();

/** paste runs the snippet that a page shows under a tab. */
async function paste(page, tab, folder, secret = "") {
  await page.getByRole("tab", { name: tab, exact: true }).click();
  const code = (what) => page.getByLabel(`${tab}: ${what}`, { exact: true });
  const file = (await page.getByRole("tabpanel", { name: tab }).locator(".muted").first().textContent()).trim();
  await folder.run(await code("install").textContent());
  folder.write(file, (await code(file).textContent()).replace("YOUR-SECRET", secret));
  return code("run").textContent();
}

async function verify(window) {
  const { page } = window;
  await confirm(window, owner);
  await heading(page, "Make your first app").waitFor();
  assert.equal(await page.getByText("Confirm your address").count(), 0);
}

async function firstEvent(page, app) {
  const watching = await watch(page, app);
  const [receiving, sending] = [new Folder(), new Folder()];
  const listener = receiving.start(await paste(page, "JavaScript", receiving));
  await eventually(() => listener.output, (text) => text.includes("connected, waiting"), "the pasted client");
  await page.getByText("connected", { exact: true }).waitFor();
  const send = await paste(page, "Node", sending, app.secret);
  assert.match(await sending.run(send), /published/);
  await eventually(() => listener.output, (text) => text.includes("received { text: 'Hello from Node' }"), "the event in the pasted client");
  await page.getByText("event seen").waitFor();
  await shows(watching, "connection_opened");
  await shows(watching, "subscribed", "my-channel");
  await shows(watching, "published", "my-channel");
  await watching.getByRole("button", { name: /published/ }).last().click();
  await watching.getByLabel("data", { exact: true }).getByText("Hello from Node").waitFor();
  await watching.close();
}

/** shows waits for a line of the console. */
const shows = (tab, code, text = "") => tab.getByRole("log").getByRole("button", { name: new RegExp(`${code}.*${text}`) }).first().waitFor();

async function webhook(page, app) {
  const receiver = await new Receiver().listen();
  await go(page, "Webhooks");
  await button(page, "New endpoint").first().click();
  await field(page, "Address").fill(receiver.url);
  await field(page, "Headers").fill("X-Env: test");
  await button(page, "Make the endpoint").click();
  const [secret] = await shownOnce(page, 1);
  await heading(page, "Webhook endpoint").waitFor();

  await button(page, "Send a test").click();
  const tested = await receiver.take("test event", (r) => r.body.includes("tidewire-test"));
  assert.ok(signed(tested, secret));
  assert.equal(tested.header["x-env"], "test");
  await page.getByText("delivered", { exact: true }).first().waitFor();

  const listening = await connect(app);
  await subscribe(listening, "orders-1");
  const told = await receiver.take("channel_occupied", (r) => r.body.includes("orders-1"));
  assert.ok(signed(told, secret));
  const row = page.getByRole("row").filter({ hasText: "channel_occupied" }).filter({ hasNotText: "test" }).filter({ hasText: "delivered" });
  await row.first().getByRole("link").click();
  await page.getByText("answered 200").waitFor();
  const id = (await page.locator("header code").first().textContent()).trim();
  await button(page, "Replay").click();
  await receiver.take("the replayed delivery", (r) => r.header["webhook-id"] === id);
  await page.getByText("replayed", { exact: true }).waitFor();
  await page.getByRole("link", { name: "its endpoint" }).click();
  await replaceAndDelete(page, receiver, secret);
}

/** What else can be done with an endpoint: edit, rotate, pause, replay a range, delete. */
async function replaceAndDelete(page, receiver, secret) {
  await button(page, "Edit").click();
  await field(page, "Channels").fill("orders-*");
  await button(page, "Save").click();
  await page.locator("dl").getByText("orders-*").waitFor();
  await button(page, "Rotate the secret").click();
  await button(page, "Make the new secret").click();
  const [next] = await shownOnce(page, 1);
  assert.notEqual(next, secret);
  await button(page, "Send a test").click();
  const both = await receiver.take("test event", (r) => r.body.includes("tidewire-test") && signed(r, next));
  assert.ok(signed(both, secret), "the old secret signs beside the new one");
  await button(page, "Pause").click();
  await page.getByText("paused", { exact: true }).waitFor();
  await button(page, "Resume").click();
  await page.getByText("enabled", { exact: true }).waitFor();
  await button(page, "Replay a range").click();
  await field(page, "Those that are").selectOption("delivered");
  await button(page, "Send them again").click();
  await receiver.take("what was replayed", (r) => r.body.includes("orders-1"));
  await button(page, "Delete").click();
  const host = new URL(receiver.url).host;
  assert.ok(await button(page, "Delete it").isDisabled());
  await field(page, `Type ${host} to confirm`).fill(host);
  await button(page, "Delete it").click();
  await heading(page, "No endpoint yet").waitFor();
}

async function rotateKey(page, app) {
  await go(page, "Keys");
  await button(page, "Rotate").click();
  await button(page, "Make the new key").click();
  const [key, secret] = await shownOnce(page, 2);
  await page.getByText("retiring", { exact: true }).waitFor();
  const next = { ...app, key, secret };
  for (const one of [app, next]) await server(one).trigger("my-channel", "hello", "both work");
  await button(page, "Revoke").last().waitFor();
  return next;
}

async function teammate(page, app) {
  await go(page, "Team");
  await button(page, "Invite").click();
  await field(page, "Email").fill(mate);
  await field(page, "Role").selectOption("viewer");
  await button(page, "Send the invitation").click();
  const other = await openWindow(elsewhere);
  await other.at(await mail.link(mate, "invitation"));
  await field(other.page, "Email").fill(mate);
  await field(other.page, "Password").fill(password);
  await button(other.page, "Join").click();
  await other.page.getByRole("link", { name: new RegExp(app.id) }).click();
  await heading(other.page, "Chat").waitFor();
  assert.deepEqual(other.problems, []);
}

/** The teammate becomes owner, and the owner admin. */
async function handOver(page) {
  const row = page.getByRole("row").filter({ hasText: mate });
  await page.reload();
  await row.getByRole("button", { name: "Make owner" }).click();
  await field(page, `Type ${mate} to confirm`).fill(mate);
  await button(page, "Make them owner").click();
  await row.getByText("owner", { exact: true }).waitFor();
  assert.equal(await button(page, "Make owner").count(), 0);
}

async function usage(page, at) {
  await go(page, "Usage");
  const messages = page.locator(".stat").filter({ hasText: "Messages today" }).locator("b");
  await eventually(async () => {
    await messages.waitFor();
    if ((await messages.textContent()) === "0") await at("/t/acme/usage");
    return messages.textContent();
  }, (text) => Number(text) > 0, "messages of today");
}

async function suspended(page, app) {
  const operator = await operate();
  const live = await connect(app);
  const closed = once(live.connection, "error", "the end of the connection");
  const row = operator.page.getByRole("row").filter({ hasText: "acme" });
  await row.getByRole("button", { name: "Suspend" }).click();
  await field(operator.page, "Reason").fill("unpaid");
  await field(operator.page, "Type acme to confirm").fill("acme");
  await operator.page.locator("dialog").getByRole("button", { name: "Suspend" }).click();
  await row.getByText("suspended").waitFor();
  assert.equal((await closed).data.code, 4003);
  await page.reload();
  await page.getByText("Reason: unpaid").waitFor();
  await refused(server(app).trigger("my-channel", "hello", 1));
  await row.getByRole("button", { name: "Resume" }).click();
  await row.getByText("active").waitFor();
  await eventually(() => server(app).trigger("my-channel", "hello", 1).then(() => true, () => false), Boolean, "the app serves again");
  await page.reload();
  await heading(page, "Usage").waitFor();
  assert.equal(await page.getByText("Reason: unpaid").count(), 0);
  assert.deepEqual(operator.problems, []);
}

async function deleteApp(page, app) {
  await page.goto(`${config.api}/dashboard/apps/${app.id}/settings`);
  await button(page, "Delete the app").click();
  await field(page, "Type Chat to confirm").fill("Chat");
  await button(page, "Delete it for good").click();
  await heading(page, "Make your first app").waitFor();
  await eventually(() => server(app).trigger("my-channel", "hello", 1).then(() => 200, (e) => e.status), (status) => status === 401 || status === 404, "the app is gone");
  // Another node hears of it within a second.
  await eventually(async () => {
    const error = await once(client(app).connection, "error", "a refusal");
    return (error.data ?? error.error?.data)?.code;
  }, (code) => code === 4001, "the key is gone");
}

await test("the life of a customer", async () => {
  const window = await openWindow();
  const { page, problems, at } = window;
  const step = (name) => console.log(`# ${name}`);
  await signUp(window, owner, "Acme");
  step("signed up");
  await verify(window);
  step("confirmed");
  const app = await makeApp(page, "Chat");
  await firstEvent(page, app);
  step("first event");
  await webhook(page, app);
  step("webhooks");
  const next = await rotateKey(page, app);
  step("key rotated");
  await teammate(page, app);
  step("teammate");
  await handOver(page);
  step("handed over");
  await usage(page, at);
  step("usage");
  await suspended(page, next);
  step("suspended and resumed");
  await deleteApp(page, next);
  assert.deepEqual(problems, []);
}, 240_000);
