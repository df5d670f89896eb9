// Microphone samples in blocks of about a tenth of a second, as 16-bit PCM.
class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.size = Math.round(sampleRate / 10);
    this.block = new Int16Array(this.size);
    this.at = 0;
  }

  process(inputs) {
    const samples = inputs[0][0];
    if (!samples) return true;
    for (const sample of samples) {
      this.block[this.at++] = Math.max(-32768, Math.min(32767, Math.round(sample * 32767)));
      if (this.at === this.size) {
        this.port.postMessage(this.block.buffer, [this.block.buffer]);
        this.block = new Int16Array(this.size);
        this.at = 0;
      }
    }
    return true;
  }
}
registerProcessor("capture", Capture);
