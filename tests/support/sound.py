"""How loud a page is: measured where the browser plays it."""

from __future__ import annotations

from typing import Final

PEAK: Final = """async (element) => {
  const audio = element ?? document.querySelector("audio");
  const context = new AudioContext();
  const meter = new AnalyserNode(context);
  new MediaStreamAudioSourceNode(context, { mediaStream: audio.srcObject }).connect(meter);
  const samples = new Float32Array(meter.fftSize);
  let peak = 0;
  const end = performance.now() + 6000;
  while (performance.now() < end && peak < 0.02) {
    meter.getFloatTimeDomainData(samples);
    peak = Math.max(peak, ...samples.map(Math.abs));
    await new Promise((done) => setTimeout(done, 50));
  }
  await context.close();
  return peak;
}"""
"""JavaScript: the loudest sample in six seconds, 0 to 1, of an `<audio>` or of the page's first."""
