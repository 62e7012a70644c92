"""Writes what `serving_fastapi.py` needs of a run: model.onnx behind its log-mel spectrogram, and peer.json.

    python benchmarks/serving_peer.py runs/av_digits FOLDER

Needs onnx and tf2onnx.
"""

import argparse
import json
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import tf2onnx

import mm_keras as mm

SILENCE = float(np.log(1e-4))  # The floor of the spectrogram.


def write_peer(run, folder, threads=1):
    model, preprocessor = run.model, run.preprocessor
    log_mel, frames = model.get_layer("audio.log_mel"), model.get_layer("audio.log_mel.frames")
    places = [model.get_layer(name).output for name in ("image", "text", "present")]
    rest = keras.Model([*places, log_mel.output, frames.output], model.get_layer("label").output)
    count = log_mel.output.shape[1]

    def answer(image, text, present, log_mel):
        loud = tf.reduce_any(log_mel > SILENCE + 1e-6, axis=-1)
        last = tf.reduce_max(tf.where(loud, tf.range(count), -1), axis=-1)  # Behind it is padding.
        heard = tf.cast(tf.range(count) <= last[:, None], frames.output.dtype)
        return rest([image, text, present, log_mel, heard], training=False)

    signature = [
        tf.TensorSpec([None, *model.get_layer(name).output.shape[1:]], dtype, name)
        for name, dtype in {
            "image": tf.float32,
            "text": tf.int32,
            "present": tf.float32,
            "audio.log_mel": tf.float32,
        }.items()
    ]
    signature[-1] = tf.TensorSpec(signature[-1].shape, tf.float32, "log_mel")
    folder.mkdir(parents=True, exist_ok=True)
    function = tf.function(answer, input_signature=signature)
    path = str(folder / "model.onnx")
    tf2onnx.convert.from_function(function, input_signature=signature, opset=17, output_path=path)
    part = preprocessor.modalities["audio"]
    size = log_mel.mel.fft_length
    window = np.zeros(size, np.float32)
    start = (size - log_mel.mel.sequence_length) // 2
    window[start : start + log_mel.mel.sequence_length] = tf.signal.hann_window(log_mel.mel.sequence_length)
    mel = tf.signal.linear_to_mel_weight_matrix(
        log_mel.mel_bins, size // 2 + 1, part.rate, 20.0, part.rate / 2
    )
    about = {
        "labels": preprocessor.labels["label"],
        "length": preprocessor.modalities["text"].length,
        "samples": part.samples,
        "vocabulary": preprocessor.vocabularies["text"],
        "window": window.tolist(),
        "stride": log_mel.stride,
        "mel": mel.numpy().tolist(),
        "threads": threads,
    }
    (folder / "peer.json").write_text(json.dumps(about), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    write_peer(mm.load_run(arguments.run), arguments.folder)


if __name__ == "__main__":
    main()
