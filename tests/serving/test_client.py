"""The client over REST, asked and awaited, against a server that is a few lines of NumPy."""

import asyncio
import inspect
import subprocess
import sys
import threading
import time

import httpx
import numpy as np
import pytest
from fake_server import DESCRIPTION, Refusal, fake_server

from mm_keras.data.table import ManifestError
from mm_keras.serving import AsyncClient, Client, ServingError

PNG = b"\x89PNG\r\n\x1a\n of nothing"


class Awaited:
    """An AsyncClient that is used as a Client is."""

    def __init__(self, *arguments, **settings):
        self._loop = asyncio.new_event_loop()
        self._client = AsyncClient(*arguments, **settings)

    def __getattr__(self, name):
        def call(*arguments, **values):
            result = getattr(self._client, name)(*arguments, **values)
            if inspect.isasyncgen(result):
                return self._loop.run_until_complete(_gather(result))
            return self._loop.run_until_complete(result)

        return call

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()
        self._loop.close()


async def _gather(parts):
    return [part async for part in parts]


@pytest.fixture
def server():
    with fake_server() as fake:
        yield fake


@pytest.fixture(params=[Client, Awaited])
def client(request, server):
    with request.param(server.url, "fake", retries=2, timeout=10.0) as client:
        yield client


def test_one_example_is_answered_without_a_batch_axis(client, server):
    answer = client.predict(image=PNG, text="thrée", weights=[1.5, None])
    assert answer["label"] == "thrée"
    np.testing.assert_array_equal(answer["label_scores"], np.array([len(PNG), 0], np.float32))
    assert answer["label_scores"].dtype == np.float32
    assert answer["total"] == 1.5
    assert server.predicted()[-1]["inputs"].keys() == DESCRIPTION["modalities"].keys()


def test_any_part_of_the_modalities_will_do(client):
    assert client.predict(text="a")["label"] == "a"
    assert client.predict(image=PNG)["label"] == "nothing"
    assert np.isnan(client.predict(image=PNG)["total"])
    assert client.predict(motion=np.ones((2, 2)), weights=[1, 2])["total"] == 7.0


def test_a_batch_is_sent_in_parts_and_answered_in_order(client, server):
    rows = [{"text": f"{index}", "weights": [index, 1]} for index in range(5)]
    answers = client.predict_batch(rows, batch_size=2)
    assert answers["label"].tolist() == ["0", "1", "2", "3", "4"]
    np.testing.assert_array_equal(answers["total"], np.arange(1, 6, dtype=np.float32))
    assert [len(body["inputs"]["text"]) for body in server.predicted()[1:]] == [2, 2, 1]


def test_a_batch_of_none_is_refused(client):
    with pytest.raises(ValueError, match="at least one row"):
        client.predict_batch([])
    with pytest.raises(ValueError, match="Received: batch_size=0"):
        client.predict_batch([{"text": "a"}], batch_size=0)


def test_bytes_types_and_texts_of_other_signatures_arrive_as_they_are(client):
    answer = client.generate(image=PNG, audio=np.zeros(5))
    assert answer["copy_image"] == PNG
    assert answer["said"].dtype == np.int16
    assert answer["said"].tolist() == [-32768, 0, 54]
    assert answer["said_samples"].dtype == np.int32
    assert client.embed(image=PNG)["embedding"].tolist() == [len(PNG), 0]
    with pytest.raises(ServingError, match="Received: 'reconstruct'"):
        client.reconstruct(text="a")


def test_further_inputs_are_given_a_value_a_row(client, server):
    rows = [{"text": "a"}, {"text": "b"}, {"text": "c"}]
    answers = client.ask("sample", rows, {"seed": [7, 8, 9]}, batch_size=2)
    assert answers["drawn"].tolist() == [["a", "é"], ["b", "é"], ["c", "é"]]
    assert answers["seed"].tolist() == [7, 8, 9]
    with pytest.raises(ValueError, match="none for `seed`. Give them as `extra`"):
        client.ask("sample", rows)
    with pytest.raises(ValueError, match="Received: 'sed'. Did you mean `seed`"):
        client.ask("sample", rows, {"sed": [1, 2, 3], "seed": [1, 2, 3]})


def test_what_the_model_reads_is_asked_once(client, server):
    assert client.describe() == DESCRIPTION
    client.predict(text="a")
    assert client.describe() == DESCRIPTION
    assert [body["signature_name"] for body in server.predicted()] == ["describe", "serving_default"]


def test_metadata_and_status_are_plain_words(client):
    signatures = client.metadata()
    assert signatures["sample"]["inputs"]["seed"] == {"dtype": "int32", "shape": [None]}
    assert signatures["embed"]["outputs"] == {"embedding": {"dtype": "float32", "shape": [None, 2]}}
    assert [(entry["version"], entry["state"]) for entry in client.status()] == [(2, "AVAILABLE"), (1, "END")]


def test_an_unknown_modality_sends_nothing(client, server):
    with pytest.raises(ValueError, match="Received: 'txt'. Did you mean `text`?"):
        client.predict(txt="a")
    assert [body["signature_name"] for body in server.predicted()] == ["describe"]


def test_a_missing_file_is_named_and_sends_nothing(client, server, tmp_path):
    with pytest.raises(ValueError, match=r"row 2: .*lost\.png, which does not exist"):
        client.predict_batch([{"text": "a"}, {"image": tmp_path / "lost.png"}])
    assert len(server.predicted()) == 1


def test_the_file_that_the_server_cannot_decode_is_named_with_its_row(client, tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "b.png").write_bytes(b"broken")
    with pytest.raises(ServingError, match=r"^row 2: .*b\.png: `decode_image` expects") as caught:
        client.predict_batch([{"image": tmp_path / name, "text": "t"} for name in ("a.png", "b.png")])
    assert (caught.value.code, caught.value.http_status) == ("INVALID_ARGUMENT", 400)
    with pytest.raises(ServingError, match=r"^[^:]*b\.png: `decode_image` expects"):
        client.predict(image=tmp_path / "b.png")


def test_a_manifest_is_answered_in_parts_with_lines_and_ids(client, server, tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    rows = "id,image,words,a,b\nx,a.png,one,1,2\ny,,two,,\nz,a.png,,,3\n"
    (tmp_path / "rows.csv").write_text(rows)
    parts = list(client.predict_manifest(tmp_path / "rows.csv", batch_size=2))
    assert [part.lines.tolist() for part in parts] == [[2, 3], [4]]
    assert [list(part.ids) for part in parts] == [["x", "y"], ["z"]]
    assert [part.answers["label"].tolist() for part in parts] == [["one", "two"], ["nothing"]]
    np.testing.assert_array_equal(parts[0].answers["total"], np.array([3, np.nan], "f4"))
    np.testing.assert_array_equal(parts[1].answers["label_scores"], [[len(PNG), 0]])


def test_a_fault_of_a_manifest_is_told_with_its_line(client, tmp_path):
    (tmp_path / "b.png").write_bytes(b"broken")
    (tmp_path / "rows.csv").write_text("image,words\n,one\nb.png,two\n")
    with pytest.raises(ServingError, match=r"^line 3: .*b\.png: `decode_image`"):
        list(client.predict_manifest(tmp_path / "rows.csv"))
    (tmp_path / "rows.csv").write_text("image,words\nlost.png,two\n")
    with pytest.raises(ManifestError, match="lost.png"):
        list(client.predict_manifest(tmp_path / "rows.csv"))


def test_a_busy_server_is_asked_again(client, server):
    client.describe()
    server.faults = [Refusal(503, "UNAVAILABLE", "full", wait=0), Refusal(429, "", "full"), hang_up]
    with pytest.raises(ServingError) as caught:
        client.predict(text="a")
    assert caught.value.code == "UNAVAILABLE"
    server.faults = [Refusal(503, "", "full", wait=40)]
    with pytest.raises(ServingError) as caught:
        client.predict(text="a")
    assert caught.value.retry_after == 40
    server.faults = [hang_up, Refusal(502, "", "full")]
    assert client.predict(text="a")["label"] == "a"


def hang_up(handler):
    handler.close_connection = True


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "INVALID_ARGUMENT"), (401, "UNAUTHENTICATED"), (404, "NOT_FOUND"), (413, "INVALID_ARGUMENT")]
    + [(422, "INVALID_ARGUMENT"), (500, "UNKNOWN"), (504, "DEADLINE_EXCEEDED")],
)
def test_a_refusal_has_its_code_and_the_words_of_the_server(server, status, code):
    with Client(server.url, "fake") as client:
        client.describe()
        server.faults = [Refusal(status, code, "so it is")] * 2
        with pytest.raises(ServingError, match="so it is") as caught:
            client.predict(text="a")
    assert caught.value.http_status == status
    assert caught.value.code in (code, "INTERNAL")


def test_a_slow_server_is_given_up_in_time(server):
    with Client(server.url, "fake", timeout=0.3) as client:
        client.describe()
        server.faults = [lambda handler: time.sleep(1.0)]
        began = time.monotonic()
        with pytest.raises(ServingError, match="in time. Received: none. Raise `timeout`") as caught:
            client.predict(text="a")
    assert caught.value.code == "DEADLINE_EXCEEDED"
    assert time.monotonic() - began < 0.9


def test_an_answer_that_is_no_json_names_the_url(server):
    with Client(server.url, "fake") as client:
        client.describe()
        server.faults = [lambda handler: handler.send_raw(200, b"<html>Welcome")]
        with pytest.raises(ServingError, match=f"{server.url}. Received: status 200 with `<html>"):
            client.predict(text="a")


@pytest.mark.parametrize("kind", [Client, Awaited])
def test_a_server_that_is_not_there_is_named(kind):
    url = "http://127.0.0.1:9"
    with kind(url, "fake", retries=1) as client, pytest.raises(ServingError, match=url) as caught:
        client.predict(text="a")
    assert caught.value.code == "UNAVAILABLE"
    assert "mm-keras serve" in str(caught.value)


def test_a_model_that_is_not_there_is_told(server):
    with (
        Client(server.url, "other") as client,
        pytest.raises(ServingError, match="Servable not found") as caught,
    ):
        client.status()
    assert caught.value.code == "NOT_FOUND"


def test_the_only_model_needs_no_name(server):
    with Client(server.url) as client:
        assert client.predict(text="a")["label"] == "a"
    assert server.seen[1][0] == "/v1/models/fake/metadata"


@pytest.mark.parametrize(
    ("paths", "received"),
    [
        (None, "that does not tell its models. Received: none"),
        ((), "a server of none"),
        (("/v1/models/a", "/v1/models/b:predict"), "a server of `a`, `b`"),
    ],
)
def test_a_model_that_cannot_be_known_is_to_be_named(server, paths, received):
    server.paths = paths
    with Client(server.url) as client, pytest.raises(ValueError, match=f"{received}. Name the model"):
        client.predict(text="a")


@pytest.mark.parametrize(
    ("settings", "path"),
    [({"version": 3}, "/v1/models/fake/versions/3"), ({"label": "stable"}, "/v1/models/fake/labels/stable")],
)
def test_a_version_or_label_is_in_every_path(server, settings, path):
    with Client(server.url, "fake", **settings) as client:
        client.predict(text="a")
        client.status()
    assert [seen[0] for seen in server.seen] == [f"{path}/metadata", *[f"{path}:predict"] * 2, path]


def test_an_api_key_comes_with_every_request(server):
    with Client(server.url, "fake", api_key="secret") as client:
        client.predict(text="a")
    assert {headers["authorization"] for _, headers, _ in server.seen} == {"Bearer secret"}


def test_an_earlier_export_asks_for_its_modalities(server):
    server.signatures = ("serving_default", "generate")
    with Client(server.url, "fake") as client, pytest.raises(ServingError, match="Export the run again"):
        client.predict(text="a")
    with Client(server.url, "fake", modalities=DESCRIPTION["modalities"]) as client:
        assert client.predict(text="a", audio=np.zeros(5))["label_scores"].tolist() == [0, 54]


def test_threads_may_share_a_client(server):
    found = {}
    with Client(server.url, "fake") as client:

        def ask(index):
            found[index] = client.predict(text=f"{index}")["label"]

        threads = [threading.Thread(target=ask, args=(index,)) for index in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {index: f"{index}" for index in range(16)}


def test_many_are_awaited_together(server):
    async def ask():
        async with AsyncClient(server.url, "fake") as client:
            answers = await asyncio.gather(*(client.predict(text=f"{index}") for index in range(16)))
        return [answer["label"] for answer in answers]

    assert asyncio.run(ask()) == [f"{index}" for index in range(16)]


def test_the_body_is_what_tensorflow_serving_reads(server, monkeypatch):
    bodies = []
    send = httpx.Client.request

    def request(client, method, path, content=None, **settings):
        bodies.append(content)
        return send(client, method, path, content=content, **settings)

    monkeypatch.setattr(httpx.Client, "request", request)
    with Client(server.url, "fake") as client:
        client.predict(image=b"abc", text='a "b"', weights=[1.5, None])
    expected = (
        b'{"signature_name":"serving_default","inputs":{"audio":[""],"image":[{"b64":"YWJj"}],'
        b'"motion":[[[NaN, NaN], [NaN, NaN], [NaN, NaN]]],"text":["a \\"b\\""],"weights":[[1.5, NaN]]}}'
    )
    assert bodies[-1] == expected


@pytest.mark.parametrize(
    ("url", "settings", "received"),
    [
        ("htp://localhost", {}, "'htp://localhost'. Did you mean `http`"),
        ("localhost:8501", {}, "'localhost:8501'"),
        ("http://localhost:port", {}, "http://localhost:port"),
        ("grpc://localhost", {}, "none. Name the model"),
        ("http://localhost", {"version": 1, "label": "a"}, "version=1, label='a'"),
        ("http://localhost", {"timeout": 0}, "timeout=0"),
        ("http://localhost", {"retries": -1}, "retries=-1"),
        ("https://localhost", {"verify": "lost.pem"}, "'lost.pem', which is none"),
    ],
)
def test_wrong_arguments_are_refused_at_once(url, settings, received):
    with pytest.raises(ValueError, match=f"Received: .*{received}"):
        Client(url, **settings)


def test_rest_needs_no_tensorflow():
    with fake_server() as fake:
        code = (
            "import sys, numpy\n"
            "from mm_keras.serving import Client\n"
            f"with Client({fake.url!r}) as client:\n"
            "    client.predict(image=numpy.zeros((2, 2), 'uint8'), audio=numpy.zeros(5))\n"
            "assert not {'tensorflow', 'keras', 'pandas', 'grpc'} & set(sys.modules)\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
