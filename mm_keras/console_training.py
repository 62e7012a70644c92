"""Which measures the table of a training shows. Imports no TensorFlow."""

from mm_keras.console import number, percent
from mm_keras.console_evaluation import TITLES

METRICS = {"regression": "mae", "caption": "token_accuracy", "speech": "mel_error"}


def choose_columns(spec, logs, width):
    """Returns (title, key of the logs, function value -> text) of the columns that fit into `width`.

    First both losses, then how well each classification, regression, caption and speech output does on the
    validation rows, then the losses of the other outputs.
    """
    prefix = "val_" if "val_loss" in logs else ""
    word = "val " if prefix else ""
    columns = [("loss", "loss", loss), *([("val loss", "val_loss", loss)] if prefix else [])]
    shows = {"classification": percent, "regression": number, "caption": percent, "speech": number}
    for kind, show in shows.items():
        outputs = spec.of_kind(kind)
        for name, output in outputs.items():
            metric = METRICS.get(kind) or ("macro_f1" if output.multi_label else "accuracy")
            # Keras leaves the output's name away where there is only one.
            key = next((k for k in (f"{prefix}{name}_{metric}", f"{prefix}{metric}") if k in logs), None)
            title = TITLES.get(metric, metric.replace("_", " ")) if len(outputs) == 1 else name
            if key:
                columns.append((f"{word}{title}", key, show))
    for name in spec.of_kind("contrastive"):
        if f"{prefix}{name}_loss" in logs:
            columns.append((f"{word}{name} loss", f"{prefix}{name}_loss", loss))
    for output in spec.of_kind("autoencoder"):
        for name in spec.keys_of(output):
            part = name.removeprefix(f"{output}_")  # A modality, or the latent code.
            if f"{prefix}{name}_loss" in logs:
                columns.append((f"{word}{part} loss", f"{prefix}{name}_loss", loss))
    room = width - 7 - 10 - 10 - 6
    fitting, used = [], 0
    for column in columns:
        used += max(9, len(column[0])) + 2
        if used > room:
            break
        fitting.append(column)
    return fitting


def loss(value):
    return f"{value:.4f}" if abs(value) < 1e4 else f"{value:.3e}"
