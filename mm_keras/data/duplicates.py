"""Rows that say the same: duplicates, look-alikes, leaks between splits, and contradictions."""

from itertools import combinations

import numpy as np
import pandas as pd

from mm_keras.data.examine import SILENT
from mm_keras.data.findings import Finding
from mm_keras.data.splits import SPLITS

MOST_BITS = 4  # Of the 64 of a difference hash, that look-alikes may differ in.
BANDS = MOST_BITS + 2  # At least two of them have equal bits: 4 differences cannot hit 5 of 6.
NEIGHBOURS = 32  # Hashes with equal bits in two bands that each one is compared with.
# Correlation of the thumbnails of look-alikes, in grey and in colour: a copy as JPEG of quality 40 has more,
# and one of another size or brightness; another photograph of the same thing has less.
LEAST_GREY, LEAST_COLOUR = 0.998, 0.98
PLAIN = 8  # Shades, of 256, up to which a thumbnail is plain.
LEAST_DISTINCT = 0.9  # Share of different texts from which on a text that is repeated says something.
MOST_NAMED = 1000  # Findings of one code; of more only the number is kept.
NONE = np.iinfo(np.int64).max
SET_BITS = np.array([number.bit_count() for number in range(1 << 16)], np.uint8)


class RowComparison:
    """Finds rows of a manifest that repeat others.

    Rows are compared by what a model reads: contents of files, not names; texts without case and outer white
    space. In each group the first row is the original. Train comes before validation, validation before
    test: what a later split shares with an earlier one is a leak. It is one if all inputs of a row are the
    same, or one of its files (an image also where it only looks the same), or a text, if hardly any text
    comes twice in train. Blank images and silence are no leak: they are placeholders.

    Args:
        manifest: Manifest. Rows in no split are left out.
        modalities: dict, name -> Modality of the spec.
        files: dict, modality name -> Files, of `examine_files`.
    """

    def __init__(self, manifest, modalities, files):
        self.manifest, self.modalities, self.files = manifest, modalities, files
        self.names = sorted(modalities)
        self.split_of = np.full(len(manifest.lines), len(SPLITS))  # One more: in none.
        for number, name in enumerate(SPLITS):
            self.split_of[manifest.splits[name]] = number
        self.used = self.split_of < len(SPLITS)
        self.findings, self.counts = [], {}

    def run(self):
        """Returns (findings, counts): of each code up to `MOST_NAMED` findings, and code -> rows in all."""
        parts = {name: self._part(name) for name in self.names}
        columns = np.concatenate([part.reshape(len(part), -1) for part in parts.values()], axis=1)
        same = pd.DataFrame(columns[self.used]).groupby(list(range(columns.shape[1])), sort=False).ngroup()
        groups = np.full(len(self.used), -1)
        groups[self.used] = same.to_numpy()
        groups[~self._present.any(axis=1)] = -1
        leaking = self._compare_rows(groups)
        for name, part in parts.items():
            kind = self.modalities[name].kind
            if kind == "text":
                leaking |= self._compare_texts(name, part, leaking)
            elif name in self.files:
                leaking |= self._compare_files(name, part, leaking)
        return self.findings, self.counts

    @property
    def _present(self):
        return self.manifest.present > 0

    def _part(self, name):
        """Returns what a modality holds in each row as numbers int64 `(N,)` or `(N, n)`, -1 = missing."""
        there = self._present[:, self.names.index(name)]
        kind = self.modalities[name].kind
        if name in self.files:
            files = self.files[name]
            content = pd.factorize(files.measures["content"])[0]
            codes = np.append(np.where(files.decoded, content, -1), -1)[files.of_row]
        elif kind == "numbers":
            columns = self.manifest.cells[name].T
            codes = np.stack([pd.factorize(column)[0] for column in columns], axis=1)
            there = there[:, None]
        else:
            texts = pd.Series(self.manifest.cells[name], copy=False).str.lower().str.strip()
            codes = pd.factorize(texts)[0]
        return np.where(there, codes, -1).astype(np.int64)

    def _compare_rows(self, groups):
        """Reports rows whose inputs are all those of another row; returns which of them leak, bool `(N,)`."""
        firsts = self._first_rows(groups)
        original, earlier = self._originals(groups, firsts)
        rows = np.arange(len(groups))
        leak = earlier < NONE
        again = (original < rows) & (groups >= 0) & ~leak
        other = self._contradict(np.where(leak, earlier, original), leak | again)
        words = "the same inputs as line {line}"
        self._report("duplicate", again & ~other.any(axis=0), original, words)
        self._report("leak", leak, earlier, words + " ({split})")
        return leak

    def _contradict(self, original, repeated):
        """Reports rows whose target differs from that of the row they repeat, bool `(outputs, N)`."""
        rows = np.flatnonzero(repeated)
        found = np.zeros((max(len(self.manifest.targets), 1), len(repeated)), bool)
        for number, (name, values) in enumerate(self.manifest.targets.items()):
            weights = self.manifest.target_weights[name]
            known = (weights[rows] > 0) & (weights[original[rows]] > 0)
            if name in self.files:  # Whose answers are files: other names may hold the same.
                values = np.append(self.files[name].measures["content"], -1)[self.files[name].of_row]
            unequal = np.asarray(values[rows] != values[original[rows]], bool)
            unequal = unequal.any(axis=tuple(range(1, unequal.ndim)))
            found[number, rows[known & unequal]] = True
            words = f"`{name}` differs from that of line {{line}}, which has the same inputs"
            self._report("contradiction", found[number], original, words)
        return found

    def _compare_texts(self, name, codes, leaking):
        """Reports texts of an earlier split, in a column in which texts are hardly ever repeated."""
        train = codes[(self.split_of == 0) & (codes >= 0)]
        if not len(train) or len(np.unique(train)) < LEAST_DISTINCT * len(train):
            return np.zeros(len(codes), bool)
        codes = np.where(self.used, codes, -1)
        _, earlier = self._originals(codes, self._first_rows(codes))
        leak = (earlier < NONE) & ~leaking
        self._report("leak", leak, earlier, "the same text as line {line} ({split})", name)
        return leak

    def _compare_files(self, name, codes, leaking):
        """Reports files with the contents of an earlier split's, and images that look like another one."""
        files = self.files[name]
        measures = files.measures
        plain = _is_placeholder(measures, len(files.paths))
        told = self.used & files.rows_of(files.decoded & ~plain)
        codes = np.where(told, codes, -1)
        firsts = self._first_rows(codes)
        _, earlier = self._originals(codes, firsts)
        leak = (earlier < NONE) & ~leaking
        self._report("leak", leak, earlier, "the same contents as line {line} ({split})", name)
        if "look" not in measures:
            return leak
        seen = np.full((len(files.paths) + 1, len(SPLITS)), NONE)
        rows = np.flatnonzero(told)[::-1]
        seen[files.of_row[rows], self.split_of[rows]] = rows  # The last one written is the first row.
        near = near_rows(measures["look"], measures["thumbnail"], measures["content"], seen[:-1])
        near = np.append(near, np.full((1, len(SPLITS)), NONE), axis=0)[files.of_row]
        original, earlier = self._choose(near)
        looks = (earlier < NONE) & told & ~leak & ~leaking
        self._report("leak", looks, earlier, "looks like the image in line {line} ({split})", name)
        first = self._first_of_group(codes)
        near = (original < np.arange(len(codes))) & told & ~looks & ~leak & ~leaking & first
        self._report("near_duplicate", near, original, "looks like the image in line {line}", name)
        return leak | looks

    def _first_rows(self, codes):
        """Returns the first row of each code in each split, int64 `(codes, splits)`, `NONE` = none."""
        firsts = np.full((codes.max(initial=-1) + 2, len(SPLITS) + 1), NONE)
        rows = np.arange(len(codes))[::-1]
        firsts[codes[rows], self.split_of[rows]] = rows
        firsts[-1] = NONE  # Of code -1.
        return firsts[:, : len(SPLITS)]

    def _originals(self, codes, firsts):
        return self._choose(firsts[codes])

    def _choose(self, candidates):
        """Returns of candidate rows `(N, splits)` that of the own split and that of the earliest one."""
        rows = np.arange(len(candidates))
        own = np.append(candidates, np.full((len(rows), 1), NONE), axis=1)[rows, self.split_of]
        before = np.arange(len(SPLITS)) < self.split_of[:, None]
        before &= self.used[:, None]
        place = np.argmax(before & (candidates < NONE), axis=1)
        earlier = np.where(before[rows, place], candidates[rows, place], NONE)
        return own, earlier

    def _first_of_group(self, codes):
        first = np.zeros(len(codes), bool)
        first[np.unique(codes, return_index=True)[1]] = True
        return first

    def _report(self, code, mask, original, words, modality=""):
        rows = np.flatnonzero(mask)
        named = self.counts.get(code, 0)
        self.counts[code] = named + len(rows)
        column = self.modalities[modality].column if modality else ""
        cells = self.manifest.table[column].array if modality else None
        for row in rows[: max(MOST_NAMED - named, 0)].tolist():
            other = int(original[row])
            split = SPLITS[self.split_of[other]] if self.split_of[other] < len(SPLITS) else ""
            reason = words.format(line=self.manifest.lines[other], split=split)
            cell = str(cells[row]) if modality else ""
            line = int(self.manifest.lines[row])
            self.findings.append(Finding(code, line, column, cell, reason, row, modality))


def _is_placeholder(measures, count):
    """Returns which files are a blank image or silence, bool `(F,)`."""
    if "blank" in measures:
        return measures["blank"]
    return measures["peak"] < SILENT if "peak" in measures else np.zeros(count, bool)


def near_rows(looks, thumbnails, contents, seen):
    """Finds images that look alike: hashes that differ in few bits, and thumbnails that vary alike.

    Hashes are sorted by each pair of 6 bands of their bits in turn; those that are equal in both bands are
    compared, each with up to `NEIGHBOURS` that follow it: the time grows with the number of images, not its
    square.

    Args:
        looks: uint64 `(F,)`. Difference hash of each image.
        thumbnails: uint8 `(F, P, C)`. A thumbnail of few shades is like none.
        contents: int64 `(F,)`. Images of equal contents are not compared.
        seen: int64 `(F, splits)`. First row of each image in each split, `NONE` = none.

    Returns: int64 `(F, splits)`. The first row in each split that holds a look-alike, `NONE` = none.
    Source: difference hash of Krawetz 2013, here with differences of at least `examine.STEP` grey levels.
    """
    near = np.full_like(seen, NONE)
    varied = np.flatnonzero((np.ptp(thumbnails, axis=1).max(axis=1) > PLAIN) & (seen < NONE).any(axis=1))
    if len(varied) < 2:
        return near
    grey = thumbnails.sum(axis=2, dtype=np.uint16)  # A sum correlates as the mean does.
    colour = thumbnails.reshape(len(thumbnails), -1)
    masks = [(1 << 64 * (band + 1) // BANDS) - (1 << 64 * band // BANDS) for band in range(BANDS)]
    for first, second in combinations(masks, 2):
        bits = looks[varied] & np.uint64(first | second)
        order = np.argsort(bits, kind="stable")
        numbers, bits = varied[order], bits[order]
        alive = np.arange(len(numbers) - 1)
        for shift in range(1, NEIGHBOURS + 1):
            alive = alive[alive + shift < len(numbers)]
            alive = alive[bits[alive] == bits[alive + shift]]
            if not len(alive):
                break
            left, right = numbers[alive], numbers[alive + shift]
            alike = (_distance(looks[left], looks[right]) <= MOST_BITS) & (contents[left] != contents[right])
            left, right = left[alike], right[alike]
            for shades, least in ((grey, LEAST_GREY), (colour, LEAST_COLOUR)):
                alike = _correlation(shades[left], shades[right]) >= least
                left, right = left[alike], right[alike]
            np.minimum.at(near, left, seen[right])
            np.minimum.at(near, right, seen[left])
    return near


def _correlation(left, right):
    """Returns the correlation of each pair of rows, float32 `(N,)`."""
    left, right = (x.astype(np.float32) for x in (left, right))
    left, right = (x - x.mean(axis=1, keepdims=True) for x in (left, right))
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return np.einsum("np,np->n", left, right) / np.maximum(norms, 1e-6)


def _distance(left, right):
    """Returns in how many bits uint64 numbers `(N,)` differ."""
    return SET_BITS[(left ^ right).view(np.uint16).reshape(-1, 4)].sum(axis=1)
