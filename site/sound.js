// Frames, spectrograms and log-mels with the numbers of course_lib/audio/features.py, and the way back to a sound.
// The page and its worker both run this file, after fft.js, which defines FFT. Arrays are float64 unless stated otherwise.

const msToSamples = (ms, rateHz) => Math.floor(Math.round(ms * rateHz * 1000) / 1e6 + 0.5);

// Centred frames of an even transform: one on every hop, the first on the first sample.
const countFrames = (nSamples, hop) => 1 + Math.floor(nSamples / hop);

const hann = n => Float64Array.from({ length: n }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / n));

// --- Mel bands

// Slaney's scale: linear up to 1 kHz, logarithmic above.
const hzToMel = hz => (hz < 1000 ? (3 * hz) / 200 : 15 + (27 * Math.log(hz / 1000)) / Math.log(6.4));
const melToHz = mel => (mel < 15 ? (200 * mel) / 3 : 1000 * Math.exp(((mel - 15) * Math.log(6.4)) / 27));

// Edges of the bands in Hz: band i rises from edge i to edge i + 1 and falls to edge i + 2.
function melEdges(spec) {
  const low = hzToMel(spec.fminHz);
  const step = (hzToMel(spec.topHz) - low) / (spec.nMels + 1);
  return Float64Array.from({ length: spec.nMels + 2 }, (_, i) => melToHz(low + i * step));
}

// The smallest power of two that holds the window and puts a bin into every mel band.
function chooseFftSize(windowSamples, spec) {
  const edges = melEdges(spec);
  let narrowest = Infinity;
  for (let i = 0; i < spec.nMels; i++) narrowest = Math.min(narrowest, edges[i + 2] - edges[i]);
  const enough = Math.max(windowSamples, Math.ceil(spec.rateHz / narrowest));
  let size = 1;
  while (size < enough) size *= 2;
  return size;
}

// For each band its first Fourier bin and the weights from there on: triangles of equal area.
function melBank(nFft, spec) {
  const edges = melEdges(spec);
  return Array.from({ length: spec.nMels }, (_, band) => {
    const [low, centre, high] = edges.subarray(band, band + 3);
    const first = Math.ceil((low * nFft) / spec.rateHz);
    const weights = [];
    for (let bin = first; bin <= nFft / 2 && (bin * spec.rateHz) / nFft < high; bin++) {
      const hz = (bin * spec.rateHz) / nFft;
      const height = Math.min((hz - low) / (centre - low), (high - hz) / (high - centre));
      weights.push((Math.max(height, 0) * 2) / (high - low));
    }
    return { first, weights: Float64Array.from(weights) };
  });
}

// --- Frames

// Everything that frames with one window and hop need. A longer transform `nFft` pads each frame with more zeros.
function makePlan(spec, windowMs, hopMs, nFft = 0) {
  const window = msToSamples(windowMs, spec.rateHz);
  const size = nFft || chooseFftSize(window, spec);
  return {
    spec, window, hop: msToSamples(hopMs, spec.rateHz), nFft: size, bins: size / 2 + 1,
    before: Math.floor((size - window) / 2), // zeros before the window, inside the transform
    shape: hann(window), fft: new FFT(size), bank: melBank(size, spec),
    frame: new Float64Array(size), spectrum: new Float64Array(2 * size),
  };
}

// Transform frame `k` of `x` into `plan.spectrum`: real and imaginary parts in turn, up to half the rate.
function transformFrame(x, k, plan) {
  const { frame, shape, before } = plan;
  const start = k * plan.hop - plan.nFft / 2 + before;
  const from = Math.max(0, -start);
  const to = Math.min(plan.window, x.length - start);
  frame.fill(0);
  for (let i = from; i < to; i++) frame[before + i] = x[start + i] * shape[i];
  plan.fft.realTransform(plan.spectrum, frame);
}

// Squared magnitude of every bin of frame `k`, written to `power`.
function framePower(x, k, plan, power) {
  transformFrame(x, k, plan);
  const { spectrum, bins } = plan;
  for (let bin = 0; bin < bins; bin++) {
    const re = spectrum[2 * bin], im = spectrum[2 * bin + 1];
    power[bin] = re * re + im * im;
  }
  return power;
}

// Power in each mel band of one frame, written to `mels`.
function melPower(power, plan, mels) {
  for (let band = 0; band < mels.length; band++) {
    const { first, weights } = plan.bank[band];
    let sum = 0;
    for (let i = 0; i < weights.length; i++) sum += weights[i] * power[first + i];
    mels[band] = sum;
  }
  return mels;
}

const toDb = (power, floor) => 10 * Math.log10(Math.max(power, floor));

// Log-mel of `x` in dB, one row of bands for each frame: what `log_mel` of the library returns.
function logMel(x, plan) {
  const power = new Float64Array(plan.bins), mels = new Float64Array(plan.spec.nMels);
  return Array.from({ length: countFrames(x.length, plan.hop) }, (_, k) =>
    Float64Array.from(melPower(framePower(x, k, plan, power), plan, mels), p => toDb(p, plan.spec.floor)));
}

// --- From magnitudes back to a sound

// Samples from the spectra of all frames: overlap-add, divided by the sum of the squared windows.
// Where the windows hardly reach, between frames that do not overlap, the sound fades out.
function overlapAdd(spectra, nSamples, plan) {
  const { shape, window, before, bins, nFft } = plan;
  const x = new Float64Array(nSamples), squares = new Float64Array(nSamples);
  const full = new Float64Array(2 * nFft), back = new Float64Array(2 * nFft);
  for (let k = 0; k * 2 * bins < spectra.length; k++) {
    full.set(spectra.subarray(k * 2 * bins, (k + 1) * 2 * bins));
    plan.fft.completeSpectrum(full);
    plan.fft.inverseTransform(back, full);
    const start = k * plan.hop - nFft / 2 + before;
    const to = Math.min(window, nSamples - start);
    for (let i = Math.max(0, -start); i < to; i++) {
      x[start + i] += back[2 * (before + i)] * shape[i];
      squares[start + i] += shape[i] * shape[i];
    }
  }
  const least = 0.02 * squares.reduce((a, b) => Math.max(a, b), 0);
  for (let i = 0; i < nSamples; i++) x[i] /= Math.max(squares[i], least);
  return x;
}

// A sound whose frames have the magnitudes of those of `x`, found without their phases: Griffin and Lim's iteration
// (IEEE Trans. ASSP 32, 1984) with the momentum of Perraudin, Balazs and Søndergaard (WASPAA 2013), as in librosa.
// Returns the samples and the relative error of their magnitudes; calls `progress` with the share that is done.
function griffinLim(x, plan, iterations, progress) {
  const MOMENTUM = 0.99;
  const nFrames = countFrames(x.length, plan.hop), width = 2 * plan.bins;
  const magnitudes = new Float32Array(nFrames * plan.bins);
  const spectra = new Float32Array(nFrames * width), last = new Float32Array(nFrames * width);
  let seed = 1;
  const phase = () => 2 * Math.PI * ((seed = (seed * 16807) % 2147483647) / 2147483647); // the same at every visit
  for (let k = 0, at = 0; k < nFrames; k++) {
    transformFrame(x, k, plan);
    for (let bin = 0; bin < plan.bins; bin++, at++) {
      const angle = phase();
      magnitudes[at] = Math.hypot(plan.spectrum[2 * bin], plan.spectrum[2 * bin + 1]);
      spectra[2 * at] = magnitudes[at] * Math.cos(angle);
      spectra[2 * at + 1] = magnitudes[at] * Math.sin(angle);
    }
  }
  let rebuilt = overlapAdd(spectra, x.length, plan), error = 0;
  for (let turn = 0; turn < iterations; turn++) {
    let wrong = 0, all = 0;
    for (let k = 0, at = 0; k < nFrames; k++) {
      transformFrame(rebuilt, k, plan);
      for (let bin = 0; bin < plan.bins; bin++, at++) {
        const re = plan.spectrum[2 * bin], im = plan.spectrum[2 * bin + 1];
        const ahead = turn ? MOMENTUM / (1 + MOMENTUM) : 0;
        const towardsRe = re - ahead * last[2 * at], towardsIm = im - ahead * last[2 * at + 1];
        const scale = magnitudes[at] / (Math.hypot(towardsRe, towardsIm) + 1e-16);
        wrong += (Math.hypot(re, im) - magnitudes[at]) ** 2;
        all += magnitudes[at] ** 2;
        last[2 * at] = re;
        last[2 * at + 1] = im;
        spectra[2 * at] = towardsRe * scale;
        spectra[2 * at + 1] = towardsIm * scale;
      }
    }
    rebuilt = overlapAdd(spectra, x.length, plan);
    error = all ? Math.sqrt(wrong / all) : 0;
    progress((turn + 1) / iterations);
  }
  return { samples: rebuilt, error };
}
