"""The classes of a column: the distinct strings or numbers in it, in their order."""

from __future__ import annotations

from typing import Any

import numpy as np

from netspec.diagnostics.model import Refusal
from netspec.training.data.options import Options
from netspec.training.data.raw import Raw


def classes_of(raw: Raw, name: str, called: str, options: Options) -> tuple[Any, ...] | None:
    """The classes of a column of strings, or of one to be one-hot: those of the training data, or its own values in their order."""
    if name in options.classes:
        return options.classes[name]
    hot = name in options.one_hot or called in options.one_hot
    if raw.sample != () or not (raw.dtype.kind in "OUS" or hot):
        return None
    values = raw.read(np.arange(len(raw)))
    if values.dtype == object:
        if any(value is None for value in values):
            row = next(row for row, value in enumerate(values) if value is None)
            raise Refusal("NS806", f"`{called}` has no value in {raw.at(row)}")
        values = values.astype(str)
    if values.dtype.kind == "f" and not (values == np.rint(values)).all():
        row = int(np.flatnonzero(values != np.rint(values))[0])
        raise Refusal(
            "NS803", f"`{called}` has {values[row]} in {raw.at(row)}, and is to be one-hot", helps=("classes are strings or whole numbers",)
        )
    return tuple(np.unique(values).tolist())
