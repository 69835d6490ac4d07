"""The search for values with which a network trains best, on Optuna: `Sweep` says what is searched, `run_sweep` searches.

`space` and `ranges` are what the spec says, `queue` and `storage` who runs which trial, `trial` one of them, `writing` the best one
as a spec.
"""

from netspec.training.sweep.best import check_place, write_best
from netspec.training.sweep.plan import Sweep, mode_of, total_of
from netspec.training.sweep.report import report_data, report_text
from netspec.training.sweep.running import opened, run_sweep
from netspec.training.sweep.space import check_space, space_of
from netspec.training.sweep.spec import Spec, compile_once, range_of
from netspec.training.sweep.storage import folder_beside, silence

__all__ = [
    "Spec", "Sweep", "check_place", "check_space", "compile_once", "folder_beside", "mode_of", "opened", "range_of", "report_data",
    "report_text", "run_sweep", "silence", "space_of", "total_of", "write_best",
]  # fmt: skip
