"""Which image, which recording and which noise make each row of AV-MNIST-R."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from mm_keras.checks import message
from mm_keras.data.avmnist_sources import DIGITS, FAINT, OWNER, SAMPLES, second_powers

SPLITS = ("train", "validation", "test")
PART_OF = {"train": "train", "validation": "train", "test": "t10k"}  # Of MNIST.
RECORDING_SHARES = {"test": 0.2, "validation": 0.1}  # The rest is train.
NOISE_SHARES = {"test": 0.2, "validation": 0.2}


@dataclass(frozen=True)
class Row:
    """A row, and all that its files are made from.

    Args:
        id: str, such as "train_00012".
        split: str.
        label: int in 0..9.
        mnist_part, mnist_index: str and int. The image: "train" or "t10k", and its place there.
        recording, speaker: str. File and speaker of the spoken digit.
        recording_start: int >= 0. The sample at which it begins.
        noise: str. File of the noise.
        noise_start: int >= 0. The sample of the noise at which the row begins.
        snr_db: float. Ratio of spoken digit to noise (decibels).
    """

    id: str
    split: str
    label: int
    mnist_part: str
    mnist_index: int
    recording: str
    speaker: str
    recording_start: int
    noise: str
    noise_start: int
    snr_db: float


def plan_rows(settings, mnist, recordings, clips):
    """Draws every row of a data set.

    Within a split each recording of a digit and each clip comes as often as any other, or once more.

    Args:
        settings: Settings.
        mnist: dict, part -> (images, labels).
        recordings, clips: list of Sound.

    Returns: list of Row, split by split; nothing that two splits share.
    Raises: ValueError, if there are too few images, recordings or clips.
    """
    chosen = _choose_images(settings, mnist)
    recordings = _part_recordings(recordings, settings)
    clips = _part_clips(clips, settings.seed)
    rows = []
    for number, split in enumerate(SPLITS):
        # One stream a split and purpose: more rows of train leave those of test as they are.
        streams = [np.random.default_rng([settings.seed, 3, number, purpose]) for purpose in range(4)]
        labels = mnist[PART_OF[split]][1][chosen[split]]
        spoken = _assign_recordings(labels, recordings[split], streams[0])
        noises = _cycle(clips[split], len(labels), streams[1])
        ratios = np.round(streams[2].uniform(*settings.snr, len(labels)), 2)
        for i, label in enumerate(labels):
            rows.append(
                Row(
                    id=f"{split}_{i:05d}",
                    split=split,
                    label=int(label),
                    mnist_part=PART_OF[split],
                    mnist_index=int(chosen[split][i]),
                    recording=spoken[i].name,
                    speaker=spoken[i].group,
                    recording_start=int(streams[3].integers(SAMPLES - len(spoken[i].samples) + 1)),
                    noise=noises[i].name,
                    noise_start=_draw_noise_start(noises[i].samples, streams[3]),
                    snr_db=float(ratios[i]),
                )
            )
    return rows


def _choose_images(settings, mnist):
    """Returns split -> places of its images in their part of MNIST, none in two splits."""
    wanted = {"train": settings.train + settings.validation, "t10k": settings.test}
    order = {}
    for number, part in enumerate(("train", "t10k")):
        there = len(mnist[part][1])
        if wanted[part] > there:
            splits = [split for split in SPLITS if PART_OF[split] == part]
            expected = f"at most {there} rows of {' and '.join(splits)}: each has an image of its own"
            raise ValueError(message(OWNER, expected, f"{wanted[part]}", "Ask for fewer rows."))
        order[part] = np.random.default_rng([settings.seed, 0, number]).permutation(there)
    return {
        "train": order["train"][: settings.train],
        "validation": order["train"][settings.train : wanted["train"]],
        "test": order["t10k"][: settings.test],
    }


def _part_recordings(recordings, settings):
    """Returns split -> digit -> its recordings; by speaker or within each digit, every speaker alike."""
    random = np.random.default_rng([settings.seed, 1])
    parted = {split: defaultdict(list) for split in SPLITS}
    speakers = sorted({recording.group for recording in recordings})
    if settings.held_out_speakers:
        what = "speakers, some for each split"
        of_speaker = _by_split(_part(speakers, RECORDING_SHARES, random, what, lambda name: ""))
        for recording in recordings:
            parted[of_speaker[recording.group]][recording.kind].append(recording)
        _check_digits(parted, of_speaker)
        return parted
    for digit in range(DIGITS):
        ours = [recording for recording in recordings if recording.kind == digit]
        what = f"recordings of digit {digit}, some for each split"
        parts = _part(ours, RECORDING_SHARES, random, what, lambda recording: recording.group)
        for split, members in parts.items():
            parted[split][digit] = members
    return parted


def _check_digits(parted, of_speaker):
    for split in SPLITS:
        lacking = [digit for digit in range(DIGITS) if not parted[split][digit]]
        if lacking:
            names = ", ".join(sorted(name for name, there in of_speaker.items() if there == split))
            received = f"none of {', '.join(map(str, lacking))} by {names}, held out for {split}"
            fix = "Choose another seed, or leave held_out_speakers out."
            raise ValueError(message(OWNER, "recordings of every digit by every speaker", received, fix))


def _part_clips(clips, seed):
    """Returns split -> its clips; those that were cut from one sound stay together, classes are spread."""
    groups = defaultdict(list)
    for clip in clips:
        groups[clip.group].append(clip)
    parts = _part(
        sorted(groups),
        NOISE_SHARES,
        np.random.default_rng([seed, 2]),
        "noises of different origin, some for each split",
        lambda name: groups[name][0].kind,
    )
    return {split: [clip for name in names for clip in groups[name]] for split, names in parts.items()}


def _part(members, shares, random, what, kind):
    """Returns split -> members by these shares, one at least, every kind in its share of each split."""
    count = len(members)
    if count < len(SPLITS):
        fix = "Give more of them."
        raise ValueError(message(OWNER, f"at least {len(SPLITS)} {what}", f"{count}", fix))
    shuffled = [members[i] for i in random.permutation(count)]
    seen, ranks = defaultdict(int), []
    for member in shuffled:
        ranks.append(seen[kind(member)])
        seen[kind(member)] += 1
    ordered = [shuffled[i] for i in np.argsort(ranks, kind="stable")]
    parts, start = {}, 0
    for split, share in shares.items():
        stop = start + max(1, round(share * count))
        parts[split] = ordered[start:stop]
        start = stop
    parts["train"] = ordered[start:]
    return parts


def _by_split(parts):
    return {member: split for split, members in parts.items() for member in members}


def _assign_recordings(labels, recordings, random):
    """Returns the recording of each row: one of its label."""
    spoken = [None] * len(labels)
    for digit in range(DIGITS):
        places = np.flatnonzero(labels == digit)
        for place, recording in zip(places, _cycle(recordings[digit], len(places), random), strict=True):
            spoken[place] = recording
    return spoken


def _cycle(members, count, random):
    """Returns `count` of the members in random order, none a second time before each came once."""
    rounds = -(-count // len(members))
    order = np.concatenate([np.empty(0, int), *(random.permutation(len(members)) for _ in range(rounds))])
    return [members[i] for i in order[:count]]


def _draw_noise_start(samples, random):
    """Returns where the noise of a row begins; a place from where on it is silent gives way to the loudest.

    It begins anew where it ends.
    """
    start = int(random.integers(len(samples)))
    if np.mean(np.square(noise_from(samples, start))) < FAINT:
        return int(np.argmax(second_powers(samples))) if len(samples) > SAMPLES else 0
    return start


def noise_from(samples, start):
    """Returns one second of a noise from a sample on."""
    return samples[(start + np.arange(SAMPLES)) % len(samples)]
