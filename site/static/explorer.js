// The explorer: draws the frames of a sound while its window and hop move, and rebuilds a sound from them.
// The page has put constants and sounds into EXPLORER, and site/sound.js before this file.
(() => {
  "use strict";
  const SPEC = EXPLORER.spec;
  const LONGEST_S = 5, SHORTEST_S = 0.1;
  const MOST_MB = 60, MOST_MINUTES = 5, MOST_MB_UNMEASURED = 5; // what a browser decodes without filling its memory
  const COLUMNS = 600, MOST_ROWS = 260, FEWEST_ROWS = 80; // of the pictures
  const WHOLE_HZ = [0, 8000], RANGE_DB = 70; // shown of a sound that says nothing else
  const REST_MS = 150, SLICE_MS = 10; // before the rest of the work begins, and for one piece of it
  const VISIBLE_DB = 3; // a dip that deep counts as two clicks, or two tones
  const ITERATIONS = 30;
  const EDGE = { left: 46, right: 12, top: 6, bottom: 22 }; // around each picture, in pixels of CSS

  const part = name => document.getElementById(`explorer-${name}`);
  const root = document.getElementById("explorer-app");
  const state = { x: new Float64Array(0), sound: {}, bandHz: WHOLE_HZ, picture: null };

  // --- Words and numbers

  const number = (value, digits = 0) =>
    value.toLocaleString("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits });

  function inWords(macs) {
    if (macs === null) return "too few frames";
    return macs < 1e9 ? `${number(macs / 1e6, 1)} million` : `${number(macs / 1e9, 2)} billion`;
  }

  // Multiply-accumulates of the network for this many frames, or null if there are too few for it.
  function macsOf(nFrames) {
    const { fewest, fixed, perFrame } = EXPLORER.macs;
    if (nFrames < fewest) return null;
    return perFrame.reduce((sum, each, level) => sum + each * Math.floor(nFrames / 2 ** level), fixed);
  }

  // What this window and hop show, in two or more sentences.
  function sentence(windowMs, hopMs) {
    const rate = 1000 / hopMs;
    const perSecond = number(rate, rate < 20 ? 1 : 0);
    const first = `A frame every ${hopMs} ms makes ${perSecond} frames per second.`;
    let second = `Neighbouring windows of ${windowMs} ms overlap by ${number(100 * (1 - hopMs / windowMs))} %.`;
    if (hopMs === windowMs) second = `Neighbouring windows of ${windowMs} ms touch without overlapping.`;
    if (hopMs > windowMs) {
      const unseen = number(100 * (1 - windowMs / hopMs));
      second = `Windows of ${windowMs} ms leave gaps: ${unseen} % of the sound lies between them and is never seen.`;
    }
    return [first, second, ...findings(windowMs, hopMs)].join(" ");
  }

  // Sentences about the synthetic sounds, whose true values are known.
  function findings(windowMs, hopMs) {
    const { clicksS, tonesHz, swingHz } = state.sound;
    const found = [];
    const plan = makePlan(SPEC, windowMs, hopMs);
    const clicks = clicksS && clickDip(state.x, plan, clicksS);
    const tones = tonesHz && toneDip(state.x, windowMs, tonesHz, clicksS);
    if (clicksS) found.push(clicks === null ? "No frame lies between the two clicks."
      : `Between the two clicks the level dips by ${decibels(clicks)}.`);
    if (tonesHz) found.push(`Between the two tones it dips by ${decibels(tones)}.`);
    if (clicksS && tonesHz) {
      const seen = [clicks !== null && clicks >= VISIBLE_DB && "clicks", tones >= VISIBLE_DB && "tones"].filter(Boolean);
      found.push(seen.length === 2 ? "You see both: two clicks and two tones."
        : seen.length ? `You see two ${seen[0]}, but not two ${seen[0] === "clicks" ? "tones" : "clicks"}.`
        : "You see neither two clicks nor two tones.");
    }
    if (swingHz) {
      const swing = strongestSwing(state.x, plan);
      found.push(!swing ? "There are too few frames to show a swing."
        : swing.depth < 0.05 ? `The window has smoothed the swing of ${swingHz} Hz away.`
        : `The loudness swings ${swingHz} times per second; these frames show ${swing.hz} swings per second.`);
    }
    return found;
  }

  const decibels = dip => (dip > 60 ? "more than 60 dB" : `${number(dip, 1)} dB`);

  // How many dB the frames between two clicks are below the weaker click, above 2 kHz; null without such a frame.
  function clickDip(x, plan, [first, second]) {
    const power = new Float64Array(plan.bins);
    const from = Math.ceil((2000 * plan.nFft) / SPEC.rateHz);
    const near = (second - first) / 2;
    let before = 0, after = 0, between = Infinity;
    for (let k = 0; k < countFrames(x.length, plan.hop); k++) {
      const at = (k * plan.hop) / SPEC.rateHz;
      if (at < first - near || at > second + near) continue;
      const energy = framePower(x, k, plan, power).subarray(from).reduce((a, b) => a + b, 0);
      if (at < first + near) before = Math.max(before, energy);
      if (at > second - near) after = Math.max(after, energy);
      if (at > first + 1e-9 && at < second - 1e-9) between = Math.min(between, energy);
    }
    if (between === Infinity) return null;
    return Math.max(0, 10 * Math.log10(Math.min(before, after) / Math.max(between, 1e-12)));
  }

  // How many dB the mean spectrum between two tones is below the weaker tone, where the window contains no click.
  const toneDips = new Map();
  function toneDip(x, windowMs, [low, high], clicksS) {
    const key = `${state.sound.key} ${windowMs}`;
    if (!toneDips.has(key)) {
      const plan = makePlan(SPEC, windowMs, 1, 4096);
      const power = new Float64Array(plan.bins), sum = new Float64Array(plan.bins);
      const endS = clicksS ? clicksS[0] : x.length / SPEC.rateHz;
      const firstFrame = Math.ceil(windowMs / 2 + 1), lastFrame = Math.floor(1000 * endS - windowMs / 2 - 1);
      for (let k = firstFrame; k <= lastFrame; k++) {
        framePower(x, k, plan, power).forEach((p, bin) => { sum[bin] += p; });
      }
      const binOf = hz => Math.round((hz * plan.nFft) / SPEC.rateHz);
      const levels = (fromHz, toHz) => sum.subarray(binOf(fromHz), binOf(toHz) + 1);
      const quarter = (high - low) / 4;
      const lower = Math.max(...levels(low - quarter, low + quarter));
      const upper = Math.max(...levels(high - quarter, high + quarter));
      const between = Math.min(...levels(low, high));
      toneDips.set(key, Math.max(0, 10 * Math.log10(Math.min(lower, upper) / between)));
    }
    return toneDips.get(key);
  }

  // Rate in Hz and depth of the strongest swing of the energy of whole frames, up to half the frame rate.
  function strongestSwing(x, plan) {
    const half = plan.window / 2;
    const energies = [];
    for (let k = 0; k < countFrames(x.length, plan.hop); k++) {
      const start = k * plan.hop - half;
      if (start < 0 || start + plan.window > x.length) continue;
      let energy = 0;
      for (let i = 0; i < plan.window; i++) energy += (x[Math.floor(start) + i] * plan.shape[i]) ** 2;
      energies.push(energy);
    }
    if (energies.length < 8) return null;
    const taper = hann(energies.length);
    const weights = energies.map((energy, k) => energy * taper[k]);
    const sum = weights.reduce((a, b) => a + b, 0), taperSum = taper.reduce((a, b) => a + b, 0);
    const frameRate = SPEC.rateHz / plan.hop;
    let best = { hz: 0, depth: 0 };
    for (let hz = 3; hz <= Math.min(frameRate / 2, 200); hz++) {
      let re = 0, im = 0;
      for (let k = 0; k < weights.length; k++) {
        const angle = (2 * Math.PI * hz * k) / frameRate;
        re += (weights[k] - (sum / taperSum) * taper[k]) * Math.cos(angle);
        im += (weights[k] - (sum / taperSum) * taper[k]) * Math.sin(angle);
      }
      const depth = (2 * Math.hypot(re, im)) / sum;
      if (depth > best.depth) best = { hz, depth };
    }
    return best;
  }

  // --- Pictures

  const bytesOf = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
  const RGB = bytesOf(EXPLORER.colours);

  // An empty picture of the frames: power in rows of bins, and in mel bands, of columns of one frame or several.
  function newPicture(x, windowMs, hopMs, [lowHz, topHz]) {
    const plan = makePlan(SPEC, windowMs, hopMs);
    // Zoomed in, bins would look like blocks: a longer transform, with more zero-padding, adds bins between them
    let size = plan.nFft;
    while (((topHz - lowHz) * size) / SPEC.rateHz < FEWEST_ROWS) size *= 2;
    const view = makePlan(SPEC, windowMs, hopMs, size);
    const firstBin = Math.round((lowHz * size) / SPEC.rateHz);
    const shown = Math.round((topHz * size) / SPEC.rateHz) + 1 - firstBin;
    const perRow = Math.ceil(shown / MOST_ROWS), rows = Math.ceil(shown / perRow);
    const nFrames = countFrames(x.length, plan.hop), perColumn = Math.ceil(nFrames / COLUMNS);
    const columns = Math.ceil(nFrames / perColumn);
    return {
      x, plan, view, finer: size / plan.nFft, lowHz, topHz, firstBin, shown, perRow, rows, nFrames, perColumn, columns,
      spectrogram: new Float64Array(columns * rows), logmel: new Float64Array(columns * SPEC.nMels),
      power: new Float64Array(plan.bins), viewPower: new Float64Array(view.bins), mels: new Float64Array(SPEC.nMels),
      round: 0, column: 0, // the next frame is number `round` of its column
    };
  }

  // Put one frame into its column: a column of several shows the loudest value of each row.
  function addFrame(picture, k) {
    const { x, plan, view, finer, power, viewPower, mels, firstBin, shown, perRow, rows, spectrogram, logmel } = picture;
    const column = Math.floor(k / picture.perColumn);
    framePower(x, k, view, viewPower);
    for (let bin = 0; bin < power.length; bin++) power[bin] = viewPower[bin * finer];
    melPower(power, plan, mels);
    for (let bin = 0; bin < shown; bin++) {
      const at = column * rows + Math.floor(bin / perRow);
      const value = viewPower[firstBin + bin];
      if (value > spectrogram[at]) spectrogram[at] = value;
    }
    for (let band = 0; band < SPEC.nMels; band++) {
      const at = column * SPEC.nMels + band;
      if (mels[band] > logmel[at]) logmel[at] = mels[band];
    }
  }

  // One frame of every column first, which is a whole picture; then the others, for as long as `more()` says.
  function addFrames(picture, more) {
    while (picture.round < picture.perColumn) {
      const k = picture.column * picture.perColumn + picture.round;
      if (k < picture.nFrames) addFrame(picture, k);
      picture.column += 1;
      if (picture.column === picture.columns) {
        picture.column = 0;
        picture.round += 1;
        if (picture.round === 1) return;
      }
      if (picture.round && !more()) return;
    }
  }

  const complete = picture => picture.round === picture.perColumn;

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(`--pst-color-${name}`).trim();
  }

  // A canvas at its size on the page, and the place of the picture in it.
  function blank(canvas) {
    const scale = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const ink = canvas.getContext("2d");
    ink.setTransform(scale, 0, 0, scale, 0, 0);
    ink.font = `12px ${getComputedStyle(root).fontFamily}`;
    const { left, right, top, bottom } = EDGE;
    return { ink, left, top, width: width - left - right, height: height - top - bottom };
  }

  // Frame, times below and the labels of both axes; `ticks` are pairs of a text and a height from 0 to 1.
  function axes({ ink, left, top, width, height }, lengthS, label, ticks) {
    ink.strokeStyle = colour("text-muted");
    ink.fillStyle = colour("text-base");
    ink.lineWidth = 1;
    ink.strokeRect(left - 0.5, top - 0.5, width + 1, height + 1);
    const most = width / 60;
    const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1].find(s => lengthS / s <= most) || 1;
    const inMs = lengthS < 1;
    ink.textBaseline = "top";
    ink.textAlign = "left";
    ink.fillText(inMs ? "ms" : "s", 4, top + height + 6);
    for (let i = 0; i * step <= lengthS + 1e-9; i++) {
      const at = left + (i * step * width) / lengthS;
      ink.fillRect(Math.round(at) - 0.5, top + height, 1, 4);
      ink.textAlign = at > left + width - 8 ? "right" : "center";
      const time = inMs ? number(1000 * i * step) : number(i * step, step < 1 ? 1 : 0);
      ink.fillText(time, at, top + height + 6);
    }
    ink.textAlign = "right";
    ink.textBaseline = "middle";
    for (const [text, share] of ticks) {
      const y = top + height * (1 - share);
      ink.fillRect(left - 4, Math.round(y) - 0.5, 4, 1);
      ink.fillText(text, left - 6, Math.max(y, top + 5));
    }
    ink.save();
    ink.translate(10, top + height / 2);
    ink.rotate(-Math.PI / 2);
    ink.textAlign = "center";
    ink.fillText(label, 0, 0);
    ink.restore();
  }

  function drawWaveform(x, plan) {
    const place = blank(part("waveform"));
    const { ink, left, top, width, height } = place;
    const middle = top + height / 2;
    let peak = 1e-9;
    for (const sample of x) peak = Math.max(peak, Math.abs(sample));
    ink.fillStyle = colour("primary");
    for (let column = 0; column < width; column++) {
      const from = Math.floor((column * x.length) / width);
      const to = Math.max(from + 1, Math.floor(((column + 1) * x.length) / width));
      let low = Infinity, high = -Infinity;
      for (let i = from; i < to && i < x.length; i++) {
        low = Math.min(low, x[i]);
        high = Math.max(high, x[i]);
      }
      const y = middle - (high / peak) * (height / 2);
      ink.fillRect(left + column, y, 1, Math.max(1, ((high - low) / peak) * (height / 2)));
    }
    const nFrames = countFrames(x.length, plan.hop);
    const onto = sample => left + (sample * width) / x.length;
    ink.save();
    ink.beginPath();
    ink.rect(left, top, width, height);
    ink.clip();
    ink.fillStyle = colour("text-base");
    if (3 * nFrames <= width) {
      for (let k = 0; k < nFrames; k++) ink.fillRect(onto(k * plan.hop) - 0.5, top + height - 6, 1, 6);
    }
    const central = Math.round(x.length / 2 / plan.hop);
    ink.strokeStyle = colour("text-base");
    for (const k of [central - 1, central, central + 1]) {
      ink.globalAlpha = k === central ? 1 : 0.55;
      ink.lineWidth = k === central ? 2 : 1.25;
      ink.beginPath();
      for (let i = 0; i <= 40; i++) {
        const level = 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / 40);
        ink.lineTo(onto(k * plan.hop + (i / 40 - 0.5) * plan.window), top + height - 1 - level * (height - 3));
      }
      ink.stroke();
    }
    ink.restore();
    axes(place, x.length / SPEC.rateHz, "", [[number(peak, 2), 1], ["0", 0.5]]);
    return peak;
  }

  // Draw levels, `rows` to a column, from a bottom to a top of 0 to 1 of the height; time and row of the loudest.
  function drawLevels(place, picture, levels, rows, bottom, height) {
    const { columns, perColumn, plan } = picture;
    let loudest = 0;
    for (let i = 0; i < levels.length; i++) if (levels[i] > levels[loudest]) loudest = i;
    const range = ((state.sound.rangeDb || RANGE_DB) * Math.LN10) / 10;
    // Silence is dark: the brightest colour is never given to a level near the floor
    const top = Math.max(Math.log(levels[loudest]), Math.log(SPEC.floor) + range);
    const image = new ImageData(columns, rows);
    for (let column = 0; column < columns; column++) {
      for (let row = 0; row < rows; row++) {
        const level = Math.log(Math.max(levels[column * rows + row], SPEC.floor));
        const shade = 3 * Math.max(0, Math.round(255 * (1 + (level - top) / range)));
        const at = 4 * ((rows - 1 - row) * columns + column);
        image.data[at] = RGB[shade];
        image.data[at + 1] = RGB[shade + 1];
        image.data[at + 2] = RGB[shade + 2];
        image.data[at + 3] = 255;
      }
    }
    const canvas = document.createElement("canvas");
    canvas.width = columns;
    canvas.height = rows;
    canvas.getContext("2d").putImageData(image, 0, 0);
    const { ink } = place;
    const perSample = place.width / picture.x.length;
    ink.save();
    ink.beginPath();
    ink.rect(place.left, place.top, place.width, place.height);
    ink.fillStyle = `rgb(${RGB[0]}, ${RGB[1]}, ${RGB[2]})`;
    ink.fill();
    ink.clip();
    ink.imageSmoothingEnabled = false;
    ink.drawImage(canvas, place.left - (plan.hop / 2) * perSample, place.top + place.height * (1 - bottom - height),
      columns * perColumn * plan.hop * perSample, place.height * height);
    ink.restore();
    return { atS: (Math.floor(loudest / rows) * perColumn * plan.hop) / SPEC.rateHz, row: loudest % rows };
  }

  function drawPictures(picture) {
    const { x, plan, lowHz, topHz } = picture;
    const lengthS = x.length / SPEC.rateHz;
    const length = number(lengthS, lengthS < 1 ? 2 : 1);
    const about = `${state.sound.name}, ${length} s, window ${msOf("window")} ms, hop ${msOf("hop")} ms`;
    const peak = drawWaveform(x, plan);
    part("waveform").setAttribute("aria-label", `Waveform of ${about}: amplitude against time, largest ${number(peak, 2)}.`);

    let place = blank(part("spectrogram"));
    const binHz = SPEC.rateHz / picture.view.nFft, rowHz = binHz * picture.perRow;
    const spanHz = topHz - lowHz;
    // A row is centred on its bins, so that the lowest begins below the first bin
    const bottom = -binHz / 2 / spanHz, height = (rowHz * picture.rows) / spanHz;
    let loudest = drawLevels(place, picture, picture.spectrogram, picture.rows, bottom, height);
    const everyHz = spanHz / 4, digits = everyHz % 1000 ? 1 : 0;
    axes(place, lengthS, "kHz", [0, 1, 2, 3, 4].map(i => [number((lowHz + i * everyHz) / 1000, digits), i / 4]));
    const loudestHz = Math.round(Math.min(lowHz + loudest.row * rowHz, topHz) / 10) * 10;
    part("spectrogram").setAttribute("aria-label", `Spectrogram of ${about}: ${number(picture.nFrames)} frames of ` +
      `${number(plan.bins)} frequencies, shown from ${number(lowHz)} to ${number(topHz)} Hz; ` +
      `loudest near ${number(loudestHz)} Hz at ${number(loudest.atS, 2)} s.`);

    place = blank(part("logmel"));
    loudest = drawLevels(place, picture, picture.logmel, SPEC.nMels, 0, 1);
    const edges = melEdges(SPEC);
    const low = hzToMel(SPEC.fminHz), step = (hzToMel(SPEC.topHz) - low) / (SPEC.nMels + 1);
    const heightOf = hz => ((hzToMel(hz) - low) / step - 0.5) / SPEC.nMels; // band i is centred on edge i + 1
    axes(place, lengthS, "kHz", [250, 500, 1000, 2000, 4000].map(hz => [String(hz / 1000), heightOf(hz)]));
    part("logmel").setAttribute("aria-label", `Log-mel of ${about}: ${number(picture.nFrames)} frames of ${SPEC.nMels} bands; ` +
      `loudest in the band around ${number(Math.round(edges[loudest.row + 1]))} Hz at ${number(loudest.atS, 2)} s.`);
  }

  // --- The page follows its controls

  const msOf = name => Number(part(name).value);

  let later = 0;
  function redraw() {
    const start = performance.now();
    clearTimeout(later);
    const windowMs = msOf("window"), hopMs = msOf("hop");
    for (const name of ["window", "hop"]) {
      part(`${name}-ms`).textContent = `${msOf(name)} ms`;
      part(name).setAttribute("aria-valuetext", `${msOf(name)} milliseconds`);
    }
    const picture = newPicture(state.x, windowMs, hopMs, state.bandHz);
    state.picture = picture;
    addFrames(picture, () => false);
    drawPictures(picture);
    const macs = macsOf(picture.nFrames), usual = macsOf(countFrames(state.x.length, msToSamples(10, SPEC.rateHz)));
    part("frames").textContent = number(picture.nFrames);
    part("rate").textContent = number(1000 / hopMs, 1000 / hopMs < 20 ? 1 : 0);
    part("macs").textContent = inWords(macs);
    part("cost").textContent = macs === null || usual === null ? "–" : `× ${number(macs / usual, 2)}`;
    root.dataset.redrawMs = (performance.now() - start).toFixed(1);
    root.dataset.complete = String(complete(picture));
    later = setTimeout(settle, REST_MS, picture);
  }

  // Once the sliders rest: the sentence, which is also read aloud, and the frames that the first picture left out.
  function settle(picture) {
    part("sentence").textContent = sentence(msOf("window"), msOf("hop"));
    if (!complete(picture)) refine(picture);
  }

  // The rest of the frames, a slice at a time.
  function refine(picture) {
    const until = performance.now() + SLICE_MS;
    addFrames(picture, () => performance.now() < until);
    if (complete(picture)) drawPictures(picture);
    else later = setTimeout(refine, 0, picture);
    root.dataset.complete = String(complete(picture));
  }

  let asked = false;
  function ask() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      redraw();
    });
  }

  const tell = words => { part("message").textContent = words; };

  function take(sound, x) {
    state.x = x;
    state.sound = sound;
    setPlayer("original", x);
    part("original-about").textContent = `A: ${sound.describe}`;
    part("original").setAttribute("aria-label", `A: ${sound.describe}`);
    forgetRebuilt();
    part("quietest").textContent = `−${sound.rangeDb || RANGE_DB} dB`;
    part("band").value = (sound.showHz || WHOLE_HZ).join("-");
    showBand();
  }

  function showBand() {
    state.bandHz = part("band").value.split("-").map(Number);
    ask();
  }

  function choose(key) {
    const sound = EXPLORER.sounds.find(each => each.key === key);
    const bytes = bytesOf(sound.samples);
    tell("");
    part("sound").value = key;
    take(sound, Float64Array.from(new Int16Array(bytes.buffer), sample => sample / 32768));
  }

  // --- Sounds from files and from the microphone

  async function open(file) {
    part("file").value = "";
    const refusal = `${file.name}: the browser cannot read this as sound; try WAV, MP3, FLAC or OGG.`;
    tell(file.size ? `Reading ${file.name} …` : refusal);
    if (!file.size) return;
    const megabytes = file.size / 1e6;
    if (megabytes > MOST_MB) {
      tell(`${file.name} has ${number(megabytes)} MB, but this page takes at most ${MOST_MB}: cut out a few seconds.`);
      return;
    }
    const seconds = await lengthOf(file);
    if (seconds > 60 * MOST_MINUTES || (!Number.isFinite(seconds) && megabytes > MOST_MB_UNMEASURED)) {
      const length = Number.isFinite(seconds) ? `lasts ${number(seconds / 60)} minutes` : "does not say how long it lasts";
      tell(`${file.name} ${length}, but this page takes at most ${MOST_MINUTES} minutes: cut out a few seconds.`);
      return;
    }
    await decode(file, file.name, refusal);
  }

  // The duration in s that a file states; 0 if the browser cannot play it, Infinity if the file does not say.
  function lengthOf(file) {
    const player = document.createElement("audio");
    const address = URL.createObjectURL(file);
    return new Promise(answer => {
      player.preload = "metadata";
      player.onloadedmetadata = () => answer(player.duration);
      player.onerror = () => answer(0);
      player.src = address;
    }).finally(() => URL.revokeObjectURL(address));
  }

  // The first seconds of a recording, one channel at 16 kHz, become the sound; a line says what was left out.
  async function decode(blob, name, refusal) {
    let buffer;
    try {
      buffer = await new OfflineAudioContext(1, 1, SPEC.rateHz).decodeAudioData(await blob.arrayBuffer());
    } catch {
      tell(refusal);
      return;
    }
    const n = Math.min(buffer.length, LONGEST_S * SPEC.rateHz);
    if (n < SHORTEST_S * SPEC.rateHz) {
      tell(`${name} lasts ${number(buffer.duration, 2)} s, but this page needs at least ${SHORTEST_S} s.`);
      return;
    }
    const x = new Float64Array(n);
    for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
      const samples = buffer.getChannelData(channel);
      for (let i = 0; i < n; i++) x[i] += samples[i] / buffer.numberOfChannels;
    }
    tell(buffer.length > n ? `${name} lasts ${number(buffer.duration, 1)} s; these are its first ${LONGEST_S}.` : "");
    let own = part("sound").querySelector("option[value='']");
    if (!own) {
      own = new Option("", "");
      part("sound").prepend(own);
    }
    own.textContent = name;
    part("sound").value = "";
    state.own = { sound: { key: "", name, describe: name }, x };
    take(state.own.sound, x);
  }

  const NO_MICROPHONE = {
    NotFoundError: "No microphone was found.",
    NotAllowedError: "The browser does not let this page use a microphone.",
  };

  let recorder = null;
  async function record() {
    if (recorder) {
      recorder.stop();
      return;
    }
    if (!navigator.mediaDevices || !window.MediaRecorder) {
      tell("This browser does not give this page access to a microphone: record a file and open it.");
      return;
    }
    let stream;
    try {
      const raw = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
      stream = await navigator.mediaDevices.getUserMedia({ audio: raw });
    } catch (error) {
      const reason = NO_MICROPHONE[error.name] || `The microphone could not be opened (${error.message}).`;
      tell(`${reason} Record a file and open it instead.`);
      return;
    }
    const pieces = [];
    recorder = new MediaRecorder(stream);
    recorder.ondataavailable = event => pieces.push(event.data);
    const timers = [setTimeout(() => recorder.stop(), 1000 * LONGEST_S + 100)];
    recorder.onstop = async () => {
      timers.forEach(clearTimeout);
      stream.getTracks().forEach(track => track.stop());
      const type = recorder.mimeType;
      recorder = null;
      part("record").textContent = "Record 5 s";
      await decode(new Blob(pieces, { type }), "Your recording", "The browser could not read its own recording.");
    };
    for (let left = LONGEST_S - 1; left > 0; left--) {
      timers.push(setTimeout(() => { part("record").textContent = `Stop (${left} s left)`; }, 1000 * (LONGEST_S - left)));
    }
    recorder.start();
    part("record").textContent = `Stop (${LONGEST_S} s left)`;
    tell("Speak now …");
  }

  // --- Listening

  // A player for samples within ±1, as a WAV file; louder ones are scaled down.
  function setPlayer(name, x) {
    const bytes = new DataView(new ArrayBuffer(44 + 2 * x.length));
    const text = (at, word) => [...word].forEach((c, i) => bytes.setUint8(at + i, c.charCodeAt(0)));
    text(0, "RIFF");
    bytes.setUint32(4, 36 + 2 * x.length, true);
    text(8, "WAVEfmt ");
    bytes.setUint32(16, 16, true);
    bytes.setUint16(20, 1, true); // whole numbers
    bytes.setUint16(22, 1, true); // channel
    bytes.setUint32(24, SPEC.rateHz, true);
    bytes.setUint32(28, 2 * SPEC.rateHz, true);
    bytes.setUint16(32, 2, true);
    bytes.setUint16(34, 16, true);
    text(36, "data");
    bytes.setUint32(40, 2 * x.length, true);
    const peak = x.reduce((most, sample) => Math.max(most, Math.abs(sample)), 1);
    x.forEach((sample, i) => bytes.setInt16(44 + 2 * i, Math.round((32767 * sample) / peak), true));
    const player = part(name);
    if (player.src) URL.revokeObjectURL(player.src);
    player.src = URL.createObjectURL(new Blob([bytes], { type: "audio/wav" }));
  }

  let worker = null;
  function stopWorker() {
    if (worker) worker.terminate();
    worker = null;
    part("progress").hidden = true;
    part("rebuild").textContent = "Rebuild from these frames";
  }

  function forgetRebuilt() {
    stopWorker();
    part("rebuilt").hidden = true;
    part("rebuilt-about").textContent = "B: not rebuilt yet";
  }

  // A worker runs the arithmetic in this page, so that the page stays responsive, from a server or from disk.
  const WORKER = `
    onmessage = ({ data }) => {
      const plan = makePlan(data.spec, data.windowMs, data.hopMs);
      const found = griffinLim(data.x, plan, data.iterations, share => postMessage({ share }));
      postMessage(found, [found.samples.buffer]);
    };`;

  function rebuild() {
    if (worker) {
      forgetRebuilt();
      return;
    }
    const windowMs = msOf("window"), hopMs = msOf("hop"), nFrames = number(state.picture.nFrames);
    const text = document.getElementById("explorer-arithmetic").textContent + WORKER;
    const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    worker = new Worker(address);
    URL.revokeObjectURL(address);
    part("rebuilt").hidden = true;
    part("progress").value = 0;
    part("progress").hidden = false;
    part("rebuild").textContent = "Stop";
    part("rebuilt-about").textContent = `B: rebuilding from ${nFrames} frames …`;
    worker.onmessage = ({ data }) => {
      if (data.share) {
        part("progress").value = data.share;
        return;
      }
      stopWorker();
      setPlayer("rebuilt", data.samples);
      part("rebuilt").hidden = false;
      const gaps = hopMs > windowMs ? ", and the gaps are silent" : "";
      part("rebuilt-about").textContent = `B: rebuilt from ${nFrames} frames, window ${windowMs} ms, hop ${hopMs} ms; ` +
        `its magnitudes are off by ${number(100 * data.error)} %${gaps}`;
    };
    worker.onerror = event => {
      event.preventDefault();
      forgetRebuilt();
      part("rebuilt-about").textContent = "B: the sound could not be rebuilt in this browser";
    };
    worker.postMessage({ x: state.x, spec: SPEC, windowMs, hopMs, iterations: ITERATIONS });
  }

  // --- Begin

  for (const { key, name } of EXPLORER.sounds) part("sound").add(new Option(name, key));
  part("window").value = EXPLORER.start.windowMs;
  part("hop").value = EXPLORER.start.hopMs;
  part("scale").style.background = `linear-gradient(to right, ${[0, 51, 102, 153, 204, 255].map(
    i => `rgb(${RGB.slice(3 * i, 3 * i + 3).join(" ")})`).join(", ")})`;
  part("window").addEventListener("input", ask);
  part("hop").addEventListener("input", ask);
  part("band").addEventListener("input", showBand);
  part("sound").addEventListener("input", event => {
    if (event.target.value) choose(event.target.value);
    else take(state.own.sound, state.own.x);
  });
  part("file").addEventListener("change", event => { if (event.target.files.length) open(event.target.files[0]); });
  part("record").addEventListener("click", record);
  part("rebuild").addEventListener("click", rebuild);
  for (const button of root.querySelectorAll("button[data-sound]")) {
    button.addEventListener("click", () => {
      part("window").value = button.dataset.window;
      part("hop").value = button.dataset.hop;
      choose(button.dataset.sound);
    });
  }
  // One sound at a time
  for (const [name, other] of [["original", "rebuilt"], ["rebuilt", "original"]]) {
    part(name).addEventListener("play", () => part(other).pause());
  }
  new ResizeObserver(ask).observe(part("spectrogram"));
  new MutationObserver(ask).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  window.explorer = { state, macsOf }; // for the browser's console, and for the tests of this page
  root.hidden = false;
  choose(EXPLORER.sounds[0].key);
})();
