// The microphone as 16-bit blocks, and a WAV file of them.

export class Microphone {
  // onBlock gets an Int16Array about every tenth of a second.
  async start(onBlock) {
    this.stream = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: true, noiseSuppression: false, autoGainControl: true },
    });
    this.context = new AudioContext();
    await this.context.resume();
    await this.context.audioWorklet.addModule("worklet.js");
    this.node = new AudioWorkletNode(this.context, "capture", { numberOfOutputs: 0 });
    this.node.port.onmessage = (message) => onBlock(new Int16Array(message.data));
    this.context.createMediaStreamSource(this.stream).connect(this.node);
    return this.context.sampleRate;
  }

  stop() {
    this.node?.port.close();
    this.stream?.getTracks().forEach((track) => track.stop());
    this.context?.close();
  }
}

export function level(block) {
  let sum = 0;
  for (const sample of block) sum += sample * sample;
  return Math.min(1, Math.sqrt(sum / block.length) / 9000);
}

export function wav(blocks, rate) {
  const bytes = blocks.reduce((sum, block) => sum + block.byteLength, 0);
  const view = new DataView(new ArrayBuffer(44));
  const word = (at, text) => [...text].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  word(0, "RIFF"); view.setUint32(4, 36 + bytes, true); word(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true); view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  word(36, "data"); view.setUint32(40, bytes, true);
  return new Blob([view, ...blocks], { type: "audio/wav" });
}

// A scrolling picture of the level.
export class Wave {
  constructor(canvas) {
    this.canvas = canvas;
    this.levels = [];
    this.draw();
    addEventListener("resize", () => this.draw());
  }

  add(block) {
    const parts = 4;
    for (let i = 0; i < parts; i++) {
      const piece = block.subarray((i * block.length) / parts, ((i + 1) * block.length) / parts);
      this.levels.push(level(piece));
    }
    this.levels = this.levels.slice(-400);
    this.draw();
  }

  draw() {
    const { canvas } = this;
    const scale = devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    canvas.width = width * scale;
    canvas.height = height * scale;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--leaf");
    const step = 5, count = Math.floor(width / step);
    for (let i = 0; i < count; i++) {
      const value = this.levels[this.levels.length - count + i] ?? 0;
      const tall = Math.max(2, value * (height - 8));
      pen.globalAlpha = value ? 0.35 + 0.65 * (i / count) : 0.2;
      pen.beginPath();
      pen.roundRect(i * step, (height - tall) / 2, 3, tall, 1.5);
      pen.fill();
    }
  }
}
