"""The explorer in a real browser: the library's numbers, use by key and from disk, bad input."""

import base64
import hashlib
import io
import statistics
import wave

import numpy as np
import pytest
import soundfile

from course_lib import paths
from course_lib.audio import features
from course_lib.audio.features import FeatureSpec
from course_lib.models.cnn import CNN
from course_lib.tools import site_build, site_explorer
from course_lib.training.cost import macs

pytest.importorskip("sphinx_book_theme", reason="no Sphinx: make site, or uv sync --group site, installs it")

SITE = paths.repo_root() / "site"
RATE_HZ = site_explorer.RATE_HZ
# sha256 of files of others, which nobody edits here
VENDORED = {"fft.js/fft.js": "4092b92cec888377666265b724d676628d377d4d5f56b03b76d9c2c27fd061ea"}
# Windows and hops in ms: the usual ones, extremes, gaps between windows, all four lengths of the transform
SETTINGS = [(25, 10), (2, 1), (4, 10), (16, 3), (33, 7), (36, 1), (64, 20), (96, 160), (96, 1)]


def test_code_of_others_is_as_it_was_published():
    for name, expected in VENDORED.items():
        assert hashlib.sha256((SITE / "vendor" / name).read_bytes()).hexdigest() == expected, name
        assert "4.0.4" in (SITE / "vendor" / "README.md").read_text(encoding="utf-8")
    assert "MIT License" in site_explorer.scripts(SITE), "the page ships the package without its licence"


def test_the_cost_is_exact_for_any_number_of_frames():
    known = site_explorer.macs_by_frames(64)
    net = CNN(site_explorer.LABELS).to("meta")
    for n_frames in [*range(16, 81), 181, 501, 1001, 5001]:
        formula = known["fixed"] + sum(each * (n_frames >> level) for level, each in enumerate(known["perFrame"]))
        assert formula == macs(net, n_frames, 64), n_frames
    with pytest.raises(ValueError, match="at least 16 frames"):
        macs(net, known["fewest"] - 1, 64)


# --- In the browser


@pytest.fixture(scope="module")
def html(tmp_path_factory, browser):
    """A site of two pages, built with the course's own settings; test_site walks through the whole one."""
    assert browser  # without one, nothing need be built
    folder = tmp_path_factory.mktemp("explorer")
    text = site_build.settled(site_explorer.page(SITE), "", {"explorer.md"}, folder / "source")
    (folder / "source" / "index.md").write_text("# Start\n\n:::{toctree}\nexplorer\n:::\n")
    (folder / "source" / "explorer.md").write_text(text, encoding="utf-8")
    return site_build.render(folder / "source", folder / "html").parent


@pytest.fixture
def explorer(html, visit):
    """`explorer(...)` opens the page from disk, where it is ready to be used; at the end nobody has complained."""
    visits = []

    def open_page(**options):
        seen = visit(**options)
        visits.append(seen)
        seen.page.goto((html / "explorer.html").as_uri())
        settled(seen.page)
        return seen.page

    yield open_page
    assert [complaint for seen in visits for complaint in seen.complaints] == []


def settled(page):
    """Wait until the page has drawn all frames of what its controls say."""
    page.wait_for_function(
        """() => {
          const of = name => Number(document.getElementById(`explorer-${name}`).value);
          const plan = explorer.state.picture && explorer.state.picture.plan;
          return plan && plan.window === msToSamples(of('window'), 16000) && plan.hop === msToSamples(of('hop'), 16000)
            && explorer.state.picture.x === explorer.state.x
            && document.getElementById('explorer-app').dataset.complete === 'true';
        }""",
        timeout=60_000,
    )


def move(page, window_ms, hop_ms):
    page.locator("#explorer-window").fill(str(window_ms))
    page.locator("#explorer-hop").fill(str(hop_ms))
    settled(page)


def wav(x, rate_hz=RATE_HZ):
    data = io.BytesIO()
    soundfile.write(data, x, rate_hz, format="WAV", subtype="PCM_16")
    return data.getvalue()


def open_file(page, name, content):
    page.locator("#explorer-file").set_input_files({"name": name, "mimeType": "audio/wav", "buffer": content})


def noise(n_samples):
    return np.random.default_rng(0).uniform(-0.5, 0.5, n_samples)


def taken(page):
    """The samples that the page works on."""
    return np.array(page.evaluate("Array.from(explorer.state.x)"))


def drawn(page):
    """What is drawn: number of frames, frames in a column, bins in a row; power of both pictures, columns first."""
    shown = page.evaluate("""() => {
      const {nFrames, perColumn, perRow, rows, spectrogram, logmel} = explorer.state.picture;
      return {nFrames, perColumn, perRow, rows, spectrogram: Array.from(spectrogram), logmel: Array.from(logmel)};
    }""")
    shown["spectrogram"] = np.array(shown["spectrogram"]).reshape(-1, shown["rows"])
    shown["logmel"] = np.array(shown["logmel"]).reshape(-1, FeatureSpec().n_mels)
    return shown


@pytest.mark.parametrize("sound", ["rooster", "both", "noise"])
def test_frames_and_log_mels_are_the_librarys(explorer, sound):
    page = explorer()
    if sound == "noise":
        open_file(page, "noise.wav", wav(noise(12_345)))
        page.wait_for_function("explorer.state.x.length === 12345")
        np.testing.assert_allclose(taken(page), noise(12_345), atol=2**-14)
    else:
        page.locator("#explorer-sound").select_option(sound)
        page.locator("#explorer-band").select_option("0-8000")
        of_site = {about["key"]: x for about, x in site_explorer.sounds()}
        page.wait_for_function("key => explorer.state.sound.key === key", arg=sound)
        np.testing.assert_allclose(taken(page), of_site[sound], atol=2**-14)
    x = taken(page)
    for window_ms, hop_ms in SETTINGS:
        move(page, window_ms, hop_ms)
        spec = FeatureSpec(window_ms=window_ms, hop_ms=hop_ms)
        shown = drawn(page)
        assert shown["nFrames"] == spec.frame_count(len(x)), (window_ms, hop_ms)
        assert page.locator("#explorer-frames").inner_text() == f"{spec.frame_count(len(x)):,}"
        # A column of several frames shows the loudest
        starts = np.arange(0, shown["nFrames"], shown["perColumn"])
        expected = np.maximum.reduceat(features.log_mel(x, spec), starts, axis=0)
        found = 10 * np.log10(np.maximum(shown["logmel"], spec.floor))
        np.testing.assert_allclose(found, expected, atol=1e-4, err_msg=f"log-mel, {window_ms} and {hop_ms} ms")
        power = np.maximum.reduceat(features.power_spectrogram(x, spec), starts, axis=0)
        rows = np.maximum.reduceat(power, np.arange(0, power.shape[1], shown["perRow"]), axis=1)
        np.testing.assert_allclose(shown["spectrogram"], rows, rtol=1e-6, atol=1e-12)


def test_zooming_changes_the_spectrogram_and_not_the_log_mel(explorer):
    page = explorer()
    before = drawn(page)
    page.locator("#explorer-band").select_option("600-1400")
    page.wait_for_function("explorer.state.picture.topHz === 1400")
    after = drawn(page)
    assert after["rows"] != before["rows"]
    np.testing.assert_allclose(after["logmel"], before["logmel"], rtol=1e-6, atol=1e-12)


def test_the_page_counts_what_the_network_computes(explorer):
    page = explorer()
    net = CNN(site_explorer.LABELS).to("meta")
    for n_frames in (16, 101, 5001):
        assert page.evaluate("n => explorer.macsOf(n)", n_frames) == macs(net, n_frames, 64)
    move(page, 25, 20)
    frames = FeatureSpec(hop_ms=20).frame_count(len(taken(page)))
    assert page.locator("#explorer-macs").inner_text() == f"{macs(net, frames, 64) / 1e6:.1f} million"
    assert page.locator("#explorer-rate").inner_text() == "50"
    move(page, 25, 160)
    assert page.locator("#explorer-macs").inner_text() == "too few frames"
    assert "84 % of the sound lies between them" in said(page, "160 ms")


def said(page, start):
    """The sentence, once it speaks of the present settings."""
    page.wait_for_function("w => document.getElementById('explorer-sentence').textContent.includes(w)", arg=start)
    return page.locator("#explorer-sentence").inner_text()


def test_the_first_task_has_an_answer(explorer):
    page = explorer()
    page.get_by_role("button", name="Try it").nth(0).click()
    assert "You see two clicks, but not two tones." in said(page, "clicks")
    for window_ms, answer in [(32, "but not two tones"), (36, "You see both"), (64, "but not two clicks")]:
        move(page, window_ms, 1)
        assert answer in said(page, f"windows of {window_ms} ms"), window_ms
    move(page, 36, 20)
    assert "No frame lies between the two clicks." in said(page, "every 20 ms")


def test_the_second_task_has_an_answer(explorer):
    page = explorer()
    page.get_by_role("button", name="Try it").nth(1).click()
    assert "these frames show 40 swings" in said(page, "swings")
    for hop_ms, swings in [(9, 51), (8, 60), (1, 60)]:
        move(page, 4, hop_ms)
        assert f"show {swings} swings" in said(page, f"every {hop_ms} ms")
    move(page, 64, 1)
    assert "has smoothed the swing of 60 Hz away" in said(page, "windows of 64 ms")


def test_a_key_moves_a_slider_and_the_pictures_follow(explorer):
    page = explorer()
    for slider, key, value in [("window", "ArrowRight", "26"), ("hop", "ArrowLeft", "9"), ("hop", "End", "160")]:
        before = pictures(page)
        page.locator(f"#explorer-{slider}").focus()
        page.keyboard.press(key)
        settled(page)
        assert page.locator(f"#explorer-{slider}-ms").inner_text() == f"{value} ms"
        assert page.locator(f"#explorer-{slider}").get_attribute("aria-valuetext") == f"{value} milliseconds"
        for name, (image, label) in pictures(page).items():
            assert image != before[name][0], name
            assert f"{slider} {value} ms" in label and label != before[name][1]


def pictures(page):
    """Image and description of each picture."""
    return page.evaluate("""() => Object.fromEntries([...document.querySelectorAll('#explorer-app canvas')].map(
      c => [c.id, [c.toDataURL(), c.getAttribute('aria-label')]]))""")


def test_five_seconds_are_redrawn_before_the_eye_notices(explorer):
    page = explorer()
    open_file(page, "noise.wav", wav(noise(5 * RATE_HZ)))
    page.wait_for_function("explorer.state.x.length === 80000")
    taken_ms = []
    for window_ms in (4, 25, 64, 96):
        for hop_ms in (1, 5, 10, 40):
            move(page, window_ms, hop_ms)
            taken_ms.append(float(page.locator("#explorer-app").get_attribute("data-redraw-ms")))
    print(f"redraw of 5 s: median {statistics.median(taken_ms)} ms, longest {max(taken_ms)} ms")
    assert statistics.median(taken_ms) < 150


def test_every_control_and_picture_has_a_name(explorer):
    page = explorer()
    nameless = page.evaluate("""() => [...document.querySelectorAll(
      '#explorer-app :is(input, select, button, audio, progress, canvas)')].filter(e => {
        const label = e.getAttribute('aria-label') || (e.labels && [...e.labels].map(l => l.textContent).join(''))
          || (e.matches('button') && e.textContent);
        return !label || !label.trim();
      }).map(e => e.id)""")
    assert nameless == []
    for canvas in page.locator("#explorer-app canvas").all():
        assert canvas.get_attribute("role") == "img" and len(canvas.get_attribute("aria-label").split()) > 10
    assert page.locator("#explorer-sentence").get_attribute("role") == "status", "no live region"


@pytest.mark.parametrize("width", [390, 1400])
def test_the_page_fits_its_width_and_follows_the_theme(explorer, width):
    page = explorer(viewport={"width": width, "height": 900}, color_scheme="light")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    out = page.evaluate("""() => [...document.querySelectorAll('#explorer-app *')].filter(
      e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.id || e.tagName)""")
    assert out == []
    before = pictures(page)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_function("old => document.getElementById('explorer-waveform').toDataURL() !== old",
                           arg=before["explorer-waveform"][0])  # fmt: skip


def test_a_sound_is_rebuilt_from_its_frames_and_played(explorer):
    page = explorer()
    move(page, 25, 10)
    page.get_by_role("button", name="Rebuild from these frames").click()
    page.locator("#explorer-rebuilt").wait_for(state="visible", timeout=60_000)
    about = page.locator("#explorer-rebuilt-about").inner_text()
    assert about.startswith("B: rebuilt from 181 frames, window 25 ms, hop 10 ms;")
    encoded = page.evaluate("""async () => {
      const bytes = new Uint8Array(await (await fetch(document.getElementById('explorer-rebuilt').src)).arrayBuffer());
      return btoa(Array.from(bytes, b => String.fromCharCode(b)).join(''));
    }""")
    rebuilt, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(encoded)))
    x = taken(page)
    assert rate_hz == RATE_HZ and rebuilt.shape == x.shape
    wanted, found = (np.sqrt(features.power_spectrogram(each, FeatureSpec())) for each in (x, rebuilt))
    error = np.linalg.norm(wanted - found) / np.linalg.norm(wanted)
    assert error < 0.12 and np.linalg.norm(x - rebuilt) > 0.5 * np.linalg.norm(x), "the phases were not to be known"
    assert f"off by {100 * error:.0f} %" in about or abs(100 * error - float(about.split()[-2])) < 2
    for name, other in [("rebuilt", "original"), ("original", "rebuilt")]:
        page.locator(f"#explorer-{name}").evaluate("player => player.play()")
        assert page.locator(f"#explorer-{other}").evaluate("player => player.paused")
    page.locator("#explorer-sound").select_option("dog")
    assert page.locator("#explorer-rebuilt-about").inner_text() == "B: not rebuilt yet"
    assert not page.locator("#explorer-rebuilt").is_visible()


def test_rebuilding_can_be_stopped(explorer):
    page = explorer()
    move(page, 96, 1)
    page.get_by_role("button", name="Rebuild from these frames").click()
    page.locator("#explorer-progress").wait_for(state="visible")
    page.get_by_role("button", name="Stop").click()
    assert page.locator("#explorer-rebuilt-about").inner_text() == "B: not rebuilt yet"
    assert not page.locator("#explorer-progress").is_visible()


def told(page, word):
    """The line about the file or the microphone, once it holds `word`."""
    page.wait_for_function("w => document.getElementById('explorer-message').textContent.includes(w)", arg=word)
    return page.locator("#explorer-message").inner_text()


def test_files_that_are_no_sound_or_too_long_are_told_in_a_line(explorer, tmp_path):
    page = explorer()
    before = taken(page)
    open_file(page, "notes.wav", b"these are no samples")
    assert told(page, "cannot read") == (
        "notes.wav: the browser cannot read this as sound; try WAV, MP3, FLAC or OGG."
    )  # fmt: skip
    open_file(page, "empty.wav", b"")
    told(page, "empty.wav: the browser cannot read")
    open_file(page, "short.wav", wav(noise(800)))
    assert told(page, "at least") == "short.wav lasts 0.05 s, but this page needs at least 0.1 s."
    with wave.open(str(tmp_path / "hour.wav"), "wb") as hour:
        hour.setparams((2, 1, 4000, 0, "NONE", ""))
        hour.writeframes(b"\x80" * (2 * 4000 * 3600))
    page.locator("#explorer-file").set_input_files(tmp_path / "hour.wav")
    assert told(page, "minutes") == (
        "hour.wav lasts 60 minutes, but this page takes at most 5 minutes: cut out a few seconds."
    )  # fmt: skip
    with (tmp_path / "huge.wav").open("wb") as huge:
        huge.truncate(700_000_000)
    page.locator("#explorer-file").set_input_files(tmp_path / "huge.wav")
    assert "huge.wav has 700 MB, but this page takes at most 60" in told(page, "700 MB")
    assert np.array_equal(taken(page), before), "what was there is gone"


def test_a_longer_stereo_file_becomes_five_seconds_of_one_channel_at_16_khz(explorer):
    page = explorer()
    times_s = np.arange(6 * 44_100) / 44_100
    left = 0.4 * np.sin(2 * np.pi * 1000 * times_s)
    open_file(page, "stereo.wav", wav(np.stack([left, np.zeros_like(left)], axis=1), 44_100))
    assert told(page, "first") == "stereo.wav lasts 6.0 s; these are its first 5."
    settled(page)
    x = taken(page)
    assert len(x) == 5 * RATE_HZ
    spectrum = np.abs(np.fft.rfft(x))
    assert spectrum.argmax() == 5 * 1000 and abs(2 * spectrum.max() / len(x) - 0.2) < 0.005
    assert page.locator("#explorer-sound option:checked").inner_text() == "stereo.wav"
    page.locator("#explorer-sound").select_option("dog")
    page.wait_for_function("explorer.state.sound.key === 'dog'")
    page.locator("#explorer-sound").select_option("")
    page.wait_for_function("explorer.state.x.length === 80000")


def test_silence_is_drawn_dark_and_rebuilt_as_silence(explorer):
    page = explorer()
    open_file(page, "silence.wav", wav(np.zeros(RATE_HZ)))
    page.wait_for_function("explorer.state.sound.name === 'silence.wav'")
    settled(page)
    for name in ("spectrogram", "logmel"):
        shade = page.evaluate(PIXEL, name)
        assert max(shade) < 10, (name, shade)
    page.get_by_role("button", name="Rebuild from these frames").click()
    page.locator("#explorer-rebuilt").wait_for(state="visible", timeout=60_000)
    assert "off by 0 %" in page.locator("#explorer-rebuilt-about").inner_text()


PIXEL = """name => {
  const canvas = document.getElementById(`explorer-${name}`);
  return [...canvas.getContext('2d').getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data].slice(0, 3);
}"""


def test_without_a_microphone_a_line_says_so(explorer):
    page = explorer()
    page.get_by_role("button", name="Record 5 s").click()
    line = told(page, "Record a file and open it instead.")
    assert line.startswith(("No microphone was found.", "The browser does not let this page use a microphone."))
    assert page.get_by_role("button", name="Record 5 s").is_visible()


MICROPHONE = """navigator.mediaDevices.getUserMedia = async () => {
  const context = new AudioContext(), tone = new OscillatorNode(context, {frequency: 1000});
  const end = context.createMediaStreamDestination();
  tone.connect(end);
  tone.start();
  await context.resume();
  return end.stream;
};"""


def test_a_recording_becomes_the_sound(explorer):
    page = explorer()
    page.evaluate(MICROPHONE)
    page.get_by_role("button", name="Record 5 s").click()
    told(page, "Speak now")
    page.get_by_role("button", name="Stop (4 s left)").click(timeout=10_000)
    page.wait_for_function("explorer.state.sound.name === 'Your recording'")
    settled(page)
    x = taken(page)
    loudest_hz = np.abs(np.fft.rfft(x)).argmax() * RATE_HZ / len(x)
    assert 0.3 * RATE_HZ < len(x) < 5 * RATE_HZ and abs(loudest_hz - 1000) < 20
    assert page.locator("#explorer-message").inner_text() == ""
    assert page.get_by_role("button", name="Record 5 s").is_visible()
