"""What stays of a run to be read later: `log.jsonl`, one line an event, and on request `log.csv` and TensorBoard's event files.

A log holds no times, so two runs of one seed write the same bytes, and so does a run that was killed and resumed: where it goes on,
lines from beyond the checkpoint are cut off. (TensorBoard's files know times; what is done again replaces what was cut there, too.)

Lines of `log.jsonl` are told apart by `event`: `start`, `step` (a regular update), `epoch`, `test` (the final weights on data kept
apart), and `end`. Numbers that are not finite are null.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion
from netspec.files import write_atomic
from netspec.record import draft
from netspec.training.loop.events import EpochEnd, Evaluated, Event, Started, Step, Stopped

#: the file that every run has in its folder
LOG = "log.jsonl"
#: kinds of logs
KINDS = ("jsonl", "csv", "tensorboard")


def kinds_of(text: str) -> tuple[str, ...]:
    """`csv,tensorboard` as kinds of logs, `jsonl` always first. Raises `Refusal` (NS015) for another kind."""
    found = [part.strip() for part in text.split(",") if part.strip()]
    for kind in found:
        if kind not in KINDS:
            helps = (*suggestion(kind, KINDS), f"logs: {', '.join(KINDS)}")
            raise Refusal("NS015", f"there is no log of the kind `{kind}`", helps=helps, status=2)
    return ("jsonl", *dict.fromkeys(kind for kind in found if kind != "jsonl"))


class Logs:
    """A watcher of runs that writes their logs, for each section in its folder. Raises `Refusal` (NS020) where that cannot be."""

    def __init__(self, kinds: Sequence[str] = ("jsonl",)) -> None:
        self._kinds = tuple(kinds)
        self._open: list[Any] = []

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        if isinstance(event, Started):
            self.close()
            if event.folder is not None:
                self._open = [_WRITERS[kind](event) for kind in self._kinds]
        for writer in self._open:
            writer.take(event)
        if isinstance(event, Stopped):
            self.close()

    def close(self) -> None:
        """Close the files; nothing is lost without it, but for what TensorBoard's writer has yet to write."""
        for writer in self._open:
            with suppress(OSError):  # what could not be written has been told
                writer.close()
        self._open = []


# ---------------------------------------------------------------------------------------------------------- JSON lines
def record_of(event: Event) -> dict[str, Any] | None:
    """An event as a line of `log.jsonl`; None for one that leaves none."""
    if isinstance(event, Started):
        facts = ("epochs", "steps", "batch", "examples", "validation", "parameters", "trainable", "device", "processes")
        lr = {} if event.lr is None else {"lr": event.lr}
        return {"event": "start", "section": event.section, **{name: getattr(event, name) for name in facts}, **lr}
    if isinstance(event, Step):
        norm = {} if event.norm is None else {"norm": event.norm}
        return {"event": "step", "epoch": event.epoch, "step": event.step, "loss": event.loss, "lr": event.lr, **norm}
    if isinstance(event, EpochEnd):
        return {"event": "epoch", "epoch": event.epoch, "step": event.step, "lr": event.lr, "best": event.best, **event.metrics}
    if isinstance(event, Evaluated):
        return {"event": "test", "epoch": event.epoch, "step": event.step, **event.metrics}
    if isinstance(event, Stopped):
        return {"event": "end", "reason": event.reason, "epoch": event.epoch, "step": event.step, "best": event.best}
    return None


def read_log(folder: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The lines of a run's `log.jsonl`; none where there is no such file. A line that was cut short by a crash ends it."""
    found = []
    try:
        text = (Path(folder) / LOG).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    for line in text.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return [line for line in found if isinstance(line, dict)]


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps({name: _finite(value) for name, value in record.items()}) + "\n"


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _kept(record: Mapping[str, Any], event: Started) -> bool:
    """Whether a line was written before the place from which a resumed run goes on."""
    kind = record.get("event")
    if kind == "step":
        return bool(record.get("step", 0) <= event.step)
    return kind == "start" or (kind == "epoch" and record.get("epoch", 0) <= event.epoch)


class _JsonLines:
    """`log.jsonl`."""

    def __init__(self, event: Started) -> None:
        self._path = Path(event.folder or ".") / LOG
        kept = [record for record in read_log(event.folder or ".") if _kept(record, event)] if event.resumed else []
        self._known = bool(kept)
        self._file = _continued(self._path, "".join(map(_line, kept)))

    def take(self, event: Event) -> None:
        """Write the event's line; the first one of a resumed run is there already."""
        record = record_of(event)
        if record is not None and not (isinstance(event, Started) and self._known) and _is_regular(event):
            _write(self._file, self._path, _line(record))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _is_regular(event: Event) -> bool:
    """Whether an event comes after the same steps in every run; those that only show progress come after the same time."""
    return not isinstance(event, Step) or event.regular


def _continued(path: Path, text: str) -> TextIO:
    """The file, opened behind a text that replaces what was in it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text.encode())
        return open(path, "a", encoding="utf-8", newline="")
    except OSError as error:
        raise Refusal("NS020", f"{path} cannot be written: {error.strerror or error}") from error


def _write(file: TextIO, path: Path, text: str) -> None:
    """Write a line so that it is there, whatever becomes of this process."""
    try:
        file.write(text)
        file.flush()
    except OSError as error:
        raise Refusal("NS020", f"{path} cannot be written: {error.strerror or error}") from error


# ----------------------------------------------------------------------------------------------------------------- CSV
class _Csv:
    """`log.csv`: a row an epoch. Columns are those of the first epoch; what another has beyond them widens the table."""

    def __init__(self, event: Started) -> None:
        self._path = Path(event.folder or ".") / "log.csv"
        self._rows = _rows_before(self._path, event.epoch) if event.resumed else []
        self._columns = list(self._rows[0]) if self._rows else []
        self._file = _continued(self._path, _table(self._columns, self._rows))

    def take(self, event: Event) -> None:
        """Write an epoch's row."""
        if not isinstance(event, EpochEnd):
            return
        row = {"epoch": event.epoch, "step": event.step, "lr": event.lr, **event.metrics}
        new = [name for name in row if name not in self._columns]
        self._rows.append({name: _cell(value) for name, value in row.items()})
        if new:
            self._columns += new
            self._file.close()
            self._file = _continued(self._path, _table(self._columns, self._rows))
        else:
            _write(self._file, self._path, _table(self._columns, self._rows[-1:], head=False))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _cell(value: float) -> str:
    return repr(value) if math.isfinite(value) else ""


def _rows_before(path: Path, epoch: int) -> list[dict[str, str]]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if None not in row and None not in row.values()]
    except FileNotFoundError:
        return []
    return [row for row in rows if row.get("epoch", "").isdigit() and int(row["epoch"]) <= epoch]


def _table(columns: Sequence[str], rows: Iterable[Mapping[str, str]], head: bool = True) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    if head and columns:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


# --------------------------------------------------------------------------------------------------------- TensorBoard
@draft
class _TensorBoard:
    """TensorBoard's event files, in the run's folder: `loss` and `lr` by step, and every metric by epoch as `train/NAME`, `val/NAME`."""

    writer: Any

    def take(self, event: Event) -> None:
        """Write an event's numbers at its step."""
        if isinstance(event, Step):
            self.writer.add_scalar("step/loss", event.loss, event.step)
            self.writer.add_scalar("step/lr", event.lr, event.step)
            self.writer.add_scalar("step/rate", event.rate, event.step)
            if event.norm is not None:
                self.writer.add_scalar("step/norm", event.norm, event.step)
        if isinstance(event, (EpochEnd, Evaluated)):
            for name, value in event.metrics.items():
                self.writer.add_scalar(name.replace(".", "/", 1), value, event.step)
            self.writer.flush()

    def close(self) -> None:
        """Write what is left, and close the file."""
        self.writer.close()


def _tensorboard(event: Started) -> _TensorBoard:
    """The writer of a section; it lets TensorBoard forget what an earlier one wrote of later steps."""
    from torch.utils.tensorboard import SummaryWriter

    folder = Path(event.folder or ".")
    if not event.resumed:
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
    return _TensorBoard(SummaryWriter(folder, purge_step=event.step + 1 if event.resumed else None))


_WRITERS: dict[str, Callable[[Started], Any]] = {"jsonl": _JsonLines, "csv": _Csv, "tensorboard": _tensorboard}
