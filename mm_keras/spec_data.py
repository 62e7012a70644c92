"""The parts of a spec that say where rows come from, what becomes of bad ones, and how batches are made."""

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, ByteSize, Field, field_validator, model_validator

from mm_keras.spec_parts import ColumnName, Conflict, Int, Part, Rate


def _read_percent(value):
    found = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*%\s*", value) if isinstance(value, str) else None
    return float(found[1]) / 100 if found else value


Percent = Annotated[float, BeforeValidator(_read_percent), Field(strict=True, ge=0, le=1)]


class Shares(Part):
    """A seeded split, stratified by the first classification label, or by whole groups."""

    validation: Rate = Field(0.1, description="Share of rows for validation.")
    test: Rate = Field(0.2, description="Share of rows for test.")
    seed: Int = Field(7, ge=0)
    group: ColumnName | None = Field(
        None, description="Column, such as speaker: the rows of one group stay in one split."
    )

    @model_validator(mode="after")
    def _leave_rows_for_train(self):
        if self.validation + self.test >= 1:
            raise Conflict(
                (),
                "`validation` + `test` below 1, so that rows are left for train",
                f"validation={self.validation}, test={self.test}",
                "Lower one of them, such as {validation: 0.1, test: 0.2}.",
            )
        return self


class Data(Part):
    manifest: str = Field(
        min_length=1,
        description="CSV, TSV, JSONL or Parquet table, folder or TFRecord shards; relative to the spec file.",
        examples=["manifest.csv"],
    )
    split: ColumnName | Shares = Field(
        default_factory=Shares,
        description="A column with train, validation, test; or shares such as {validation: 0.1, test: 0.2}.",
    )
    weight: ColumnName | None = Field(
        None, description="Column of sample weights, numbers of at least 0; an empty cell counts 1."
    )
    on_bad: Literal["quarantine", "missing", "fail"] = Field(
        "quarantine",
        description="A bad file or cell: leave its row out, take the one modality as missing, or stop.",
    )
    max_bad: Percent = Field(
        0.01, description="Share of bad rows above which training stops.", examples=["1%", 0.01]
    )
    cache: Literal["auto", "memory", "file", "none"] = Field(
        "auto", description="Where decoded examples are kept; auto: memory while they fit cache_memory."
    )
    cache_memory: ByteSize = Field("2GB", ge=0, description="Memory for decoded examples.", examples=["2GB"])
    cache_folder: str = Field(
        ".mm_keras_cache", min_length=1, description="Folder of the file cache; relative to the spec file."
    )
    max_pixels: Int = Field(
        64_000_000, ge=1, description="A larger image is refused before it is decoded (width x height)."
    )
    max_samples: Int = Field(
        64 * 2**20, ge=1, description="A longer sound is refused before it is decoded (samples x channels)."
    )


class Input(Part):
    """How batches are made."""

    service: str | None = Field(
        None,
        description="Dispatcher of a tf.data service, which moves decoding to other machines.",
        examples=["grpc://input-host:5050"],
    )
    bucketing: bool = Field(
        False, description="Batch texts and sounds of similar length, each batch padded to its own longest."
    )

    @field_validator("service")
    @classmethod
    def _name_a_port(cls, value):
        if value is not None and not re.fullmatch(r"grpc://[^/\s:]+:\d+", value):
            raise Conflict(
                (), "an address such as grpc://host:5050", repr(value), "Name the dispatcher's host and port."
            )
        return value
