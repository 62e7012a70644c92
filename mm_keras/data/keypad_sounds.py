"""Sounds of the keypad data set to learn to make, the tones of a key and a melody; and how to read them."""

import numpy as np

RATE = 8000
ROW_HZ = (697, 770, 852, 941)  # ITU-T Q.23: the low group names the row of the keypad,
COLUMN_HZ = (1209, 1336, 1477)  # and the high group its column.
PLACES = np.array([(3, 1), *((row, column) for row in range(3) for column in range(3))])  # Of 0 to 9.
RAMP = 0.005  # Seconds up and down: no clicks.
KEY_SECONDS, KEY_LEVEL = 0.3, 0.3

NOTES = "CDEFGAB"
# The octave from C5 on, in equal temperament, A5 = 880 Hz.
NOTE_HZ = tuple(880 * 2 ** (steps / 12) for steps in (-9, -7, -5, -4, -2, 0, 2))
NOTE_SECONDS, NOTE_LEVEL, DECAY = 0.2, 0.5, 0.15  # Seconds, of full scale, seconds to a part 1 / e.
MELODIES = ("CEG", "GEC", "CDEC", "EDCD", "EFGAG", "GFEDC", "CCGGAA", "GABAGE", "AFDB", "BGEC")  # Of 0 to 9.
BLOCK = 205  # Samples, as receivers of these tones take: a tone may be off by half of RATE / BLOCK, 20 Hz.
LEAST_SHARE = 0.5  # Of the power, that the tones of a key have: else there is none.


def play_keys(labels):
    """Returns the two tones of each key, a list of int16 arrays."""
    time = np.arange(round(KEY_SECONDS * RATE)) / RATE
    ramp = _ramp(time, KEY_SECONDS)
    sounds = []
    for row, column in PLACES[np.asarray(labels)]:
        tones = sum(np.sin(2 * np.pi * hertz * time) for hertz in (ROW_HZ[row], COLUMN_HZ[column]))
        sounds.append(as_pcm16(KEY_LEVEL * ramp * tones))
    return sounds


def play_melodies(labels):
    """Returns the melody of each key, a list of int16 arrays: notes of two harmonics that die away."""
    time = np.arange(round(NOTE_SECONDS * RATE)) / RATE
    shape = NOTE_LEVEL * _ramp(time, NOTE_SECONDS) * np.exp(-time / DECAY)
    sounds = []
    for label in labels:
        hertz = [NOTE_HZ[NOTES.index(note)] for note in MELODIES[label]]
        notes = [np.sin(2 * np.pi * f * time) + 0.3 * np.sin(4 * np.pi * f * time) for f in hertz]
        sounds.append(as_pcm16(np.concatenate([shape * note for note in notes])))
    return sounds


def read_key(sound):
    """Returns the digit whose tones a sound at 8000 Hz is made of, -1 of none, told by Goertzel's filter."""
    sound = np.asarray(sound, "float64")
    low, high = tone_power(sound, ROW_HZ), tone_power(sound, COLUMN_HZ)
    # A tone of amplitude a has the power a * a / 2, the sound its mean square.
    if low.max() + high.max() < LEAST_SHARE * np.mean(np.square(sound)) or not sound.any():
        return -1
    place = [int(low.argmax()), int(high.argmax())]
    found = np.flatnonzero((PLACES == place).all(axis=1))
    return int(found[0]) if len(found) else -1


def read_melody(sound):
    """Returns the notes of a sound at 8000 Hz, such as "CEG", one for each 0.2 s, "-" for silence; a last one
    of less than a quarter of that is none."""
    size = round(NOTE_SECONDS * RATE)
    sound = np.asarray(sound, "float64")
    parts = [sound[start : start + size] for start in range(0, len(sound), size)]
    parts = [part for part in parts if len(part) > size / 4]
    powers = [tone_power(part, NOTE_HZ) for part in parts]
    return "".join(NOTES[power.argmax()] if power.max() > 1e-6 else "-" for power in powers)


def tone_power(sound, hertz):
    """Returns the power of tones in a sound at 8000 Hz, a float for each of `hertz`: the mean of its blocks.

    Source: Goertzel 1958, "An algorithm for the evaluation of finite trigonometric series", as a sum.
    """
    size = min(BLOCK, max(len(sound), 1))
    blocks = np.resize(sound, (max(len(sound) // size, 1), size)) if len(sound) else np.zeros((1, 1))
    waves = np.exp(-2j * np.pi * np.asarray(hertz)[:, None] * np.arange(size) / RATE)
    return 2 * np.square(np.abs(blocks @ waves.T / size)).mean(axis=0)


def as_pcm16(samples):
    return np.rint(np.clip(samples, -1, 1) * 32767).astype(np.int16)


def _ramp(time, seconds):
    return np.clip(np.minimum(time, seconds - time) / RAMP, 0, 1)
