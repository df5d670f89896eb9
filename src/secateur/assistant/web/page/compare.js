// The second tab: every loaded model on the same clip, what is left of their layers, sensitivity plots.
import { Microphone, wav } from "./audio.js";
import { ask, askJson } from "./server.js";

const $ = (id) => document.getElementById(id);
let started = false;
let recording = null;

export async function startCompare() {
  if (started) return;
  started = true;
  try {
    const about = await askJson("v1/compare");
    table(about.models);
    widths(about.models);
    plots(about.plots);
  } catch (problem) {
    started = false;
    $("clip").textContent = problem.message;
  }
}

function cell(text, kind = "", unit = "") {
  const one = document.createElement("td");
  if (unit) one.dataset.unit = unit;
  one.className = kind;
  one.textContent = text;
  return one;
}

const million = (count) => (count ? `${(count / 1e6).toFixed(1)} M` : "");

function table(models, results = {}) {
  $("results").tBodies[0].replaceChildren(...models.map((model) => {
    const row = document.createElement("tr");
    const found = results[model.name];
    row.append(cell(model.name), cell(found ? found.text || "(nothing)" : "—"), cell(found ? found.ms : "—", "num", "ms"),
      cell(model.megabytes.toFixed(1), "num", "MB"), cell(million(model.parameters), "num", "parameters"));
    return row;
  }));
}

function widths(models) {
  // A full bar is the original's width: of the model that these were pruned from, or where it is not known of the widest here.
  const first = models.find((model) => model.original)?.original;
  const widest = (name) => Math.max(...models.map((model) => model.layers[name] || 0));
  const most = (name) => Math.max(first?.layers[name] || 0, widest(name)) || 1;
  const known = first ? first.layers : models[0].layers;
  const names = models.map((model) => model.name).join(", ");
  $("left-of").textContent = `${models.length > 1 ? `From top to bottom: ${names}. ` : ""}A full bar is ${first ? `the original, ${first.name}` : "the widest model here"}.`;
  $("widths").replaceChildren(...Object.keys(known).map((name) => {
    const line = document.createElement("div");
    line.className = "layer";
    const title = document.createElement("div");
    title.textContent = name;
    const bars = document.createElement("div");
    bars.className = "bars";
    for (const model of models) {
      const bar = document.createElement("div");
      bar.className = "bar";
      bar.title = `${model.name}: ${model.layers[name] || 0} of ${most(name)}`;
      const fill = document.createElement("i");
      fill.style.width = `${(100 * (model.layers[name] || 0)) / most(name)}%`;
      const count = document.createElement("span");
      count.textContent = `${Math.round((100 * (model.layers[name] || 0)) / most(name))} %`;
      bar.append(fill, count);
      bars.append(bar);
    }
    line.append(title, bars);
    return line;
  }));
}

async function plots(files) {
  $("plots").hidden = !files.length;
  for (const name of files) {
    const answer = await ask(`v1/plots/${encodeURIComponent(name)}`);
    if (name.endsWith(".json")) sensitivity(await answer.json());
    else {
      const image = new Image();
      image.src = URL.createObjectURL(await answer.blob());
      image.alt = name;
      $("images").append(image);
    }
  }
}

// A map as `secateur sensitivity` writes it: layers down, parts across, the change when the most of a site goes.
function sensitivity(map) {
  const best = new Map(); // of several sites or amounts in one cell, the one whose removal hurts least
  const change = (site) => (site.error ?? site.loss)?.delta;
  for (const site of map.sites) {
    if (change(site) === undefined) continue;
    const key = `${site.layer}|${site.part}`;
    if (!best.has(key) || change(site) < change(best.get(key))) best.set(key, site);
  }
  const layers = [...new Set(map.sites.map((site) => site.layer))];
  const parts = [...new Set(map.sites.map((site) => site.part))];
  const top = Math.max(1e-9, ...[...best.values()].map((site) => Math.abs(change(site))));
  const grid = document.createElement("table");
  const title = grid.createCaption();
  title.textContent = `${map.model} on ${map.data}: change when a part is taken away, points of error (or nats); green is better without it`;
  const head = grid.createTHead().insertRow();
  head.append(...["", ...parts].map((part) => {
    const one = document.createElement("th");
    one.textContent = part;
    return one;
  }));
  const body = grid.createTBody();
  for (const layer of layers) {
    const row = body.insertRow();
    const name = document.createElement("th");
    name.textContent = layer;
    row.append(name);
    for (const part of parts) {
      const site = best.get(`${layer}|${part}`);
      if (!site) { row.append(cell("")); continue; }
      const value = change(site);
      const one = cell(site.error ? (100 * value).toFixed(2) : value.toFixed(3), "filled");
      one.title = `${site.site}, ${Math.round(100 * site.amount)} % taken away`;
      const share = Math.round((70 * Math.abs(value)) / top);
      one.style.background = `color-mix(in srgb, ${value > 0 ? "#d2553d" : "#2f9e74"} ${share}%, #f2f4f1)`;
      row.append(one);
    }
  }
  $("map").replaceChildren(grid);
}

async function compare(blob, name) {
  $("clip").textContent = `${name}: listening…`;
  const form = new FormData();
  form.append("file", blob, "clip");
  try {
    const found = await askJson("v1/compare", { method: "POST", body: form });
    table(found.models, Object.fromEntries(found.models.map((model) => [model.name, model])));
    $("clip").textContent = `${name}: ${found.seconds.toFixed(1)} s`;
  } catch (problem) { $("clip").textContent = problem.message; }
}

$("file").addEventListener("change", ({ target }) => {
  if (target.files.length) compare(target.files[0], target.files[0].name);
});

$("record").addEventListener("click", async () => {
  const button = $("record");
  if (recording) {
    const { microphone, blocks, rate } = recording;
    microphone.stop();
    recording = null;
    button.textContent = "Record";
    button.setAttribute("aria-pressed", "false");
    await compare(wav(blocks, rate), "Recording");
    return;
  }
  const microphone = new Microphone();
  const blocks = [];
  try {
    const rate = await microphone.start((block) => blocks.push(block));
    recording = { microphone, blocks, rate };
    button.textContent = "Stop and compare";
    button.setAttribute("aria-pressed", "true");
    $("clip").textContent = "Recording…";
  } catch (problem) { $("clip").textContent = problem.message; }
});
