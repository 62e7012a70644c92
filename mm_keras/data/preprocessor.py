"""What was learned from the training rows, and the way from raw cells to the model's inputs and back."""

import json
from pathlib import Path

import tensorflow as tf
from pydantic import TypeAdapter

from mm_keras.checks import listing, message
from mm_keras.data import transforms
from mm_keras.data.decode_batch import decode_served
from mm_keras.spec import LATENT, AnyOutput
from mm_keras.spec_modalities import Modality

FORMAT = 1
MOST_SAMPLES = 64 * 2**20


def list_file(kind, name, names):
    """Returns the file that holds a list: `labels.txt`, or `labels_<name>.txt` when there are several."""
    return f"{kind}.txt" if len(names) == 1 else f"{kind}_{name}.txt"


class Preprocessor:
    """Turns raw cells into the model's inputs, in training, prediction and the served graph alike.

    Args:
        modalities: dict, name -> modality of the spec.
        outputs: dict, name -> output of the spec.
        vocabularies: dict, text modality or caption output -> list of tokens.
        labels: dict, classification output -> list of class names.
        statistics: dict, modality of numbers or features -> {"mean": [...], "variance": [...]} over train.
        max_pixels, max_samples: int. A larger image, a longer sound is refused before it is decoded.
    """

    def __init__(
        self,
        modalities,
        outputs,
        vocabularies,
        labels,
        statistics,
        max_pixels=64_000_000,
        max_samples=MOST_SAMPLES,
    ):
        self.modalities = {name: modalities[name] for name in sorted(modalities)}
        self.outputs = outputs
        self.vocabularies = vocabularies
        self.labels = labels
        self.statistics = statistics
        self.max_pixels = max_pixels
        self.max_samples = max_samples
        self.tokenizers = {
            name: transforms.make_tokenizer(vocabularies[name], modality.lowercase)
            for name, modality in {**self.modalities, **outputs}.items()
            if modality.kind in ("text", "caption")
        }

    @property
    def names(self):
        return list(self.modalities)

    def raw_spec(self):
        """Returns the TensorSpec of each raw input: what a client sends, with a batch axis."""
        specs = {}
        for name, modality in self.modalities.items():
            if modality.kind in ("image", "text", "audio"):
                specs[name] = tf.TensorSpec([None], tf.string, name)
            else:
                specs[name] = tf.TensorSpec([None, *modality.example_shape], tf.float32, name)
        return specs

    def tensor_spec(self, batch_size=None):
        """Returns the TensorSpec of each model input, `present` included."""
        specs = {}
        for name, modality in self.modalities.items():
            dtype = tf.int32 if modality.kind == "text" else tf.float32
            specs[name] = tf.TensorSpec([batch_size, *modality.example_shape], dtype, name)
        specs["present"] = tf.TensorSpec([batch_size, len(self.modalities)], tf.float32, "present")
        return specs

    def finish(self, decoded, present):
        """Turns decoded files, texts and numbers into the model's inputs: zeros where absent."""
        inputs = {}
        for i, (name, modality) in enumerate(self.modalities.items()):
            x = decoded[name]
            if modality.kind == "text":
                x = transforms.tokenize(x, self.tokenizers[name], modality.length)
            else:
                x = tf.cast(x, tf.float32)
            inputs[name] = _zeros_where_absent(x, present[:, i] > 0)
        inputs["present"] = present
        return inputs

    def caption_ids(self, name, texts):
        """Turns texts, string `(B,)`, into what a caption output learns: token ids `(B, length)`."""
        return transforms.tokenize(texts, self.tokenizers[name], self.outputs[name].length)

    def caption_strings(self, name, ids):
        """Turns token ids of a caption output `(..., T)` into texts `(...)`."""
        texts = transforms.detokenize(tf.reshape(ids, [-1, ids.shape[-1]]), self.vocabularies[name])
        return tf.reshape(texts, tf.shape(ids)[:-1])

    def tensors(self, raw):
        """Turns a raw batch, as `raw_spec` says, into the model's inputs: the served preprocessing."""
        decoded, present = {}, []
        for name, modality in self.modalities.items():
            cells = raw[name]
            if modality.kind in ("image", "audio"):
                present.append(cells != "")
                decoded[name] = decode_served(cells, modality, self.max_pixels, self.max_samples)
            elif modality.kind == "text":
                present.append(transforms.is_text(cells))
                decoded[name] = cells
            else:
                axes = list(range(1, cells.shape.rank))
                present.append(tf.reduce_any(cells == cells, axis=axes))
                decoded[name] = cells
        return self.finish(decoded, tf.cast(tf.stack(present, axis=1), tf.float32))

    def label_strings(self, output, scores):
        """Turns scores `(B, C)` into label strings `(B,)`; several labels are joined by the separator."""
        names = tf.constant(self.labels[output])
        part = self.outputs[output]
        if not part.multi_label:
            return tf.gather(names, tf.argmax(scores, axis=-1))
        marked = tf.where(scores >= part.threshold, part.separator + names, "")
        joined = tf.strings.reduce_join(marked, axis=-1)
        # `substr` refuses a position behind the end, and a row without any label is an empty string.
        length = tf.strings.length(joined)
        start = tf.minimum(len(part.separator.encode()), length)
        return tf.strings.substr(joined, start, length - start)

    def answers(self, outputs):
        """Turns the model's outputs into what a person reads: label strings and scores of each
        classification, numbers of each regression, text and its log-probability of each caption output, what
        `sounds` gives of each speech output,
        vectors of each contrastive output (of norm 1; zeros of an absent modality), or, where there is none
        of these, the reconstructions."""
        read = {}
        for name, output in self.outputs.items():
            if output.kind == "classification":
                read[name] = self.label_strings(name, outputs[name])
                read[f"{name}_scores"] = outputs[name]
            elif output.kind == "regression":
                read[name] = outputs[name]
            elif output.kind == "caption":
                read[name] = self.caption_strings(name, outputs[name])
                read[f"{name}_score"] = outputs[f"{name}_score"]
            elif output.kind == "speech":
                read |= self.sounds(outputs, name)
            elif output.kind == "contrastive":
                vectors = tf.math.l2_normalize(outputs[name], axis=-1)  # (B, M, D)
                for place, title in enumerate(output.titles(name)):
                    read[title] = vectors[:, place]
        return read or self.reconstructions(outputs)

    def sounds(self, outputs, *names):
        """Returns the sounds among the outputs of `answering_model`, of these speech outputs or of all: as
        16-bit PCM, int16 `(B, S)`; "<output>_samples", the length of each, int32 `(B,)`; and "<output>_rate",
        samples per second, int32 `(B,)`."""
        read = {}
        for name in names or self.of_kind("speech"):
            read |= pcm16(name, outputs[name], outputs[f"{name}_samples"], self.outputs[name].rate)
        return read

    def reconstructions(self, outputs):
        """Returns each reconstruction among the model's outputs, as a person reads it, and each code."""
        keys = {*self.copies, *(f"{name}_{LATENT}" for name in self.of_kind("autoencoder"))}
        return {key: self.readable(key, x) for key, x in outputs.items() if key in keys}

    def of_kind(self, *kinds):
        """Returns the outputs of these kinds, name -> part, in the order of the spec."""
        return {name: part for name, part in self.outputs.items() if part.kind in kinds}

    @property
    def copies(self):
        """What autoencoders rebuild, output key such as `reconstruction_image` -> name of the modality."""
        outputs = self.of_kind("autoencoder").items()
        return {f"{name}_{modality}": modality for name, output in outputs for modality in output.modalities}

    def readable(self, key, tensor):
        """Turns a reconstruction into what a person reads: text for token logits, else the tensor."""
        name = self.reconstructed(key)
        if name in self.vocabularies:
            ids = tf.argmax(tensor, axis=-1, output_type=tf.int32)
            return transforms.detokenize(ids, self.vocabularies[name])
        return tensor

    def reconstructed(self, key):
        """Returns the name of the modality that an output key rebuilds, or None."""
        return self.copies.get(key)

    def rebuilt(self, key):
        """Returns the modality, as the spec has it, that an output key rebuilds, or None."""
        return self.modalities.get(self.reconstructed(key))

    def save(self, folder):
        """Writes `preprocess.json`, and each vocabulary and list of labels as a text file."""
        folder = Path(folder)
        for kind, entries in self._lists().items():
            for name, lines in entries.items():
                text = "".join(f"{line}\n" for line in lines)
                (folder / list_file(kind, name, entries)).write_text(text, encoding="utf-8")
        (folder / "preprocess.json").write_text(self.description(), encoding="utf-8")

    def description(self):
        """Returns the contents of `preprocess.json`: what the model reads and answers, as JSON."""
        files = {
            kind: {name: list_file(kind, name, entries) for name in entries}
            for kind, entries in self._lists().items()
        }
        description = {
            "format": FORMAT,
            "inputs": {
                name: {
                    "shape": list(spec.shape),
                    "dtype": spec.dtype.name,
                    "preparation": PREPARATION.get(kind),
                }
                for name, spec in self.tensor_spec(1).items()
                for kind in [self.modalities[name].kind if name in self.modalities else "present"]
            },
            "present": self.names,
            "reserved_tokens": dict(zip(transforms.RESERVED_TOKENS, range(5), strict=True)),
            "modalities": {
                name: part.model_dump(mode="json", exclude={"augment"})  # Of training, which is over.
                for name, part in self.modalities.items()
            },
            "outputs": {name: part.model_dump(mode="json") for name, part in self.outputs.items()},
            "files": files,
            "labels": self.labels,
            "statistics": self.statistics,
            "max_pixels": self.max_pixels,
            "max_samples": self.max_samples,
        }
        return json.dumps(description, indent=2, ensure_ascii=False) + "\n"

    def _lists(self):
        return {"vocabulary": self.vocabularies, "labels": self.labels}

    @classmethod
    def load(cls, folder):
        """Reads what `save` wrote."""
        folder = Path(folder)
        path = folder / "preprocess.json"
        if not path.is_file():
            fix = "Give the folder that training or export wrote, with all of its files."
            raise ValueError(message("Preprocessor.load", "a folder with preprocess.json", str(folder), fix))
        description = json.loads(path.read_text(encoding="utf-8"))
        if description.get("format") != FORMAT:
            fix = "Export again with this version of mm_keras."
            received = f"format={description.get('format')!r} in {path}"
            raise ValueError(message("Preprocessor.load", f"format {FORMAT}", received, fix))
        files = description["files"]["vocabulary"]
        lost = [file for file in files.values() if not (folder / file).is_file()]
        if lost:
            fix = "Copy the whole folder."
            raise ValueError(message("Preprocessor.load", listing(lost), f"none of them in {folder}", fix))
        return cls(
            TypeAdapter(dict[str, Modality]).validate_python(description["modalities"]),
            TypeAdapter(dict[str, AnyOutput]).validate_python(description["outputs"]),
            {name: _read_lines(folder / file) for name, file in files.items()},
            description["labels"],
            description["statistics"],
            description["max_pixels"],
            description.get("max_samples", MOST_SAMPLES),
        )


def pcm16(key, sound, count, rate):
    """Returns sounds in [-1, 1], float `(B, S)`, as they are answered under a key: 16-bit samples, how many
    of each count, int32 `(B,)`, and the rate."""
    samples = tf.cast(tf.round(sound * 32767), tf.int16)
    return {key: samples, f"{key}_samples": count, f"{key}_rate": tf.fill(tf.shape(count), rate)}


def _zeros_where_absent(x, here):
    """Returns `x` `(B, ...)` with zeros where `here` `(B,)` is False; if it is nowhere, without a copy."""

    def hide():
        return tf.where(tf.reshape(here, [-1] + [1] * (x.shape.rank - 1)), x, tf.zeros([], x.dtype))

    return tf.cond(tf.reduce_all(here), lambda: tf.identity(x), hide)


def _read_lines(path):
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


PREPARATION = {
    "image": "Decode, drop alpha, resize with bilinear antialiasing, round to whole numbers: float 0..255.",
    "text": "BERT's basic tokenizer, then WordPiece of vocabulary.txt: [START] pieces [END], then 0.",
    "audio": "Mean of the channels, resample to `rate`, cut or pad with zeros at the end: float -1..1.",
    "features": "Sequences are cut or padded with zeros at the end.",
    "numbers": "As in the table; NaN for one that is missing.",
    "present": "1 where the modality, in the order of `present`, is there, else 0. An absent input is zeros.",
}
