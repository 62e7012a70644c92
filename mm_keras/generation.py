"""What a model writes, as the signatures of its SavedModel give it: several texts, and sounds."""

from mm_keras.caption_search import SAMPLING, CaptionSearch


def generation_endpoints(model, preprocessor, prepare, answer):
    """Returns what writes: name -> (function of a dict of inputs, their TensorSpecs).

    Args:
        model: keras.Model of `build_model`.
        preprocessor: Preprocessor.
        prepare: callable, dict of raw inputs -> dict of the model's inputs.
        answer: callable, the latter -> what `answering_model` gives.

    Returns: dict. "generate" of a model that writes: of each caption output the texts of
        `CaptionSearch.beams`, of each speech output what `Preprocessor.sounds` gives. "sample" of a model
        with caption outputs: `CaptionSearch.samples`, by the further inputs of `SAMPLING`.
    """
    kinds = {part.kind for part in preprocessor.outputs.values()}
    if not kinds & {"caption", "speech"}:
        return {}
    raw, search = preprocessor.raw_spec(), CaptionSearch(model, preprocessor)

    def generate(inputs):
        inputs = prepare(inputs)
        sounds = preprocessor.sounds(answer(inputs)) if "speech" in kinds else {}
        return {**search.beams(inputs), **sounds}

    def sample(inputs):
        cells = {name: x for name, x in inputs.items() if name not in SAMPLING}
        return search.samples(prepare(cells), **{name: inputs[name] for name in SAMPLING})

    endpoints = {"generate": (generate, raw)}
    if search.decoders:
        endpoints["sample"] = (sample, {**raw, **SAMPLING})
    return endpoints
