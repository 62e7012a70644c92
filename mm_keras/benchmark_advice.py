"""What limits a spec's input and what to change, in words, from the figures of `measure_input`."""

ENOUGH = 0.05  # Share of an epoch that may be spent waiting.
MOST = 0.5  # A stage that takes more than this share is named as what to change.


def advise(found, kinds, without=None):
    """Returns what limits training and what to change, in words, from the figures of `measure_input`.

    Args:
        found: dict, as `measure_input` returns it, without `advice`.
        kinds: dict, modality of files -> its kind.
        without: dict, modality -> settings that its files have, where they differ from the spec's.

    Returns: list of str. The first says what limits training.
    """
    speeds = {stage["name"]: stage["examples_per_second"] for stage in found["stages"]}
    lines = [_verdict(found)]
    waits = found["waiting"] is None or found["waiting"] > ENOUGH
    largest = max(found["shares"], key=found["shares"].get, default=None)
    if waits and largest and found["shares"][largest] > MOST:
        lines.append(_change(largest, found["shares"][largest]))
    if waits and found["cache"] == "none" and kinds:
        kept = {place: speeds.get(input_from(place), 0) for place in ("memory", "file")}
        best = "memory" if kept["memory"] > 1.5 * kept["file"] else "file"
        if kept[best] > found["input"]:
            gain = kept[best] / found["input"]
            lines.append(f"Set `data.cache: {best}`: input is then {gain:.1f} times as fast from epoch 2 on.")
    elif waits and found["cache"] == "file" and speeds.get(input_from("memory"), 0) > 1.5 * found["input"]:
        lines.append("The memory cache is faster: raise `data.cache_memory`, if there is enough memory.")
    lines += _advise_decoding(found, speeds, kinds, without or {})
    return lines


def _verdict(found):
    if found["step"] is None:
        return f"Input gives {found['input']:,.0f} examples/s; the training step was not measured."
    figures = f"input gives {found['input']:,.0f} examples/s, the training step takes {found['step']:,.0f}"
    if found["waiting"] > ENOUGH:
        return f"Input is the limit: {figures}; training waits {100 * found['waiting']:.0f}% of the time."
    return f"The training step is the limit: {figures}."


def _change(stage, share):
    words = f"{stage[0].upper()}{stage[1:]} takes {100 * share:.0f}% of the input's time"
    if stage == "augment":
        return f"{words}: leave out what costs most in `augment`, such as `rand_augment`."
    if stage == "finish batches":
        return f"{words}: shorten texts (`length`), or take smaller images and shorter sounds."
    if stage == "read the cache":
        return f"{words}: put `data.cache_folder` on a faster disk."
    return f"{words}."


def _advise_decoding(found, speeds, kinds, without):
    """Returns what makes the first epoch, or each one where nothing is kept, faster."""
    decoding = {name: 1 / speeds[f"decode {name}"] for name in kinds if f"decode {name}" in speeds}
    if not decoding:
        return []
    total = sum(decoding.values())
    slowest = max(decoding, key=decoding.get)
    share, seconds = decoding[slowest] / total, found["rows"] / speeds["decode all"]
    when = "each epoch" if found["cache"] == "none" else "once, before the first epoch"
    lines = [
        f"Decoding all {found['rows']:,} rows takes about {seconds:,.1f} s, {when}; "
        f"{100 * share:.0f}% of it is {slowest}."
    ]
    own = without.get(slowest)
    plain = speeds.get(f"decode {slowest} without {conversion_of(own)}") if own else None
    converting = 1 - speeds[f"decode {slowest}"] / plain if plain else 0
    if converting > MOST:
        lines.append(
            f"{conversion_of(own).capitalize()} costs {100 * converting:.0f}% of that: the files have "
            f"{_describe(own)}. Store them as the spec wants them, by `mm-keras prepare --resize`."
        )
    elif found["cache"] == "none":
        lines.append("Run `mm-keras prepare --resize` once: shards hold what decodes fastest.")
    return lines


def conversion_of(own):
    """Returns what settings of files that are not the spec's make needful."""
    return "resampling" if "rate" in own else "resizing"


def _describe(own):
    return f"{own['rate']} Hz" if "rate" in own else f"{own['size'][1]} x {own['size'][0]} pixels"


def input_from(place):
    """Returns the name of the stage that is the whole input, from where decoded examples are kept."""
    return "all, decoding in each epoch" if place == "none" else f"all, from the {place} cache"
