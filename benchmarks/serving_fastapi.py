"""The peer of `serving.py`: FastAPI and ONNX Runtime, as a user would write it by hand.

    python benchmarks/serving_fastapi.py FOLDER --port 8600

FOLDER holds model.onnx (log-mel spectrogram, image, tokens, present -> scores) and peer.json, which
`serving.py` writes. The preparation of images, sounds and texts is written anew in NumPy, Pillow and Python.
A modality may be left out.
"""

import argparse
import base64
import io
import json
import re
import wave
from pathlib import Path

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI
from PIL import Image
from pydantic import BaseModel


class Item(BaseModel):
    image: str = ""  # base64
    audio: str = ""  # base64
    text: str = ""


class Peer:
    """Answers single items."""

    def __init__(self, folder):
        about = json.loads((Path(folder) / "peer.json").read_text(encoding="utf-8"))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = about["threads"]
        self.session = onnxruntime.InferenceSession(str(Path(folder) / "model.onnx"), options)
        self.labels, self.length, self.samples = about["labels"], about["length"], about["samples"]
        self.ids = {token: index for index, token in enumerate(about["vocabulary"])}
        self.window, self.stride = np.asarray(about["window"], np.float32), about["stride"]
        self.mel = np.asarray(about["mel"], np.float32)

    def answer(self, item):
        feeds = {
            "image": self.image(item.image),
            "log_mel": self.log_mel(item.audio),
            "text": self.tokens(item.text),
            "present": np.array([[bool(item.audio), bool(item.image), bool(item.text)]], np.float32),
        }
        scores = self.session.run(None, feeds)[0][0]
        return {"label": self.labels[int(scores.argmax())], "label_scores": scores.tolist()}

    def image(self, text):
        if not text:
            return np.zeros((1, 28, 28, 1), np.float32)
        image = Image.open(io.BytesIO(base64.b64decode(text))).convert("L")
        return np.asarray(image, np.float32)[None, :, :, None]

    def log_mel(self, text):
        sound = np.zeros(self.samples, np.float32)
        if text:
            with wave.open(io.BytesIO(base64.b64decode(text))) as file:
                width, read = file.getsampwidth(), file.readframes(self.samples)
            given = (
                np.frombuffer(read, "<i2") / 32768
                if width == 2
                else (np.frombuffer(read, np.uint8).astype("f4") - 128) / 128
            )
            sound[: len(given)] = given
        size = len(self.window)
        sound = np.pad(sound, size // 2, mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(sound, size)[:: self.stride] * self.window
        power = np.abs(np.fft.rfft(frames)).astype(np.float32) ** 2
        return np.log(np.maximum(power @ self.mel, 1e-4))[None]

    def tokens(self, text):
        ids = np.zeros((1, self.length), np.int32)
        if not text.strip():
            return ids
        found = [2]
        for word in re.findall(r"\w+|[^\w\s]", text.lower()):
            found += self.pieces(word)
        found = [*found[: self.length - 1], 3]
        ids[0, : len(found)] = found
        return ids

    def pieces(self, word):
        found, start = [], 0
        while start < len(word):
            for end in range(len(word), start, -1):
                piece = ("##" if start else "") + word[start:end]
                if piece in self.ids:
                    found.append(self.ids[piece])
                    start = end
                    break
            else:
                return [1]
        return found


def make_app(folder):
    app, peer = FastAPI(), Peer(folder)

    @app.post("/predict")
    def predict(item: Item):
        return peer.answer(item)

    return app


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--port", type=int, default=8600)
    arguments = parser.parse_args()
    uvicorn.run(make_app(arguments.folder), port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
