// Forms whose effect is felt elsewhere: whose tokens an app believes, tokens
// that are taken back, and plans. What is wrong is said at the field.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import { connect, eventually, once, subscribe, test } from "../lib.mjs";
import { button, confirm, field, makeApp, openWindow, operate, signUp } from "./pages.mjs";

const secret = crypto.randomBytes(32).toString("base64");

/** token is one that an issuer with that secret signs. */
function token(sub, jti) {
  const now = Math.floor(Date.now() / 1000);
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${part({ alg: "HS256", typ: "JWT" })}.${part({ iss: "our-server", aud: "chat", sub, jti, iat: now, exp: now + 600, channel: "private-room", capabilities: ["subscribe"] })}`;
  return `${text}.${crypto.createHmac("sha256", secret).update(text).digest("base64url")}`;
}

/** joins connects and subscribes by a token. */
async function joins(app, sub, jti) {
  const client = await connect(app, { channelAuthorization: { customHandler: (_, done) => done(null, { auth: token(sub, jti) }) } });
  await subscribe(client, "private-room");
  return client;
}

/** wrong waits for what is said at a field. */
const wrong = async (page, label, text) => {
  const input = field(page, label);
  await eventually(() => input.getAttribute("aria-invalid"), (invalid) => invalid === "true", `a fault at ${label}`);
  const at = (await input.getAttribute("aria-describedby")).split(" ").at(-1);
  assert.match(await page.locator(`[id="${at}"]`).textContent(), text);
};

async function trust(page) {
  await button(page, "Add an issuer").click();
  await field(page, "Issuer").fill("our-server");
  await field(page, "Audience").fill("chat");
  await field(page, "Secret").fill("too short");
  await button(page, "Save the issuer").click();
  await wrong(page, "Secret", /32 to 512 bytes/);
  await field(page, "Secret").fill(secret);
  await button(page, "Save the issuer").click();
  await page.locator("dialog").waitFor({ state: "detached" });
  assert.equal(await page.getByText(secret).count(), 0);
}

/** The secret stays when it is left empty. */
async function more(page) {
  await button(page, "Edit").click();
  await field(page, "HS512").check();
  await button(page, "Save the issuer").click();
  await wrong(page, "Secret", /give the secret again/);
  await field(page, "HS512").uncheck();
  await button(page, "Save the issuer").click();
  await page.locator("dialog").waitFor({ state: "detached" });
}

async function takeBack(page, app) {
  const [one, other] = [await joins(app, "ada", "t-1"), await joins(app, "bob", "t-2")];
  for (const [client, kind, label, value] of [[one, "jti", "Token id", "t-1"], [other, "sub", "User", "bob"]]) {
    const closed = once(client.connection, "error", "the end of the connection");
    await field(page, "Take back").selectOption(kind);
    if (kind === "jti") {
      await button(page, "Take back").click();
      await wrong(page, label, /must be the jti/);
    }
    await field(page, label).fill(value);
    await button(page, "Take back").click();
    assert.equal((await closed).data.code, 4009);
    await page.getByRole("row").filter({ hasText: value }).waitFor();
  }
}

await test("an issuer is trusted, and its tokens are taken back", async () => {
  const window = await openWindow();
  const { page, at } = window;
  await signUp(window, "carol@example.com", "Tokens");
  await confirm(window, "carol@example.com");
  const app = await makeApp(page, "Chat");
  await at(`/apps/${app.id}/jwt`);
  await trust(page);
  await more(page);
  await takeBack(page, app);
  await button(page, "Remove").click();
  await field(page, "Type our-server to confirm").fill("our-server");
  await page.locator("dialog").getByRole("button", { name: "Remove" }).click();
  await page.getByText("No issuer is trusted").waitFor();
  assert.deepEqual(window.problems, []);
}, 180_000);

await test("the operator makes a plan and changes it, and a tenant", async () => {
  const { page, problems } = await operate();
  await button(page, "Plans").click();
  await button(page, "New plan").click();
  await field(page, "Name").fill("Team Plan");
  await field(page, "Apps").fill("3");
  await button(page, "Save the plan").click();
  await wrong(page, "Name", /must be 1 to 63/);
  await field(page, "Name").fill("team");
  await field(page, "API tokens").fill("999999999");
  await button(page, "Save the plan").click();
  await wrong(page, "API tokens", /must be from 1 to/);
  await field(page, "API tokens").fill("5");
  await button(page, "Save the plan").click();
  const row = page.getByRole("row").filter({ hasText: "team" });
  await row.getByText("version 1").waitFor();
  await button(page, "Edit plan team").click();
  await field(page, "Apps").fill("7");
  await button(page, "Save the plan").click();
  await row.getByText("version 2").waitFor();
  await page.reload(); // the view stands in the address
  await row.getByText("version 2").waitFor();
  assert.equal(await page.getByRole("link", { name: "Operator", exact: true }).getAttribute("aria-current"), "page");
  await button(page, "Tenants").click();
  await button(page, "New tenant").click();
  await field(page, "Name").fill("Harbour");
  await field(page, "Owner’s email").fill("nobody@example.com");
  await field(page, "Plan").selectOption("team");
  await button(page, "Make the tenant").click();
  await page.locator("dialog").getByRole("alert").first().waitFor();
  await field(page, "Owner’s email").fill("");
  await button(page, "Make the tenant").click();
  await page.getByRole("row").filter({ hasText: "Harbour" }).getByText("team", { exact: true }).waitFor();
  await button(page, "Nodes").click();
  await page.getByText("ready", { exact: true }).waitFor();
  assert.deepEqual(problems, []);
}, 180_000);
