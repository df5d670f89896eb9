import { Microphone, Wave, level } from "./audio.js";
import { startCompare } from "./compare.js";
import "./files.js";
import { watchTimers } from "./timers.js";
import { ask, askJson, client, listen } from "./server.js";

const $ = (id) => document.getElementById(id);
const wave = new Wave($("wave"));
let session = null;
let speaking = false;

// Tabs, by mouse and by arrow keys.
const tabs = [...document.querySelectorAll("[role=tab]")];
function show(tab) {
  for (const one of tabs) {
    const chosen = one === tab;
    one.setAttribute("aria-selected", chosen);
    one.tabIndex = chosen ? 0 : -1;
    $(one.getAttribute("aria-controls")).hidden = !chosen;
  }
  if (tab.id === "tab-compare") startCompare();
  else wave.draw();
}
tabs.forEach((tab, i) => {
  tab.addEventListener("click", () => show(tab));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = tabs[(i + step + tabs.length) % tabs.length];
    next.focus();
    show(next);
  });
});

function live(text, open) {
  const line = document.createElement("span");
  line.className = open ? "open" : "";
  line.textContent = text;
  $("live").replaceChildren(line);
}

function tag(kind, name, value) {
  const one = document.createElement("span");
  one.className = `tag ${kind}`;
  if (value === undefined) one.textContent = name;
  else {
    const bold = document.createElement("b");
    bold.textContent = value;
    one.append(`${name}: `, bold);
  }
  return one;
}

async function addReply(reply) {
  const item = document.createElement("li");
  const heard = document.createElement("div");
  heard.className = "heard";
  heard.textContent = reply.heard;
  const answer = document.createElement("div");
  answer.className = "answer";
  answer.textContent = reply.answer;
  const tags = document.createElement("div");
  tags.className = "tags";
  const orders = reply.intent ? [{ intent: reply.intent, slots: reply.slots }, ...(reply.also || [])] : [];
  for (const order of orders) {
    tags.append(tag("intent", order.intent));
    for (const [name, value] of Object.entries(order.slots)) tags.append(tag("slot", name, value));
  }
  if (orders.length) tags.append(tag("none", `${Math.round(100 * reply.confidence)} % sure`));
  else tags.append(tag("none", "no command"));
  if (reply.ms !== undefined) tags.append(tag("none", `${reply.ms} ms`));
  item.append(heard, answer, tags);
  $("replies").prepend(item);
  watchTimers();
  if ($("speak").checked && reply.answer) await say(reply.answer);
}

async function say(text) {
  const sound = await ask(`v1/assistant/speech?text=${encodeURIComponent(text)}`);
  const url = URL.createObjectURL(await sound.blob());
  const player = new Audio(url);
  speaking = true; // what the loudspeaker says is not a command
  player.onended = () => { speaking = false; URL.revokeObjectURL(url); };
  player.play().catch(() => { speaking = false; });
}

function state(text) { $("state").textContent = text; }

async function begin() {
  const microphone = new Microphone();
  const blocks = { send: null };
  try {
    const rate = await microphone.start((block) => {
      wave.add(block);
      $("mic").style.setProperty("--level", level(block));
      if (!speaking) blocks.send?.(block.buffer);
    });
    const stream = listen(rate, {
      ready: () => state("Listening"),
      partial: (event) => live(event.text, true),
      final: (event) => { if (event.text) live(event.text, false); },
      reply: (event) => { live(event.heard, false); addReply(event); },
      error: (event) => { state(event.message); end(); },
      closed: () => end(),
    });
    blocks.send = stream.send;
    session = { microphone, stream };
    $("mic").setAttribute("aria-pressed", "true");
    live("", true);
  } catch (problem) {
    microphone.stop();
    state(problem.name === "NotAllowedError" ? "The browser does not allow the microphone." : problem.message);
  }
}

function end() {
  if (!session) return;
  session.microphone.stop();
  session.stream.end();
  session = null;
  $("mic").setAttribute("aria-pressed", "false");
  if ($("state").textContent === "Listening") state("Ready");
}

const toggle = () => (session ? end() : begin());
$("mic").addEventListener("click", toggle);
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, button, a, dialog");
  if (event.key === " " && !typing && !$("assistant").hidden) { event.preventDefault(); toggle(); }
});

$("typed").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  try {
    const body = JSON.stringify({ text, client });
    await addReply(await askJson("v1/assistant", { method: "POST", body, headers: { "Content-Type": "application/json" } }));
    $("text").value = "";
  } catch (problem) { state(problem.message); }
});

askJson("v1/assistant").then((about) => {
  const first = about.wake ? ` Say "${about.wake}" first.` : "";
  $("grammars").textContent = `Understands: ${about.grammars.join(", ")}.${first}`;
  $("speak").disabled = !about.voice;
  $("text").placeholder = `or type: ${about.examples[0] || "a command"}`;
  $("examples").replaceChildren(...about.examples.map((text) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.className = "example";
    button.textContent = text;
    button.addEventListener("click", () => { $("text").value = text; $("text").focus(); });
    item.append(button);
    return item;
  }));
  const what = { weather: "questions about the weather", home: "commands for the home", orders: "orders",
    chat: "whatever is no command, with the last turns of the conversation," };
  const sent = about.sends.map(({ what: kind, where }) => `${what[kind]} to ${where}`);
  $("sent").textContent = `What you say and type goes to this server (${location.host}), which recognises it itself. ${sent.length
    ? `It sends on: ${sent.join("; ")}. Nothing else.` : "It sends nothing on."}`;
}).catch((problem) => state(problem.message));
