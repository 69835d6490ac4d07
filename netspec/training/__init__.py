"""Running the `train` sections of a spec: data, parameter groups, losses, schedules, the loop, and what watches it.

`train(Request(graph, sections, data), watch)` is the whole of it. The names below are imported when they are asked for: what chooses
sections and changes their settings needs no PyTorch, the rest does.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netspec.training.curves import Curves as Curves
    from netspec.training.curves import check_figure as check_figure
    from netspec.training.curves import curves_of as curves_of
    from netspec.training.curves import save_curves as save_curves
    from netspec.training.devices import check_hardware as check_hardware
    from netspec.training.find_lr import range_test as range_test
    from netspec.training.folders import check_folders as check_folders
    from netspec.training.folders import clear_folder as clear_folder
    from netspec.training.folders import folders_of as folders_of
    from netspec.training.logs import Logs as Logs
    from netspec.training.logs import kinds_of as kinds_of
    from netspec.training.logs import read_log as read_log
    from netspec.training.loop.job import Hardware as Hardware
    from netspec.training.loop.job import Outcome as Outcome
    from netspec.training.loop.job import Request as Request
    from netspec.training.plan import plans as plans
    from netspec.training.progress import Progress as Progress
    from netspec.training.run import train as train
    from netspec.training.sections import check_complete as check_complete
    from netspec.training.sections import check_fits as check_fits
    from netspec.training.sections import chosen as chosen
    from netspec.training.sections import overridden as overridden
    from netspec.training.sections import override as override
    from netspec.training.sections import title as title
    from netspec.training.sections import unused_selectors as unused_selectors

#: where each public name is defined
_HOME = {
    "Curves": "curves", "check_figure": "curves", "curves_of": "curves", "save_curves": "curves", "check_hardware": "devices",
    "range_test": "find_lr", "check_folders": "folders", "clear_folder": "folders", "folders_of": "folders", "Logs": "logs",
    "kinds_of": "logs", "read_log": "logs", "Hardware": "loop.job", "Outcome": "loop.job", "Request": "loop.job", "plans": "plan",
    "Progress": "progress", "train": "run", "check_complete": "sections", "check_fits": "sections", "chosen": "sections",
    "overridden": "sections", "override": "sections", "title": "sections", "unused_selectors": "sections",
}  # fmt: skip

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    """A public name, from the file that defines it."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
