// Calls of openai-node against a server: node conformance.js URL FILE. A line of JSON a call; see conformance.py.
const fs = require("fs");
const { OpenAI, toFile } = require("openai");
const { OpenAIRealtimeWS } = require("openai/realtime/ws");
const [url, name, text, secure] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
const file = () => fs.createReadStream(name);
const model = "whisper-1";
const create = (more) => client.audio.transcriptions.create({ file: file(), model, ...more });
const same = (found) => found.trim() === text;

const calls = {
  "models.list": async () => (await client.models.list()).data.length > 0,
  "models.retrieve": async () => (await client.models.retrieve("secateur-en-small")).id === "secateur-en-small",
  "transcriptions, json": async () => same((await create()).text),
  "transcriptions, text": async () => same(await create({ response_format: "text" })),
  "transcriptions, srt": async () => (await create({ response_format: "srt" })).includes(" --> "),
  "transcriptions, vtt": async () => (await create({ response_format: "vtt" })).startsWith("WEBVTT"),
  "transcriptions, verbose_json with words and segments": async () => {
    const found = await create({ response_format: "verbose_json", timestamp_granularities: ["word", "segment"] });
    return found.words.length > 2 && found.segments[0].tokens.length > 0 && same(found.text);
  },
  "transcriptions, include logprobs": async () =>
    same((await create({ include: ["logprobs"] })).logprobs.map((one) => one.token).join("")),
  "transcriptions, stream": async () => {
    let done = "";
    for await (const event of await create({ stream: true })) if (event.type === "transcript.text.done") done = event.text;
    return same(done);
  },
  "transcriptions, prompt of 100 kB, temperature, language": async () =>
    same((await create({ prompt: "word ".repeat(20000), temperature: 0, language: "en" })).text),
  "an upload from memory": async () =>
    same((await create({ file: await toFile(fs.readFileSync(name), "a.wav") })).text),
  "translations: 404 with the reason": async () => {
    try { await client.audio.translations.create({ file: file(), model }); } catch (problem) {
      return problem.status === 404 && problem.message.includes("does not translate");
    }
  },
  "an unknown field: 400 by its name": async () => {
    try { await create({ langauge: "en" }); } catch (problem) { return problem.status === 400 && problem.param === "langauge"; }
  },
  "realtime, commits": () => new Promise((resolve, reject) => {
    // It speaks TLS alone, whatever the address says: a proxy with TLS stands before the server.
    const other = new OpenAI({ baseURL: `${secure}/v1`, apiKey: "none" });
    const socket = new OpenAIRealtimeWS({ model: "gpt-realtime" }, other);
    setTimeout(() => reject(new Error("no transcript")), 60000).unref();
    socket.on("error", reject);
    socket.on("session.created", () => socket.send({ type: "session.update", session: {
      type: "transcription",
      audio: { input: { format: { type: "audio/pcm", rate: 24000 }, turn_detection: null } } } }));
    socket.on("session.updated", () => {
      const data = fs.readFileSync(`${name}.pcm24`);
      for (let at = 0; at < data.length; at += 9600)
        socket.send({ type: "input_audio_buffer.append", audio: data.subarray(at, at + 9600).toString("base64") });
      socket.send({ type: "input_audio_buffer.commit" });
    });
    socket.on("conversation.item.input_audio_transcription.completed", (event) => {
      socket.close();
      resolve(event.transcript.split(" ").length > 3);
    });
  }),
};

(async () => {
  for (const [call, run] of Object.entries(calls)) {
    let passed = false, detail = "";
    try { passed = Boolean(await run()); } catch (problem) { detail = String(problem.message || problem); }
    console.log(JSON.stringify({ call, passed, detail }));
  }
  process.exit(0);
})();
