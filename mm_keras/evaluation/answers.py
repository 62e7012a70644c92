"""What a model answers with each subset of its modalities, over all rows of a split."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from mm_keras.answering_model import answering_model, caption_decoders, latent_codes, speech_decoders
from mm_keras.evaluation.scores import predicted_classes
from mm_keras.evaluation.speech_answers import SpeechReader, distortions, outline
from mm_keras.model import GIVEN, encoded_tensors, modality_inputs


@dataclasses.dataclass
class Answers:
    """True and given answers of one output.

    Args:
        true: array `(N,)` of classes, bool `(N, C)` of labels, float `(N, n)` of numbers, int `(N, T)` of
            texts' tokens, or float `(N, K)` of the `outline` of sounds.
        known: bool array `(N,)`. Whether a row's answer is known.
        present: bool array `(N, M)`. Which modalities, sorted by name, a row has.
        guesses: dict, subset (tuple of modality names) -> array like `true`.
        names: list of str. The modalities, sorted.
        distortions: dict, subset -> float `(N,)`, of sounds alone: `cepstral_distortions`.
    """

    true: np.ndarray
    known: np.ndarray
    present: np.ndarray
    guesses: dict
    names: list
    distortions: dict = dataclasses.field(default_factory=dict)

    def rows(self, subset):
        """Returns bool `(N,)`: rows that have one of these modalities at least, and a known answer."""
        return self.known & self.present[:, [name in subset for name in self.names]].any(axis=1)

    def of(self, subset):
        """Returns (true, given) of these rows."""
        rows = self.rows(subset)
        return self.true[rows], self.guesses[subset][rows]


def collect_answers(model, spec, batches, subsets, see=None, see_subset=None):
    """Answers each batch with each subset of the modalities; encoders run once.

    Args:
        model: keras.Model of `build_model`.
        spec: Spec.
        batches: iterable of (inputs, targets, weights).
        subsets: list of tuples of modality names, the last one of all of them.
        see: callable or None. Called with the targets, outputs and weights of each batch, whole; the outputs
            are what losses read, of texts and sounds what follows the true tokens and frames.
        see_subset: callable or None. Called with the subset, the targets, outputs and weights of each batch
            for each subset; rows that have none of its modalities have a weight of 0.

    Returns: dict, classification, regression, caption or speech output -> Answers.
    """
    encode, decide, force = _cut(model)
    names = spec.modality_names
    parts = {name: part for name, part in spec.outputs.items() if part.target_columns}
    true, known, present = {name: [] for name in parts}, {name: [] for name in parts}, []
    guesses = {name: {subset: [] for subset in subsets} for name in parts}
    sounds = {name: SpeechReader(part) for name, part in spec.of_kind("speech").items()}
    apart = {name: {subset: [] for subset in subsets} for name in sounds}
    for inputs, targets, weights in batches:
        embeddings = encode(inputs)
        present.append(inputs["present"].numpy() > 0)
        heard = {name: reader.true(targets[name]) for name, reader in sounds.items()}
        for name, part in parts.items():
            true[name].append(outline(heard[name][0]) if name in sounds else _read(targets[name], part))
            known[name].append(weights[name].numpy() > 0)
        for subset in subsets:
            here = inputs["present"] * tf.constant([float(name in subset) for name in names])
            outputs = decide(embeddings, here)
            said = {name: reader.given(outputs, name) for name, reader in sounds.items()}
            for name, part in parts.items():
                given = outline(said[name][0]) if name in sounds else _read(outputs[name], part)
                guesses[name][subset].append(given)
            if see_subset:
                some = tf.cast(tf.reduce_any(here > 0, axis=1), tf.float32)
                see_subset(subset, targets, outputs, {key: some * weight for key, weight in weights.items()})
            for name in sounds:
                apart[name][subset].append(distortions(heard[name], said[name]))
        if see:
            see(targets, {**outputs, **force(embeddings, inputs)}, weights)
    present = np.concatenate(present)
    return {
        name: Answers(
            np.concatenate(true[name]),
            np.concatenate(known[name]),
            present,
            {subset: np.concatenate(given) for subset, given in guesses[name].items()},
            names,
            {subset: np.concatenate(values) for subset, values in apart.get(name, {}).items()},
        )
        for name in parts
    }


def written_texts(answers, name, data, split):
    """Returns the `Answers` of a caption output as texts: `true` holds a list of them for each row.

    Rows of train come shuffled, each with the one caption that was drawn; of another split all captions of a
    row's cell count.
    """
    part = data.preprocessor.outputs[name]

    def decode(ids):
        return [text.decode() for text in data.preprocessor.caption_strings(name, tf.constant(ids)).numpy()]

    if split == "train":
        texts = [[text] for text in decode(answers.true)]
    else:
        texts = [part.captions_of(cell) for cell in data.manifest.targets[name][data.rows[split]]]
    true = np.empty(len(answers.true), object)  # Rows that fill the last batch of several devices have none.
    true[:] = [texts[row] if row < len(texts) else [] for row in range(len(true))]
    guesses = {subset: np.array(decode(ids), object) for subset, ids in answers.guesses.items()}
    return dataclasses.replace(answers, true=true, guesses=guesses)


def _read(values, part):
    values = values.numpy()
    if part.kind == "caption":  # Of training, each batch is as long as its longest text.
        return np.pad(values, [(0, 0), (0, part.length - 1 - values.shape[1])])
    return predicted_classes(values, part) if part.kind == "classification" else values


def _cut(model):
    """Parts a model behind its encoders: inputs -> embeddings, and embeddings -> outputs; the latter also to
    what losses alone read: what follows true tokens and frames, and the divergence of codes."""
    names, sounds = modality_inputs(model.input), speech_decoders(model)
    writers = {**caption_decoders(model), **sounds}
    learned = [key for key in model.output if key in writers or key in latent_codes(model)]
    between = encoded_tensors(model)
    encoders = _part({name: model.input[name] for name in names}, between)
    ends = [*between.values(), model.input["present"]]
    # Waveforms are not compared; where nobody asks for them, none is searched for.
    answers = {key: x for key, x in answering_model(model).output.items() if key not in sounds}
    rest = _part(ends, answers)
    given = [f"{name}{GIVEN}" for name in writers]
    forced = [*ends, *(model.input[name] for name in given)]
    teacher = _part(forced, {key: model.output[key] for key in learned}) if learned else None

    @tf.function(reduce_retracing=True)
    def encode(batch):
        return encoders({name: batch[name] for name in names}, training=False)

    @tf.function(reduce_retracing=True)
    def decide(embedded, present):
        return rest([*(embedded[name] for name in between), present], training=False)

    @tf.function(reduce_retracing=True)
    def force(embedded, inputs):
        if teacher is None:
            return {}
        true = [inputs[name] for name in given]
        return teacher([*(embedded[name] for name in between), inputs["present"], *true], training=False)

    return encode, decide, force


def _part(inputs, outputs):
    """Returns the model between tensors of a graph, which stays as it was.

    Of an input layer's tensor beside others Keras 3.15 notes that it comes from the copy that it makes of the
    layer's node, and can then not save the model that the tensor was taken from.
    """
    histories = [(x, x._keras_history) for x in keras.tree.flatten(inputs)]
    part = keras.Model(inputs, outputs)
    for x, history in histories:
        x._keras_history = history
    return part
