"""The page in a browser, in front of a client that is a few lines, and in front of a real server."""

import importlib
import json
import shutil
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mm_keras.serving.errors import ServingError
from mm_keras.serving.listening import open_socket

pytest.importorskip("gradio")
demo = importlib.import_module("mm_keras.serving.demo")
demo_app = importlib.import_module("mm_keras.serving.demo_app")

CHROMIUM = shutil.which("chromium")
ARGUMENTS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync".split()
ARGUMENTS += ["--disable-background-networking", "--disable-component-update"]
PATIENCE = 15_000  # Milliseconds.
PHONE = {"width": 390, "height": 844}


class FakeClient:
    """Answers "light" or "dark" from an image, else how many letters a text has; `asked` is what it saw."""

    def __init__(self):
        self.asked = []
        self.fault = None

    def describe(self):
        return {
            "modalities": {
                "text": {"kind": "text"},
                "photo": {"kind": "image", "size": [8, 8], "channels": 1},
                "sizes": {"kind": "numbers", "columns": ["kg", "m"]},
            },
            "outputs": {
                "kind": {"kind": "classification"},
                "copy": {"kind": "autoencoder", "modalities": ["text"]},
            },
            "labels": {"kind": ["dark", "light", "three letters"]},
        }

    def predict_batch(self, rows):
        self.asked.append(rows)
        if self.fault:
            raise self.fault
        places = [self._place(row) for row in rows]
        scores = np.full((len(rows), 3), 0.1, np.float32)
        scores[range(len(rows)), places] = 0.8
        labels = self.describe()["labels"]["kind"]
        return {"kind": np.array([labels[place] for place in places], object), "kind_scores": scores}

    def generate(self, **row):
        return {"copy_text": f"{row.get('text', 'nothing')} again"}

    def _place(self, row):
        if "photo" not in row:
            return 2
        value = row["photo"]
        try:
            pixels = value if isinstance(value, np.ndarray) else np.asarray(Image.open(value))
        except OSError as error:
            raise ServingError("INVALID_ARGUMENT", f"{value}: <b> is no image. Replace it.") from error
        return int(pixels.mean() > 127)


@contextmanager
def served(page, **settings):
    """Serves a page on a free port in a thread; gives its address."""
    ready, places = threading.Event(), []

    def started(place):
        places.append(place)
        ready.set()

    app = demo_app.make_app(page, **settings)
    thread = threading.Thread(
        target=demo_app.serve_page, args=(app, open_socket("127.0.0.1", 0, "--port"), started), daemon=True
    )
    thread.start()
    assert ready.wait(30)
    try:
        yield places[0].url
    finally:
        places[0].stop()
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Paths of a light, a dark and a broken image."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, value in (("light", 255), ("dark", 0)):
        Image.new("L", (9, 9), value).save(folder / f"{name}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    return {path.stem: str(path) for path in folder.iterdir()}


@pytest.fixture(scope="module")
def client():
    return FakeClient()


@pytest.fixture(scope="module")
def url(client, pictures):
    examples = [{"photo": pictures["dark"], "text": "one"}, {"text": "two", "sizes": [1.0, np.nan]}]
    with served(demo.make_demo(client, examples, "things")) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser, url, client):
    client.asked.clear()
    client.fault = None
    opened = browser.new_page()
    opened.set_default_timeout(PATIENCE)
    opened.fetched = []
    opened.on("request", lambda request: opened.fetched.append(request.url))
    opened.goto(url)
    opened.wait_for_selector("#ask")
    yield opened
    opened.close()


def upload(page, path):
    page.set_input_files("#picture-photo input[type=file]", path)
    page.wait_for_selector("#picture-photo img")


def wait_for(page, place, text):
    page.wait_for_function(
        "([place, text]) => document.querySelector(place)?.innerText.includes(text)", arg=[place, text]
    )


@pytest.mark.slow
def test_an_image_and_a_text_are_answered_and_compared(page, pictures, client):
    upload(page, pictures["light"])
    page.fill("#text-text textarea", "three")
    page.click("#ask")
    wait_for(page, "#answer-kind", "light")
    assert "80%" in page.inner_text("#answer-kind")
    assert page.locator("#subsets tbody tr").count() == 3
    assert page.inner_text("#subsets .whole").split()[:4] == ["photo", "+", "text", "light"]
    assert page.input_value("#rebuilt-text textarea") == "three again"
    assert [len(rows) for rows in client.asked] == [3]


@pytest.mark.slow
def test_what_is_switched_off_is_not_sent(page, pictures, client):
    upload(page, pictures["dark"])
    page.fill("#text-text textarea", "three")
    page.click("#ask")
    wait_for(page, "#answer-kind", "dark")
    page.click("#switch-photo input")
    page.click("#ask")
    wait_for(page, "#answer-kind h2", "three letters")
    assert client.asked[-1] == [{"text": "three"}]
    wait_for(page, "#subsets", "Give a second modality")


@pytest.mark.slow
def test_a_broken_file_is_named_in_words_and_goes_away_with_the_next_answer(page, pictures):
    page.set_input_files("#picture-photo input[type=file]", pictures["broken"])
    page.wait_for_selector("#picture-photo img", state="attached")
    page.click("#ask")
    wait_for(page, ".problem", "broken.png: <b> is no image. Replace it.")
    assert page.inner_text(".problem").startswith("broken.png")
    page.click("#switch-photo input")
    page.fill("#text-text textarea", "three")
    page.press("#text-text textarea", "Enter")
    wait_for(page, "#answer-kind h2", "three letters")
    assert page.locator(".problem").count() == 0


@pytest.mark.slow
def test_a_page_without_input_and_a_server_that_is_gone_say_so(page, client):
    page.click("#ask")
    wait_for(page, ".problem", "at least one of `photo`, `text`, `sizes`")
    client.fault = ServingError("UNAVAILABLE", "`Client` expects a server. Received: none. Start it.")
    page.fill("#text-text textarea", "three")
    page.click("#ask")
    wait_for(page, ".problem", "Start it.")


@pytest.mark.slow
def test_an_example_is_filled_in_and_answered(page, client):
    page.get_by_text("“two” + sizes").click()
    wait_for(page, "#answer-kind h2", "three letters")
    assert page.input_value("#text-text textarea") == "two"
    assert client.asked[-1][-1]["sizes"] == pytest.approx([1.0, np.nan], nan_ok=True)
    page.get_by_text("photo + “one”").click()
    wait_for(page, "#answer-kind h2", "dark")
    assert client.asked[-1][-1].keys() == {"photo", "text"}


@pytest.mark.slow
def test_what_is_drawn_is_sent(page, client):
    page.get_by_label("Draw").click()
    page.wait_for_selector("#canvas-photo canvas")
    page.wait_for_selector("#canvas-photo button[aria-label=Brush].highlight")
    box = page.locator("#canvas-photo canvas").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y - 40)
    page.mouse.down()
    page.mouse.move(x, y + 40, steps=5)
    page.mouse.up()
    page.click("#ask")
    page.wait_for_selector("#answer-kind h2 >> text=/dark|light/")
    pixels = client.asked[-1][-1]["photo"]
    assert pixels.shape == (320, 320, 3)
    assert 0.02 < np.mean(pixels > 127) < 0.3  # White on black, as the example is.


@pytest.mark.slow
def test_nothing_is_fetched_from_elsewhere_and_a_phone_shows_it_whole(page, url):
    page.set_viewport_size(PHONE)
    page.get_by_text("photo + “one”").click()
    wait_for(page, "#answer-kind h2", "dark")
    elsewhere = [place for place in page.fetched if not place.startswith((url, "data:", "blob:"))]
    assert elsewhere == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def post(url, path, body, **headers):
    request = urllib.request.Request(f"{url}/gradio_api/{path}", body, headers)
    return urllib.request.urlopen(request, timeout=20).read().decode()


def ask_for_file(url, path):
    """Returns the events of a request that names a path as its photo."""
    config = json.loads(urllib.request.urlopen(f"{url}/config", timeout=20).read())
    asking = next(part for part in config["dependencies"] if len(part["inputs"]) > 3)
    photo = {"path": str(path), "meta": {"_type": "gradio.FileData"}}
    data = [True, "Picture", photo, None, False, False, "", False, "", ""]
    assert len(data) == len(asking["inputs"])
    body = {"data": data, "fn_index": asking["id"], "session_hash": "x"}
    post(url, "queue/join", json.dumps(body).encode(), **{"Content-Type": "application/json"})
    return urllib.request.urlopen(f"{url}/gradio_api/queue/data?session_hash=x", timeout=20).read().decode()


@pytest.mark.parametrize("outside", ["here", "/tmp/gradio/../../..{here}", "https://example.com/a.png"])
def test_a_request_cannot_name_a_file_of_the_server_nor_an_address(url, client, tmp_path, outside):
    client.asked.clear()
    secret = tmp_path / "secret.png"
    Image.new("L", (9, 9)).save(secret)
    place = secret if outside == "here" else outside.format(here=secret)
    assert '"success":false' in ask_for_file(url, place)
    assert client.asked == []
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{url}/gradio_api/file={secret}", timeout=20)


@pytest.mark.slow
def test_a_file_that_is_too_large_is_refused(client):
    with served(demo.make_demo(client), most_bytes=1000) as address:
        body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
        body += bytes(5000) + b"\r\n--x--\r\n"
        with pytest.raises(urllib.error.HTTPError, match="413"):
            post(address, "upload", body, **{"Content-Type": "multipart/form-data; boundary=x"})


def test_examples_of_the_same_modalities_are_told_by_their_texts(client, pictures):
    rows = [{"text": "one " * 20, "photo": pictures["dark"]}, {"text": "two", "photo": pictures["light"]}]
    for examples, labels in (
        (rows, ["“one one one one one one one…”", "“two”"]),
        ([{"sizes": [1, 2]}] * 2, ["Example 1", "Example 2"]),
        ([rows[1], {"text": "x"}], ["photo + “two”", "“x”"]),
    ):
        config = demo.make_demo(client, examples).get_config_file()
        offered = [part["props"] for part in config["components"] if part["type"] == "dataset"]
        assert offered[0]["sample_labels"] == labels


def test_a_taken_port_is_named(client):
    with served(demo.make_demo(client)) as address:
        assert urllib.request.urlopen(address, timeout=20).headers["Content-Security-Policy"]
        port = int(address.rpartition(":")[2])
        with pytest.raises(ValueError, match=f"--port` expects a free port of 127.0.0.1. Received: {port}"):
            demo.run_demo(url="http://localhost:1", port=port)  # Before that server is asked.


@pytest.mark.parametrize("places", [{}, {"folder": "a", "url": "http://localhost:1"}])
def test_a_folder_or_an_address_is_needed(places):
    with pytest.raises(ValueError, match="MODEL or --url"):
        demo.run_demo(**places)


@pytest.mark.slow
def test_an_export_is_served_with_its_page_until_it_is_stopped(exported, tiny_manifest):
    folder = Path(exported["saved_model"]["path"]).parents[1]
    seen = []

    def look(place):
        seen.append(urllib.request.urlopen(place.url, timeout=20).read().decode())
        place.stop()

    def started(place):
        threading.Thread(target=look, args=(place,)).start()

    # In a thread of its own: that of the tests runs the event loop of the browser.
    settings = {"examples": tiny_manifest, "port": 0, "started": started}
    thread = threading.Thread(target=demo.run_demo, args=(folder,), kwargs=settings)
    thread.start()
    thread.join(120)
    assert not thread.is_alive()
    assert "tiny" in seen[0]
    assert "zanzibar" in seen[0]
    assert "rebuilt-audio" in seen[0]
    assert not [thread for thread in threading.enumerate() if thread.name == "server"]
