"""The published AV-MNIST models of MultiBench, in PyTorch, on AV-MNIST-R; prints JSON.

    python benchmarks/avmnist_torch.py avmnist --models late low_rank --seeds 7 8 9

`avmnist.py` runs this in a process of its own; its Python needs `pip install torch==2.13.0 numpy pillow`. The
folder is built with `--spectrogram`. Each model has the sizes, optimiser and epochs of its script in
github.com/pliang279/MultiBench, examples/multimedia/, and keeps the epoch that was best on validation:

| model | script | training |
|---|---|---|
| image | avmnist_unimodal_0.py | SGD 0.01, weight decay 1e-4, 20 epochs, lowest loss |
| audio | avmnist_unimodal_1.py | SGD 0.1, 1e-4, 20, lowest loss |
| late | avmnist_simple_late_fusion.py | SGD 0.1, 1e-4, 30, highest accuracy |
| low_rank_published, low_rank | avmnist_low_rank_tensor.py | SGD 0.05, 2e-4, 30, highest accuracy |
| multiplicative | avmnist_multi_interac_matrix.py | SGD 0.05, 1e-4, 20, highest accuracy |

Batches of 40, gradients of models of two modalities clipped to norm 8, as training_structures/
Supervised_Learning.py has it; inputs divided by 255, as datasets/avmnist/get_data.py does.

`low_rank_published` leaves the factors, their weights and the bias as they were drawn: the published layer
keeps the factors in a plain list, and `.cuda()` makes of the other two tensors that are no parameters
(fusions/common_fusions.py), so its optimiser has none of them. Unlike the published unimodal training
(training_structures/unimodal.py) batch normalisation is in evaluation mode when a model is evaluated.
"""

import argparse
import copy
import csv
import json
import os
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

BATCH = 40
CLIP_NORM = 8
CHANNELS = 6


class LeNet(nn.Module):
    """Stages of convolution, batch normalisation, ReLU and 2x2 max pooling, each twice as wide.

    Source: `LeNet` in unimodals/common_models.py, after Vielzeuf et al. 2018, arXiv:1808.07275.
    """

    def __init__(self, channels, more):
        super().__init__()
        widths = [1, *(channels * 2**i for i in range(more + 1))]
        stages = []
        for i in range(more + 1):
            size = 3 if i else 5
            conv = nn.Conv2d(widths[i], widths[i + 1], size, padding=size // 2, bias=False)
            nn.init.kaiming_uniform_(conv.weight)
            stages += [conv, nn.BatchNorm2d(widths[i + 1]), nn.ReLU(), nn.MaxPool2d(2)]
        self.stages = nn.Sequential(*stages)

    def forward(self, x):
        return self.stages(x).flatten(1)


class Concatenate(nn.Module):
    """Source: `Concat` in fusions/common_fusions.py."""

    def forward(self, x, y):
        return torch.cat([x, y], dim=1)


class LowRank(nn.Module):
    """Low-rank tensor fusion, Liu et al. 2018, arXiv:1806.00064.

    Source: `LowRankTensorFusion` in fusions/common_fusions.py, which trains nothing of it.
    """

    def __init__(self, widths, units, rank, trained):
        super().__init__()
        self.factors = nn.ParameterList(
            nn.init.xavier_normal_(torch.empty(rank, width + 1, units)) for width in widths
        )
        self.weights = nn.Parameter(nn.init.xavier_normal_(torch.empty(1, rank)))
        self.bias = nn.Parameter(torch.zeros(1, units))
        self.requires_grad_(trained)

    def forward(self, *inputs):
        product = 1
        for x, factor in zip(inputs, self.factors, strict=True):
            product = product * torch.matmul(functional.pad(x, (1, 0), value=1.0), factor)  # (rank, B, units)
        return torch.einsum("r,rbu->bu", self.weights[0], product) + self.bias


class Multiplicative(nn.Module):
    """`x W y + U x + V y + b`, Jayakumar et al. 2020.

    Source: `MultiplicativeInteractions2Modal` ("matrix") in fusions/common_fusions.py.
    """

    def __init__(self, widths, units):
        super().__init__()
        shapes = {"product": (*widths, units), "left": (widths[0], units), "right": (widths[1], units)}
        self.kernels = nn.ParameterDict(
            {name: nn.init.xavier_normal_(torch.empty(shape)) for name, shape in shapes.items()}
        )
        self.bias = nn.Parameter(torch.randn(units))

    def forward(self, x, y):
        kernels = self.kernels
        product = torch.einsum("bn,nmd,bm->bd", x, kernels["product"], y)
        return product + x @ kernels["left"] + y @ kernels["right"] + self.bias


class Classifier(nn.Module):
    """Encoders, fusion and two dense layers. Source: `MMDL` and `MLP`.

    Args:
        encoders: dict, "image" or "audio" -> module.
        fusion: module of the encoders' outputs, image before audio.
        width: int. Of the fusion's output.
    """

    def __init__(self, encoders, fusion, width):
        super().__init__()
        self.encoders = nn.ModuleDict(encoders)
        self.fusion = fusion
        self.head = nn.Sequential(nn.Linear(width, 100), nn.ReLU(), nn.Linear(100, 10))

    def forward(self, inputs):
        return self.head(self.fusion(*(encoder(inputs[name]) for name, encoder in self.encoders.items())))


@dataclass(frozen=True)
class Published:
    """A published model and its training; `keeps` is "accuracy" or "loss", on validation."""

    make: object
    learning_rate: float
    weight_decay: float
    epochs: int
    keeps: str = "accuracy"
    clips: bool = True


def _unimodal(name, channels, more, width):
    return Classifier({name: LeNet(channels, more)}, nn.Identity(), width)


def _bimodal(make_fusion, width):
    encoders = {"image": LeNet(CHANNELS, 3), "audio": LeNet(CHANNELS, 5)}
    return Classifier(encoders, make_fusion(), width)


WIDTHS = (CHANNELS * 8, CHANNELS * 32)
MODELS = {
    "image": Published(partial(_unimodal, "image", 3, 3, 24), 0.01, 1e-4, 20, "loss", clips=False),
    "audio": Published(partial(_unimodal, "audio", CHANNELS, 5, 192), 0.1, 1e-4, 20, "loss", clips=False),
    "late": Published(partial(_bimodal, Concatenate, CHANNELS * 40), 0.1, 1e-4, 30),
    "low_rank_published": Published(
        partial(_bimodal, partial(LowRank, WIDTHS, CHANNELS * 20, 40, False), CHANNELS * 20), 0.05, 2e-4, 30
    ),
    "low_rank": Published(
        partial(_bimodal, partial(LowRank, WIDTHS, CHANNELS * 20, 40, True), CHANNELS * 20), 0.05, 2e-4, 30
    ),
    "multiplicative": Published(
        partial(_bimodal, partial(Multiplicative, WIDTHS, CHANNELS * 40), CHANNELS * 40), 0.05, 1e-4, 20
    ),
}


def read_splits(folder):
    """Returns split -> dict: "image" uint8 `(N, 1, 28, 28)`, "audio" uint8 `(N, 1, 112, 112)`, "label"."""
    with open(folder / "manifest.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if "spectrogram" not in rows[0]:
        sys.exit(f"{folder} has no spectrograms: build it with `mm-keras data avmnist --spectrogram`.")
    splits = {}
    for split in ("train", "validation", "test"):
        ours = [row for row in rows if row["split"] == split]
        images = np.stack([np.array(Image.open(folder / row["image"])) for row in ours])
        sounds = np.stack([np.load(folder / row["spectrogram"]) for row in ours])
        splits[split] = {
            "image": torch.from_numpy(images)[:, None],
            "audio": torch.from_numpy(sounds)[:, None],
            "label": torch.tensor([int(row["label"]) for row in ours]),
        }
    return splits


def train(published, splits, seed, epochs=None):
    """Trains a model and returns what it reached, and the seconds of each epoch with its validation."""
    torch.manual_seed(seed)
    model = published.make()
    optimizer = torch.optim.SGD(
        [weight for weight in model.parameters() if weight.requires_grad],
        lr=published.learning_rate,
        weight_decay=published.weight_decay,
    )
    best, kept, seconds = None, None, []
    for _ in range(epochs or published.epochs):
        began = time.perf_counter()
        _train_epoch(model, optimizer, splits["train"], published.clips)
        loss, accuracy = evaluate(model, splits["validation"])
        seconds.append(time.perf_counter() - began)
        score = accuracy if published.keeps == "accuracy" else -loss
        if best is None or score > best:
            best, kept, reached = score, copy.deepcopy(model.state_dict()), accuracy
    model.load_state_dict(kept)
    return {
        "seed": seed,
        "validation_accuracy": reached,
        "test_accuracy": evaluate(model, splits["test"])[1],
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "trained_parameters": sum(weight.numel() for weight in model.parameters() if weight.requires_grad),
        "epochs": len(seconds),
        "epoch_seconds": float(np.median(seconds)),
        "fit_seconds": sum(seconds),
    }


def _train_epoch(model, optimizer, rows, clips):
    model.train()
    for places in torch.randperm(len(rows["label"])).split(BATCH):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(_batch(rows, places)), rows["label"][places])
        loss.backward()
        if clips:
            nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()


def evaluate(model, rows):
    """Returns mean loss and accuracy."""
    model.eval()
    with torch.no_grad():
        places = torch.arange(len(rows["label"])).split(BATCH)
        scores = torch.cat([model(_batch(rows, part)) for part in places])
    loss = functional.cross_entropy(scores, rows["label"]).item()
    return loss, (scores.argmax(dim=1) == rows["label"]).double().mean().item()


def _batch(rows, places):
    return {name: rows[name][places].float() / 255 for name in ("image", "audio")}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="what `mm-keras data avmnist --spectrogram` wrote")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 8, 9])
    parser.add_argument("--epochs", type=int, help="instead of the published ones")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    splits = read_splits(chosen.folder)
    results = {}
    for name in chosen.models:
        results[name] = []
        for seed in chosen.seeds:
            results[name].append(train(MODELS[name], splits, seed, chosen.epochs))
            print(f"{name}: {results[name][-1]}", file=sys.stderr, flush=True)
    print(json.dumps({"torch": torch.__version__, "models": results}))


if __name__ == "__main__":
    main()
