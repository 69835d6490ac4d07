"""Data to train with: opened, held against the spec, split, and cut into batches."""

from netspec.training.data.batches import Batches
from netspec.training.data.checks import check_data
from netspec.training.data.opening import open_data, open_for
from netspec.training.data.options import Options
from netspec.training.data.order import split
from netspec.training.data.table import Column, Table

__all__ = ["Batches", "Column", "Options", "Table", "check_data", "open_data", "open_for", "split"]
