"""How an AV-MNIST-R was made, for programs and for people."""

from mm_keras.data.avmnist_rows import SPLITS
from mm_keras.data.avmnist_sources import digest_mnist, digest_sounds

VERSION = 1
TEXT = """AV-MNIST-R, version {version}: which digit is written and spoken? Built by mm_keras.

manifest.csv     id, image, audio, {features}label, split
provenance.csv   of each row: the image in MNIST, the recording and its speaker, the noise, where they
                 begin, and the ratio of spoken digit to noise. It tells the label: do not learn from it.
recipe.json      settings, counts, and SHA-256 of the sources
checksums.json   SHA-256 of every file, and one of what sha256sum prints of them, sorted by name;
                 `mm-keras data check FOLDER` compares them

Rows      {train} train, {validation} validation, {test} test; seed {seed}
Images    28x28 grey PNG; {preset} principal components, fitted on the images of train, keep {kept:.1f} % of
          their variance. Test images are of MNIST's test part; no image stands in two rows.
Sounds    one second, 8000 Hz, 16-bit WAV: a recording at a random place, in noise at {low:g} to {high:g} dB.
          The ratio is that of the mean square of the recording, without the silence around it, to that
          of the noise.
{spectrograms}Splits    {apart} and noises of one origin are in one split.

Licences  of the sources, as their authors give them; what is made of them is bound by them.
  MNIST   Y. LeCun, C. Cortes, C. J. C. Burges; CC BY-SA 3.0
  Spoken  Free Spoken Digit Dataset, Z. Jackson et al.; CC BY-SA 4.0
  Noise   ESC-10: K. J. Piczak, CC BY 3.0 (ESC-50: CC BY-NC 3.0); each clip has a licence and an author in
          the list that ESC comes with. Other noise: see where it is from. provenance.csv names the clip
          of each row.
"""
SPECTROGRAMS = """Pictures  of the sounds, 112x112 uint8 .npy, time by frequency: windows of 222 samples
          (Hann) each 70, 255 is the loudest, 0 is 80 dB below it.
"""


def make_recipe(settings, sources, rows, kept_variance):
    """Returns what says how a data set was made; plain values, for JSON."""
    used = {split: [row for row in rows if row.split == split] for split in SPLITS}
    return {
        "data_set": "AV-MNIST-R",
        "version": VERSION,
        **{**settings, "snr": list(settings["snr"])},
        # Six digits: the last ones differ between computers, and the recipe is part of the digest.
        "kept_variance": round(kept_variance, 6),
        "speakers": {split: sorted({row.speaker for row in used[split]}) for split in SPLITS},
        "recordings": {split: len({row.recording for row in used[split]}) for split in SPLITS},
        "noises": {split: len({row.noise for row in used[split]}) for split in SPLITS},
        "sources": {
            "mnist": digest_mnist(sources["mnist"]),
            "fsdd": digest_sounds(sources["fsdd"]),
            "noise": digest_sounds(sources["noise"]),
        },
    }


def make_readme(recipe):
    """Returns the text of README.txt."""
    apart = "Speakers" if recipe["held_out_speakers"] else "Recordings"
    return TEXT.format(
        **{name: recipe[name] for name in ("version", "train", "validation", "test", "seed", "preset")},
        features="spectrogram, " if recipe["spectrogram"] else "",
        kept=100 * recipe["kept_variance"],
        low=recipe["snr"][0],
        high=recipe["snr"][1],
        apart=apart,
        spectrograms=SPECTROGRAMS if recipe["spectrogram"] else "",
    )
