"""Asks a served model, over REST or gRPC: TensorFlow Serving or `mm-keras serve`."""

import asyncio
import importlib

from mm_keras.checks import message
from mm_keras.serving.client_dialogue import Dialogue
from mm_keras.serving.client_places import read_place
from mm_keras.serving.client_rest import AsyncRestTransport, RestTransport, RestWire

PREDICT = "serving_default"


class Client:
    """Asks a model that a server holds.

    May be used by several threads at once. Of REST, TensorFlow is not imported.

    A value is, of an image: a path, the bytes of a file, a PIL.Image, or an array `(H, W)` or `(H, W, C)`
    of numbers 0..255, sent as PNG; of a sound: a path or bytes (WAV, FLAC, Ogg, MP3), samples `(S,)`, float
    -1..1 or int16, at the model's own rate, or (samples, rate) or (rate, samples); of a text: a str; of
    features: a `.npy` path, its bytes or an array; of numbers: a number or a list of them. What is None, ""
    or left out is missing.

    Args:
        url: str. "http://localhost:8501", "grpc://localhost:8500", or encrypted "https://" or "grpcs://".
        model: str or None. Its name on the server; None asks a server of `mm-keras serve` over REST for the
            only one that it holds.
        version: int or None. None: the newest.
        label: str or None. Of a version, such as "stable", instead of `version`.
        api_key: str or None.
        timeout: float > 0. Seconds until a request must be answered, its repetitions included.
        retries: int >= 0. Repetitions where the server is busy or not to be reached, after 0.1, 0.2, 0.4, ...
            seconds (less a random part), or when the server says.
        verify: bool or path. Check the server's certificate, against the authorities (PEM) of this file.
        modalities: dict or None. What the model reads, for a server that does not tell it (an export without
            the signature `describe`): {"image": "image", "audio": {"kind": "audio", "rate": 8000}}.

    Raises: ValueError for a wrong argument or value, which nothing is sent for; ServingError, if the server
        refuses, does not answer in time or cannot be reached.
    Example:
        with Client("http://localhost:8501", "av_digits") as client:
            answer = client.predict(image="three.png", text="three")
            print(answer["label"], answer["label_scores"].max())
    """

    def __init__(
        self,
        url="http://localhost:8501",
        model=None,
        version=None,
        label=None,
        api_key=None,
        timeout=30.0,
        retries=3,
        verify=True,
        modalities=None,
    ):
        _check(version, label, timeout, retries)
        place = read_place(url)
        if model is None and place.is_rpc:
            fix = 'Name the model, such as Client("grpc://localhost:8500", "av_digits").'
            raise ValueError(message("Client", "`model`, which gRPC cannot tell", "none", fix))
        wires, transports = _protocol(place)
        self._talk = Dialogue(wires(place, model, version, label), timeout, retries, modalities)
        self._transport = transports[self._is_async](place, api_key, verify)

    _is_async = False

    def predict(self, /, **values):
        """Answers one example.

        Args:
            values: any of the model's modalities by name.

        Returns: dict, as of `Predictor.predict`, without the batch axis.
        """
        return self._run(self._talk.one(PREDICT, values))

    def predict_batch(self, rows, batch_size=64):
        """Answers several examples.

        Args:
            rows: list of dict, modality -> value.
            batch_size: int > 0. Rows of one request.

        Returns: dict, output -> array with a row per example; texts are str.
        """
        return self._run(self._talk.many(PREDICT, rows, None, batch_size))

    def generate(self, /, **values):
        """Writes texts, images and sounds for one example; see `Predictor.generate`."""
        return self._run(self._talk.one("generate", values))

    def reconstruct(self, /, **values):
        """Rebuilds the modalities of one example, missing ones too."""
        return self._run(self._talk.one("reconstruct", values))

    def embed(self, /, **values):
        """Returns the fused embedding of one example."""
        return self._run(self._talk.one("embed", values))

    def ask(self, signature, rows=None, extra=None, batch_size=64):
        """Asks any signature.

        Args:
            signature: str. Such as "sample".
            rows: list of dict, modality -> value, or None.
            extra: dict, name -> values `(B, ...)`, or None. Inputs that are no modalities.
            batch_size: int > 0. Rows of one request.

        Returns: dict, output -> array with a row per example.
        """
        return self._run(self._talk.many(signature, rows, extra, batch_size))

    def predict_manifest(self, path, batch_size=32, root=None):
        """Answers the rows of a manifest, `batch_size` of them in memory.

        Args:
            path: path of the table, as of `mm-keras predict`.
            batch_size: int > 0. Rows of one request.
            root: path or None. Folder that paths are relative to; None: the manifest's own.

        Yields: Answers: `answers`, `lines` and `ids`.
        """
        reading = importlib.import_module("mm_keras.serving.client_manifest")
        modalities = self._run(self._talk.modalities())
        for rows, lines, ids in reading.manifest_parts(path, modalities, root, batch_size):
            answers = self._run(self._talk.ask(PREDICT, rows, None, [f"line {line}" for line in lines]))
            yield reading.Answers(answers, lines, ids)

    def describe(self):
        """Returns what the model reads and answers: dict, `preprocess.json` of its export. Asked once."""
        return self._run(self._talk.describe())

    def metadata(self):
        """Returns dict, signature -> {"inputs": {name: {"dtype", "shape"}}, "outputs": the same}."""
        return self._run(self._talk.metadata())

    def status(self):
        """Returns list of dict, newest version first: "version", "state", "code" and "message"."""
        return self._run(self._talk.status())

    def close(self):
        self._transport.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def _run(self, talk):
        result = error = None
        while True:
            try:
                step = talk.send(result) if error is None else talk.throw(error)
            except StopIteration as end:
                return end.value
            result = error = None
            try:
                result = step.take(self._transport)
            except Exception as caught:  # The dialogue decides what it means.
                error = caught


class AsyncClient(Client):
    """Asks a model that a server holds, from one event loop: `Client`, whose methods are awaited.

    Args: those of `Client`.
    Example:
        async with AsyncClient("grpc://localhost:8500", "av_digits") as client:
            answer = await client.predict(text="three")
            async for part in client.predict_manifest("manifest.csv"):
                print(part.lines, part.answers["label"])
    """

    _is_async = True

    async def predict_manifest(self, path, batch_size=32, root=None):
        reading = importlib.import_module("mm_keras.serving.client_manifest")
        modalities = await self._run(self._talk.modalities())
        parts = reading.manifest_parts(path, modalities, root, batch_size)
        while part := await asyncio.to_thread(next, parts, None):  # The first one reads the table.
            rows, lines, ids = part
            answers = await self._run(self._talk.ask(PREDICT, rows, None, [f"line {line}" for line in lines]))
            yield reading.Answers(answers, lines, ids)

    async def close(self):
        await self._transport.close()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        await self.close()

    def __enter__(self):
        raise TypeError(message("AsyncClient", "`async with`", "`with`", "Or take `Client`."))

    async def _run(self, talk):
        result = error = None
        while True:
            try:
                step = talk.send(result) if error is None else talk.throw(error)
            except StopIteration as end:
                return end.value
            result = error = None
            try:
                result = await step.take_async(self._transport)
            except Exception as caught:  # The dialogue decides what it means.
                error = caught


def _protocol(place):
    """Returns the wire, and the transports of `Client` and `AsyncClient`."""
    if not place.is_rpc:
        return RestWire, (RestTransport, AsyncRestTransport)
    rpc = importlib.import_module("mm_keras.serving.client_rpc")
    return rpc.RpcWire, (rpc.RpcTransport, rpc.AsyncRpcTransport)


def _check(version, label, timeout, retries):
    if version is not None and label is not None:
        received = f"version={version!r}, label={label!r}"
        raise ValueError(message("Client", "`version` or `label`", received, "Leave one of them out."))
    for name, value, least in (("timeout", timeout, 0.001), ("retries", retries, 0)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= least:
            fix = "Such as timeout=30.0 and retries=3."
            raise ValueError(message("Client", f"`{name}` >= {least}", f"{name}={value!r}", fix))
