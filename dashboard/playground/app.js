// The playground: a Pusher-protocol client in a few lines, a form, a list.
// Everything received is put on the page as text, never as markup.

const $ = (id) => document.getElementById(id);
const token = new URLSearchParams(location.search).get("token") ?? "";
const maxRows = 100;

const now = () => performance.timeOrigin + performance.now(); // one clock for all tabs

// --- connection -------------------------------------------------------------

let socket = null;
let attempts = 0;
let idleTimer = 0;
let channel = $("channel").value;
let config = null;

function showState(state, text) {
  $("state").dataset.state = state;
  $("state-text").textContent = text;
  $("submit").disabled = state !== "live" || token === "";
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const url = `${scheme}://${location.host}/app/${config.key}?protocol=7&client=playground&version=1.0.0`;
  showState("connecting", attempts === 0 ? "Connecting…" : "Reconnecting…");
  socket = new WebSocket(url);
  socket.onmessage = (message) => receive(JSON.parse(message.data));
  socket.onclose = (close) => {
    clearTimeout(idleTimer);
    if (close.code >= 4000 && close.code < 4100) {
      showState("refused", `Refused: ${close.reason || close.code}`);
      return;
    }
    attempts += 1;
    showState("connecting", "Reconnecting…");
    const most = Math.min(10_000, 250 * 2 ** attempts);
    setTimeout(connect, most / 2 + Math.random() * (most / 2));
  };
}

function tell(event, data) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ event, data }));
}

let activityTimeout = 120;
// keepAlive asks for a sign of life after a quiet while, and gives up on the
// connection if none comes.
function keepAlive() {
  clearTimeout(idleTimer);
  idleTimer = setTimeout(() => {
    tell("pusher:ping", {});
    idleTimer = setTimeout(() => socket.close(), 15_000);
  }, activityTimeout * 1000);
}

function receive(frame) {
  keepAlive();
  switch (frame.event) {
    case "pusher:connection_established":
      attempts = 0;
      activityTimeout = JSON.parse(frame.data).activity_timeout;
      showState("connecting", "Subscribing…");
      tell("pusher:subscribe", { channel });
      return;
    case "pusher_internal:subscription_succeeded":
      if (frame.channel === channel) showState("live", "Connected");
      return;
    case "pusher:ping":
      tell("pusher:pong", {});
      return;
    case "pusher:error":
      note(frame.data.message);
      return;
  }
  if (frame.channel === channel && !frame.event.startsWith("pusher")) arrived(frame);
}

// --- latency ----------------------------------------------------------------
// A tab that sends tells the others when, so that each can show how long the
// event took to reach it. Whichever comes first, word or event, waits for the other.

const sends = []; // {id, at} of events not seen here yet
const unmatched = []; // {id, at, row} of events whose sending is not known yet
const latencies = [];
const tabs = new BroadcastChannel("tidewire-playground");
tabs.onmessage = ({ data }) => sent(data.id, data.at, false);

const identity = (ch, event, data) => JSON.stringify([ch, event, data]);

function take(list, id) {
  const i = list.findIndex((entry) => entry.id === id);
  return i < 0 ? null : list.splice(i, 1)[0];
}

function keep(list, entry) {
  list.push(entry);
  if (list.length > maxRows) list.shift();
}

function sent(id, at, own) {
  const event = own ? null : take(unmatched, id);
  if (event && event.at - at < 5000) showLatency(event.row, event.at - at, own);
  else keep(sends, { id, at, own });
}

function showLatency(row, ms, own) {
  row.querySelector(".ms").textContent = `${ms.toFixed(1)} ms`;
  const badge = row.querySelector(".badge");
  badge.textContent = own ? "this tab" : "other tab";
  badge.hidden = false;
  keep(latencies, ms);
  const sorted = latencies.toSorted((a, b) => a - b);
  figure("latency-last", ms);
  figure("latency-median", sorted[Math.floor(sorted.length / 2)]);
}

function figure(id, ms) {
  const unit = document.createElement("small");
  unit.textContent = "ms";
  $(id).replaceChildren(ms.toFixed(1), unit);
}

// --- events -----------------------------------------------------------------

let count = 0;

function arrived(frame) {
  const at = now();
  const data = typeof frame.data === "string" ? frame.data : JSON.stringify(frame.data);
  const row = $("event-row").content.firstElementChild.cloneNode(true);
  row.querySelector(".name").textContent = frame.event;
  row.querySelector(".payload").textContent = data;
  const time = row.querySelector("time");
  time.dateTime = new Date(at).toISOString();
  time.textContent = new Date(at).toLocaleTimeString();
  row.classList.add("new");
  $("events").prepend(row);
  while ($("events").childElementCount > maxRows) $("events").lastElementChild.remove();
  $("count").textContent = String(++count);
  $("empty").hidden = true;
  $("clear").hidden = false;

  const id = identity(frame.channel, frame.event, data);
  const send = take(sends, id);
  if (send) showLatency(row, at - send.at, send.own);
  else keep(unmatched, { id, at, row });
}

$("clear").onclick = () => {
  $("events").replaceChildren();
  unmatched.length = latencies.length = count = 0;
  for (const id of ["latency-last", "latency-median"]) $(id).textContent = "–";
  $("count").textContent = "0";
  $("empty").hidden = false;
  $("clear").hidden = true;
  $("event").focus();
};

// --- sending ----------------------------------------------------------------

function note(text) {
  $("send-note").textContent = text;
  $("send-note").hidden = text === "";
}

$("send").onsubmit = async (submit) => {
  submit.preventDefault();
  note("");
  const body = { channel: $("channel").value, event: $("event").value, data: $("data").value };
  const word = { id: identity(body.channel, body.event, body.data), at: now() };
  sent(word.id, word.at, true);
  tabs.postMessage(word);
  try {
    const response = await fetch("/playground/events", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Playground-Token": token },
      body: JSON.stringify(body),
    });
    if (response.ok) return;
    note((await response.json()).error);
  } catch {
    note("The server does not answer. Is `platform dev` still running?");
  }
  take(sends, word.id);
};

$("data").onkeydown = (key) => {
  if (key.key === "Enter" && (key.ctrlKey || key.metaKey)) $("send").requestSubmit();
};

$("channel").onchange = () => {
  const wanted = $("channel").value.trim();
  if (wanted === channel || wanted === "") return;
  note("");
  tell("pusher:unsubscribe", { channel });
  channel = $("channel").value = wanted;
  $("live-channel").textContent = channel;
  showState("connecting", "Subscribing…");
  tell("pusher:subscribe", { channel });
};

// --- snippets ---------------------------------------------------------------

function codeBlock(title, text, command) {
  const block = $("code-block").content.firstElementChild.cloneNode(true);
  block.classList.toggle("command", command); // long lines of a command wrap, those of code do not
  block.querySelector(".code-head span").textContent = title;
  block.querySelector("code").textContent = text;
  const button = block.querySelector("button");
  button.setAttribute("aria-label", `Copy: ${title}`);
  button.onclick = async () => {
    button.textContent = (await copy(text, block.querySelector("code"))) ? "Copied" : "Press Ctrl+C";
    setTimeout(() => (button.textContent = "Copy"), 1600);
  };
  return block;
}

// copy falls back to selecting the text where the page may not use the clipboard.
async function copy(text, element) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    getSelection().selectAllChildren(element);
    return false;
  }
}

function choose(snippet, button) {
  for (const other of $("tabs").children) {
    other.setAttribute("aria-selected", String(other === button));
    other.tabIndex = other === button ? 0 : -1;
  }
  $("panel").setAttribute("aria-labelledby", button.id);
  const blocks = [];
  if (snippet.install) blocks.push(codeBlock("Once, in an empty folder", snippet.install, true));
  blocks.push(codeBlock(snippet.file || "Terminal", snippet.code, !snippet.file));
  if (snippet.run) blocks.push(codeBlock("Run", snippet.run, true));
  $("panel").replaceChildren(...blocks);
}

function showSnippets(snippets) {
  for (const snippet of snippets) {
    const button = document.createElement("button");
    button.type = "button";
    button.role = "tab";
    button.id = `tab-${snippet.id}`;
    button.textContent = snippet.title;
    button.setAttribute("aria-controls", "panel");
    button.onclick = () => choose(snippet, button);
    $("tabs").append(button);
  }
  $("tabs").onkeydown = (key) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key.key];
    const all = [...$("tabs").children];
    if (!step) return;
    const next = all.at((all.indexOf(document.activeElement) + step) % all.length);
    next.focus();
    next.click();
  };
  $("tabs").firstElementChild?.click();
}

// --- start ------------------------------------------------------------------

async function start() {
  const response = await fetch("/playground/config.json");
  config = await response.json();
  $("app-id").textContent = config.app_id;
  $("key").textContent = config.key;
  channel = $("channel").value = config.channel;
  $("live-channel").textContent = channel;
  $("second").href = location.href;
  if (token === "") note("Watching only. To send, open the link with ?token= that the terminal printed.");
  showSnippets(config.snippets);
  connect();
}

start().catch(() => showState("refused", "The server does not answer"));
