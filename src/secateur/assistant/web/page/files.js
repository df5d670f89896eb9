// The second tab: a recording to text, piece by piece, so that there is progress and a long file can be stopped.
import { wav } from "./audio.js";
import { ask } from "./server.js";

const $ = (id) => document.getElementById(id);
const RATE = 16000;
const PIECE = 28; // seconds at the most; cut where it is quietest in the last eight
const UNSURE = 0.6; // probability of a word below which it is underlined
const LINE = 42; // letters of a subtitle
let job = null;

async function decode(file) {
  const context = new OfflineAudioContext(1, RATE, RATE);
  const sound = await context.decodeAudioData(await file.arrayBuffer());
  const mixed = new Float32Array(sound.length);
  for (let channel = 0; channel < sound.numberOfChannels; channel++) {
    const samples = sound.getChannelData(channel);
    for (let i = 0; i < mixed.length; i++) mixed[i] += samples[i] / sound.numberOfChannels;
  }
  return mixed;
}

function cuts(samples) {
  const found = [];
  let begin = 0;
  const step = RATE / 10;
  while (samples.length - begin > PIECE * RATE) {
    let best = begin + PIECE * RATE, least = Infinity;
    for (let at = begin + (PIECE - 8) * RATE; at < begin + PIECE * RATE; at += step) {
      let energy = 0;
      for (let i = at - step; i < at + step; i++) energy += samples[i] * samples[i];
      if (energy < least) { least = energy; best = at; }
    }
    found.push([begin, best]);
    begin = best;
  }
  found.push([begin, samples.length]);
  return found;
}

function block(samples) {
  const found = new Int16Array(samples.length);
  for (let i = 0; i < samples.length; i++) found[i] = Math.max(-32768, Math.min(32767, Math.round(samples[i] * 32767)));
  return found;
}

async function recognise(blob, name, offset, signal) {
  const form = new FormData();
  form.append("file", blob, name);
  form.append("model", "default");
  form.append("response_format", "verbose_json");
  form.append("timestamp_granularities[]", "word");
  form.append("timestamp_granularities[]", "segment");
  const answer = await (await ask("v1/audio/transcriptions", { method: "POST", body: form, signal })).json();
  const move = (one) => ({ ...one, start: one.start + offset, end: one.end + offset });
  const words = (answer.words || []).map(move);
  if (words.length) return words;
  return (answer.segments || []).map(move).map(({ text, start, end }) => ({ word: text.trim(), start, end }));
}

function show(words) {
  $("written").hidden = false;
  $("words").replaceChildren(...words.flatMap((one) => {
    const word = document.createElement("span");
    word.textContent = one.word;
    if (one.probability !== undefined) word.title = `${Math.round(100 * one.probability)} % sure`;
    if (one.probability < UNSURE) word.className = "unsure";
    return [word, gap(one.word) ? " " : ""];
  }));
}

const gap = (word) => !/[\u3400-\u9fff]$/.test(word);
const joined = (words) => words.map(({ word }) => word + (gap(word) ? " " : "")).join("").trim();

function subtitles(words) {
  const lines = [];
  for (const one of words) {
    const last = lines.at(-1);
    const fits = last && joined([...last, one]).length <= LINE && one.start - last.at(-1).end < 0.8;
    if (fits) last.push(one);
    else lines.push([one]);
  }
  const clock = (seconds) => {
    const whole = Math.round(1000 * seconds);
    const part = (size, over) => String(Math.floor(whole / size) % over).padStart(2, "0");
    return `${part(3600000, 100)}:${part(60000, 60)}:${part(1000, 60)},${String(whole % 1000).padStart(3, "0")}`;
  };
  return lines.map((line, i) => `${i + 1}\n${clock(line[0].start)} --> ${clock(line.at(-1).end)}\n${joined(line)}\n`).join("\n");
}

function offer(id, text, kind, name) {
  const link = $(id);
  if (link.href) URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob([text], { type: `${kind};charset=utf-8` }));
  link.download = name;
}

async function transcribe(file) {
  job?.abort();
  const mine = job = new AbortController();
  const words = [];
  const bar = $("progress");
  bar.hidden = false;
  bar.removeAttribute("value");
  $("stop").hidden = false;
  $("written").hidden = true;
  $("file-state").textContent = `${file.name}: reading…`;
  let state = "";
  try {
    const samples = await decode(file).catch(() => null);
    if (samples === null) { // a format that this browser cannot read: the server may
      $("file-state").textContent = `${file.name}: recognising…`;
      words.push(...await recognise(file, file.name, 0, mine.signal));
    } else {
      const pieces = cuts(samples);
      for (const [i, [begin, end]] of pieces.entries()) {
        bar.value = i / pieces.length;
        $("file-state").textContent = `${file.name}: ${Math.round(begin / RATE)} of ${Math.round(samples.length / RATE)} s`;
        const sound = wav([block(samples.subarray(begin, end))], RATE);
        words.push(...await recognise(sound, "piece.wav", begin / RATE, mine.signal));
        show(words);
      }
    }
    state = `${file.name}: ${words.length ? "done" : "no speech in it"}`;
  } catch (problem) {
    state = problem.name === "AbortError" ? `${file.name}: stopped` : `${file.name}: ${problem.message}`;
  }
  if (mine !== job) return; // another file has taken its place
  $("file-state").textContent = state;
  bar.hidden = true;
  $("stop").hidden = true;
  if (words.length) show(words);
  const name = file.name.replace(/\.[^.]*$/, "") || "recording";
  offer("as-text", `${joined(words)}\n`, "text/plain", `${name}.txt`);
  offer("as-srt", subtitles(words), "application/x-subrip", `${name}.srt`);
}

$("recording").addEventListener("change", ({ target }) => { if (target.files.length) transcribe(target.files[0]); });
$("stop").addEventListener("click", () => job?.abort());
for (const kind of ["dragover", "dragleave", "drop"]) {
  $("drop").addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) transcribe(event.dataTransfer.files[0]);
  });
}
