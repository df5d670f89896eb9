// What the page asks the server.

// A name for this tab: its conversation is its own.
export const client = sessionStorage.getItem("secateur-client") || crypto.getRandomValues(new Uint32Array(2)).join("");
sessionStorage.setItem("secateur-client", client);

let key = sessionStorage.getItem("secateur-key") || "";

export async function ask(path, options = {}) {
  const headers = { ...(options.headers || {}), ...(key ? { Authorization: `Bearer ${key}` } : {}) };
  const answer = await fetch(path, { ...options, headers });
  if (answer.status === 401) {
    await askKey();
    return ask(path, options);
  }
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw new Error(problem.error?.message || `The server answered ${answer.status}`);
  }
  return answer;
}

export const askJson = async (path, options) => (await ask(path, options)).json();

function askKey() {
  const dialog = document.getElementById("ask-key");
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      key = document.getElementById("key").value.trim();
      sessionStorage.setItem("secateur-key", key);
      resolve();
    }, { once: true });
    if (!dialog.open) dialog.showModal();
  });
}

// A stream of commands; `on` has partial, final, reply, error and done.
export function listen(rate, on) {
  const base = new URL(`v1/assistant/listen?client=${client}`, location.href);
  base.protocol = base.protocol.replace("http", "ws");
  const socket = new WebSocket(base);
  socket.binaryType = "arraybuffer";
  const waiting = [];
  let ready = false;
  socket.onopen = () => socket.send(JSON.stringify({ type: "start", sample_rate: rate, ...(key ? { key } : {}) }));
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "ready") {
      ready = true;
      waiting.splice(0).forEach((block) => socket.send(block));
    }
    on[message.type]?.(message);
  };
  socket.onclose = () => on.closed?.();
  return {
    send: (block) => (ready ? socket.send(block) : waiting.push(block)),
    end: () => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify({ type: "end" })),
  };
}
