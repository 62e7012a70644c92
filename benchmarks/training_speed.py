"""How fast a spec trains, and how long the devices wait for input.

    python benchmarks/training_speed.py runs/keypad/TIME/spec.yaml --epochs 3 --output speed.json

The first pass decodes every file and fills the cache; each epoch after it reads the cache. A batch's wait is
the time that `next` takes on the dataset, which prefetches while the model trains.
"""

import argparse
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import mm_keras as mm  # noqa: E402


def measure_epoch(model, batches):
    """Trains one epoch and returns its examples/s and the share of its time spent waiting for input."""
    examples = waited = 0.0
    began = time.perf_counter()
    iterator = iter(batches)
    while True:
        asked = time.perf_counter()
        batch = next(iterator, None)
        waited += time.perf_counter() - asked
        if batch is None:
            break
        model.train_on_batch(*batch)
        examples += len(batch[0]["present"])
    seconds = time.perf_counter() - began
    return {"examples_per_second": examples / seconds, "waiting_share": waited / seconds, "seconds": seconds}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("spec")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--output")
    arguments = parser.parse_args()
    spec = mm.load_spec(arguments.spec)
    began = time.perf_counter()
    data = mm.make_datasets(spec)
    decoded = time.perf_counter() - began
    rows = sum(len(rows) for rows in data.rows.values())
    model = mm.build_model(spec, data)
    model.compile(**mm.compile_arguments(spec, data))
    model.train_on_batch(*next(iter(data.train)))  # Traces the graph.
    epochs = [measure_epoch(model, data.train) for _ in range(arguments.epochs)]
    result = {
        "rows": rows,
        "cache": data.cached_in,
        "first_pass": {"examples_per_second": rows / decoded, "seconds": decoded},
        "epochs": epochs,
    }
    print(
        f"decode and cache {rows} rows: {decoded:.1f} s, {rows / decoded:.0f} examples/s ({data.cached_in})"
    )
    for i, epoch in enumerate(epochs, start=1):
        speed, share = epoch["examples_per_second"], epoch["waiting_share"]
        print(f"epoch {i}: {speed:.0f} examples/s, waiting for input {share:.1%} of the time")
    if arguments.output:
        with open(arguments.output, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=2)


if __name__ == "__main__":
    main()
