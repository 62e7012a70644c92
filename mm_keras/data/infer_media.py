"""Looks at a sample of files or texts and chooses the settings of a modality, with the reason."""

import math
import warnings

import numpy as np
import soundfile
from PIL import Image

LARGEST_SIDE = 128
MOST_RATE = 16_000
MOST_SECONDS = 10
FILTERS = (32, 64, 128, 128)
VOCABULARIES = (500, 1000, 2000, 4000, 8000, 16_000, 30_000)


def describe_images(paths):
    """Returns (settings in YAML's flow style, why) from the headers of image files."""
    sizes, grey = [], []
    for path in paths:
        try:
            with warnings.catch_warnings(), Image.open(path) as image:
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                sizes.append((image.height, image.width))
                if len(grey) < 16:
                    grey.append(_is_grey(image))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            continue
    if not sizes:
        return _write_image((64, 64), 3), "no file could be read: check the paths, then size and channels"
    height, width = (float(side) for side in np.median(sizes, axis=0))
    channels = 1 if all(grey) else 3
    size = _round_size(height, width, same=len(set(sizes)) == 1)
    colour = "grey" if channels == 1 else "colour"
    many = "" if len(set(sizes)) == 1 else ", the median"
    why = f"{colour} images of {height:.0f} x {width:.0f} pixels (height x width{many})"
    if max(height, width) > LARGEST_SIDE:
        why += "; larger sizes see more and train slower"
    return _write_image(size, channels), why


def _is_grey(image):
    if image.mode in ("1", "L", "LA", "I", "F") or image.mode.startswith("I;"):
        return True
    if image.width * image.height > 4_000_000:
        return False
    pixels = np.asarray(image.convert("RGB"), "int16")
    return bool(np.ptp(pixels, axis=2).max() <= 2)


def _round_size(height, width, same):
    longest = max(height, width)
    scale = min(1, LARGEST_SIDE / longest)
    if same and scale == 1:
        return int(height), int(width)
    return tuple(max(8, round(side * scale / 8) * 8) for side in (height, width))


def _write_image(size, channels):
    stages = min(max(int(math.log2(max(min(size), 14) / 7)), 1), len(FILTERS))
    filters = list(FILTERS[:stages])
    return (
        f"kind: image, size: {list(size)}, channels: {channels}, encoder: {{kind: conv, filters: {filters}}}"
    )


def describe_audio(paths):
    """Returns (settings, why) from the headers of audio files."""
    rates, seconds = [], []
    for path in paths:
        try:
            info = soundfile.info(path)
        except (soundfile.LibsndfileError, OSError):
            continue
        rates.append(info.samplerate)
        seconds.append(info.frames / info.samplerate)
    if not rates:
        why = "no file could be read: check the paths, then rate and seconds"
        return "kind: audio, rate: 16000, seconds: 1.0", why
    rate = int(np.median(rates))
    long = float(np.percentile(seconds, 95))
    why = f"{rate} Hz, 95 % of the sounds last at most {long:.2f} s"
    if rate > MOST_RATE:
        why += f"; {MOST_RATE} Hz hold speech and most sounds"
    if long > MOST_SECONDS:
        why += f"; cut after {MOST_SECONDS} s"
    chosen = min(max(math.ceil(round(long * 10, 3)) / 10, 0.1), MOST_SECONDS)
    rate = min(max(rate, 1000), MOST_RATE)
    encoder = "encoder: {kind: conv_recurrent, mel_bins: 40, units: 64}"
    return f"kind: audio, rate: {rate}, seconds: {chosen}, {encoder}", why


def describe_features(paths):
    """Returns (settings, why) from the headers of .npy files, or None if none is a vector or a sequence."""
    shapes = []
    for path in paths:
        try:
            shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
        except (OSError, ValueError, EOFError):
            continue
        if len(shape) in (1, 2) and 0 < min(shape) and max(shape) <= 65_536:
            shapes.append(shape)
    if not shapes:
        return None
    longest = max(shapes, key=len)
    shapes = [shape for shape in shapes if len(shape) == len(longest)]
    width = shapes[0][-1]
    if len(longest) == 1:
        return f"kind: features, shape: [{width}], encoder: {{kind: dense, units: 64}}", "one vector a row"
    steps = max(shape[0] for shape in shapes)
    why = f"sequences of vectors, at most {steps} long in the files looked at"
    return f"kind: features, shape: [{steps}, {width}], encoder: {{kind: gru, units: 64}}", why


def describe_text(cells):
    """Returns (settings, why) from a pandas.Series of texts that are not empty."""
    words = [cell.lower().split() for cell in cells]
    most = float(np.percentile([len(group) for group in words], 95))
    length = min(max(math.ceil((most * 1.5 + 2) / 4) * 4, 8), 512)
    distinct = len({word for group in words for word in group})
    size = next((size for size in VOCABULARIES if size >= distinct * 1.5), VOCABULARIES[-1])
    why = f"95 % of the texts have at most {most:.0f} words; {distinct} different words"
    return f"kind: text, length: {length}, vocabulary_size: {size}, encoder: {{kind: gru, units: 64}}", why


DESCRIBE = {"image": describe_images, "audio": describe_audio, "features": describe_features}
