// Timers that run and ring: asked for every second while there are some, else now and then.
import { ask, askJson } from "./server.js";

const $ = (id) => document.getElementById(id);
let next = null;
let sound = null;

function clock(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return (parts[0] ? parts : parts.slice(1)).map((part) => String(part).padStart(2, "0")).join(":");
}

// A short tone, again and again until somebody stops it.
function ring(on) {
  if (on && !sound) {
    const context = new AudioContext();
    const beep = () => {
      const tone = context.createOscillator(), gain = context.createGain();
      tone.frequency.value = 880;
      gain.gain.setValueAtTime(0.2, context.currentTime);
      gain.gain.exponentialRampToValueAtTime(0.001, context.currentTime + 0.4);
      tone.connect(gain).connect(context.destination);
      tone.start();
      tone.stop(context.currentTime + 0.45);
    };
    beep();
    sound = { context, again: setInterval(beep, 900) };
  } else if (!on && sound) {
    clearInterval(sound.again);
    sound.context.close();
    sound = null;
  }
}

function line(text, id, rings) {
  const item = document.createElement("li");
  item.className = rings ? "rings" : "";
  const label = document.createElement("span");
  label.textContent = text;
  if (rings) label.setAttribute("role", "alert");
  const stop = document.createElement("button");
  stop.className = "plain";
  stop.textContent = rings ? "Stop" : "Cancel";
  stop.setAttribute("aria-label", `${stop.textContent}: ${text}`);
  stop.addEventListener("click", async () => {
    await ask(`v1/assistant/timers/${encodeURIComponent(id)}`, { method: "DELETE" }).catch(() => {});
    watchTimers();
  });
  item.append(label, stop);
  return item;
}

export async function watchTimers() {
  clearTimeout(next);
  let some = false;
  try {
    const { running, ringing } = await askJson("v1/assistant/timers");
    some = running.length + ringing.length > 0;
    $("timers").hidden = !some;
    const lines = [
      ...ringing.map((one) => line(one.text, one.id, true)),
      ...running.map((one) => line(one.kind === "alarm"
        ? `Alarm at ${new Date(1000 * one.ends).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}`
        : `${clock(one.left)} of ${clock(one.seconds)}`, one.id, false)),
    ];
    const before = document.activeElement?.getAttribute("aria-label");
    $("running").replaceChildren(...lines);
    if (before) [...$("running").querySelectorAll("button")].find((one) => one.ariaLabel === before)?.focus();
    ring(ringing.length > 0);
  } catch { /* the next look may reach the server again */ }
  next = setTimeout(watchTimers, some ? 1000 : 10000);
}

watchTimers();
