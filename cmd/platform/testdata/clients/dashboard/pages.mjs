// What the scripts of the dashboard share: windows that hear of everything that
// goes wrong in a page, a mailbox, a receiver of webhooks, and a folder in which
// snippets are run as they are shown.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import crypto from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { openTabs } from "../browser.mjs";
import { config, eventually, keep } from "../lib.mjs";

export const password = "a long and quiet sentence";
const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** openWindow is a browser of its own with one page. problems has what no page may do. */
export async function openWindow(base = config.api) {
  const context = await openTabs();
  const problems = [];
  const ours = new Set([config.api, ...config.sockets].flatMap((url) => [new URL(url).origin, new URL(url).origin.replace(/^http/, "ws")]));
  context.on("request", (request) => {
    if (!ours.has(new URL(request.url()).origin)) problems.push(`asked for ${request.url()}`);
  });
  context.on("weberror", (error) => problems.push(`broke: ${error.error()}`));
  context.on("dialog", (dialog) => {
    problems.push(`opened a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  context.on("console", (message) => {
    // A refused request is an answer that the page shows; the rest is a fault.
    if (message.type() === "error" && !/^Failed to load resource/.test(message.text())) problems.push(`said ${message.text()}`);
  });
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (e) => console.error(`policy: ${e.violatedDirective} ${e.blockedURI}`));
  });
  const page = await context.newPage();
  // What a test that fails has seen last: windows end with it.
  keep({ disconnect: async () => console.log(`# ${page.url()}: ${problems.join("; ")}`) });
  return { page, context, problems, at: (where) => page.goto(`${base}/dashboard${where}`) };
}

/** button and field find what a person would read. */
export const button = (page, name, exact = true) => page.getByRole("button", { name, exact });
export const field = (page, name, exact = true) => page.getByLabel(name, { exact });
export const heading = (page, name) => page.getByRole("heading", { name, exact: true });

export async function signIn(window, email) {
  await window.at("/sign-in");
  await field(window.page, "Email").fill(email);
  await field(window.page, "Password").fill(password);
  await button(window.page, "Sign in").click();
  await window.page.getByRole("navigation", { name: "Pages" }).waitFor();
}

/** signUp makes an account with a team and stays signed in. */
export async function signUp(window, email, team) {
  const { page } = window;
  await window.at("/");
  await page.getByRole("link", { name: "Make an account" }).click();
  await field(page, "Email").fill(email);
  await field(page, "Password").fill(password);
  await field(page, "Team or company").fill(team);
  await button(page, "Make an account").click();
  await heading(page, "Make your first app").waitFor();
}

/** confirm follows the link in the mail: from then on it is no sandbox. */
export async function confirm({ page, at }, email) {
  await at(await mail.link(email, "verify"));
  await button(page, "Confirm").click();
  await page.getByRole("link", { name: "Go on" }).click();
}

let operatorKnown = false;

/** operate makes a window of the operator, who at first follows the link that the command line printed. */
export async function operate() {
  const window = await openWindow();
  const { page } = window;
  if (!operatorKnown) {
    await page.goto(config.operator.link);
    await field(page, "New password").fill(password);
    await button(page, "Set the password").click();
    await page.getByRole("link", { name: "Sign in" }).waitFor();
    operatorKnown = true;
  }
  await signIn(window, config.operator.email);
  await page.getByRole("link", { name: "Operator", exact: true }).click();
  await heading(page, "Operator").waitFor();
  return window;
}

/** makeApp makes an app in the pages and returns what they show once. */
export async function makeApp(page, name) {
  await button(page, "New app").first().click();
  await field(page, "Name").fill(name);
  await button(page, "Make the app").click();
  const [id, key, secret] = await shownOnce(page, 3);
  await heading(page, "Getting started").waitFor();
  return { id, key, secret };
}

/** watch opens the live console of an app in a tab of its own. */
export async function watch(page, app) {
  const tab = await page.context().newPage();
  await tab.goto(`${config.api}/dashboard/apps/${app.id}/console`);
  await tab.getByRole("status").getByText("live").waitFor();
  return tab;
}

/** shownOnce reads what a dialog shows this one time, and closes it. */
export async function shownOnce(page, count) {
  const secrets = page.locator("dialog .secret code");
  await secrets.nth(count - 1).waitFor();
  const texts = await secrets.allTextContents();
  await button(page, "I have kept it").click();
  await page.locator("dialog").waitFor({ state: "detached" });
  return texts;
}

const schemes = ["light", "dark"];

/** accessible lets axe look at a page in one colour scheme, the other one the next time; with SHOTS, in both. */
export async function accessible(page, name) {
  for (const colorScheme of process.env.SHOTS ? [...schemes] : [schemes[0]]) {
    schemes.reverse();
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axe);
    const found = await page.evaluate(async () => {
      const { violations } = await window.axe.run(document, { resultTypes: ["violations"] });
      return violations.filter((v) => v.impact === "serious" || v.impact === "critical")
        .map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(" ")).join(", ")}`);
    });
    assert.deepEqual(found, [], `${name}, ${colorScheme}`);
  }
}

/** Mailbox takes in what the server mails. */
export class Mailbox {
  #mails = [];

  constructor(address) {
    const [host, port] = address.split(":");
    this.server = net.createServer((socket) => this.#serve(socket)).listen(Number(port), host);
  }

  #serve(socket) {
    let text = "";
    let inMail = false;
    const say = (line) => socket.write(`${line}\r\n`);
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      text += chunk;
      for (;;) {
        const end = inMail ? text.indexOf("\r\n.\r\n") : text.indexOf("\r\n");
        if (end < 0) return;
        const part = text.slice(0, end);
        text = text.slice(end + (inMail ? 5 : 2));
        if (inMail) {
          this.#mails.push(part.replace(/=\r\n/g, "").replaceAll("=3D", "="));
          inMail = false;
          say("250 taken");
        } else if (/^DATA/i.test(part)) {
          inMail = true;
          say("354 go on");
        } else if (/^QUIT/i.test(part)) socket.end("221 bye\r\n");
        else say("250 yes");
      }
    });
    say("220 mailbox");
  }

  /** link waits for a mail to somebody with a link to that page. */
  async link(to, kind) {
    const find = () => this.#mails.filter((m) => m.includes(to)).map((m) => new RegExp(`/dashboard(/${kind}\\?token=[0-9a-f]+)`).exec(m)?.[1]).find(Boolean);
    return eventually(find, Boolean, `mail to ${to} with a link to ${kind}`);
  }
}

/** The mailbox of the whole installation. */
export const mail = new Mailbox(config.smtp);

/** Receiver is the customer's server that is told by webhooks. */
export class Receiver {
  requests = [];
  head = {};

  async listen() {
    const server = http.createServer(async (request, response) => {
      let body = "";
      for await (const chunk of request) body += chunk;
      this.requests.push({ header: request.headers, body });
      response.writeHead(200, "OK", this.head).end("thank you");
    });
    keep({ disconnect: () => server.close() });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${server.address().port}/hooks`;
    return this;
  }

  /** take waits for a request that accept takes, and removes it. */
  async take(what, accept) {
    const i = await eventually(() => this.requests.findIndex(accept), (found) => found >= 0, what);
    return this.requests.splice(i, 1)[0];
  }
}

/** signed tells whether a request carries a signature with the secret, as Standard Webhooks has it. */
export function signed({ header, body }, secret) {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const text = `${header["webhook-id"]}.${header["webhook-timestamp"]}.${body}`;
  const want = `v1,${crypto.createHmac("sha256", key).update(text).digest("base64")}`;
  return header["webhook-signature"].split(" ").includes(want);
}

/** Folder is where a customer pastes what a page shows. */
export class Folder {
  constructor() {
    this.path = fs.mkdtempSync(path.join(os.tmpdir(), "tidewire-pasted-"));
    keep({ disconnect: () => fs.rmSync(this.path, { recursive: true, force: true }) });
    const offline = path.resolve(import.meta.dirname, "../offline");
    this.env = { ...process.env, PATH: `${offline}${path.delimiter}${process.env.PATH}`, NO_COLOR: "1" };
  }

  write(name, text) {
    fs.writeFileSync(path.join(this.path, name), text);
  }

  /** start runs a command; its output grows. */
  start(command) {
    const child = spawn("sh", ["-e", "-c", `exec ${command}`], { cwd: this.path, env: this.env });
    const running = { output: "", ended: undefined };
    child.stdout.on("data", (text) => (running.output += text));
    child.stderr.on("data", (text) => (running.output += text));
    running.ended = new Promise((resolve) => child.on("close", resolve));
    keep({ disconnect: () => child.kill() });
    return running;
  }

  /** run runs a command to its good end. */
  async run(command) {
    const running = this.start(command);
    assert.equal(await running.ended, 0, running.output);
    return running.output;
  }
}
