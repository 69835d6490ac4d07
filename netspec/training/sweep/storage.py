"""Where the trials of a sweep are kept, and what tells a sweep from another one in the same place.

A path is a journal: a file to which every process appends, under a lock of Optuna's. A URL (`sqlite:///trials.db`) is a database.
"""

from __future__ import annotations

import os
import time
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping

from netspec.diagnostics.model import Refusal

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study

#: the study's attribute that holds what the sweep is of
FACTS = "netspec"
#: seconds after which the lock of a journal is taken from a process that died while it wrote
_GRACE = 10
#: seconds between attempts to open a database
_PAUSES = (0.2, 0.5, 1.0)


@contextmanager
def silence() -> Iterator[None]:
    """Optuna without its log and its remarks on what is experimental."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"optuna(\..*)?")
            warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


def open_storage(where: str) -> "BaseStorage":
    """The storage at a path or URL; made where there is none. Raises `Refusal` (NS835) where it cannot be opened or read."""
    try:
        return _patiently(_database, where) if "://" in where else _journal(where)
    except ImportError as error:
        name = error.name or "a driver"
        raise Refusal("NS835", f"the storage {where} needs the package `{name}`", helps=(f"pip install {name}",), status=2) from None
    except Exception as error:
        if not _is_of_storages(error):
            raise
        reason = str(getattr(error, "orig", None) or getattr(error, "strerror", None) or error).splitlines()[0]
        helps = ("a path such as `trials.journal`, or a URL such as `sqlite:///trials.db`",)
        raise Refusal("NS835", f"the storage {where} cannot be opened: {reason}", helps=helps, status=2) from None


def _patiently(open_: "Callable[[str], BaseStorage]", where: str) -> "BaseStorage":
    """Open a database that another process may be making at the same time: then what it has made by now is in our way, until it is done."""
    for pause in _PAUSES:
        try:
            return open_(where)
        except Exception as error:
            if type(error).__name__ not in ("IntegrityError", "OperationalError", "StorageInternalError"):
                raise
            time.sleep(pause)
    return open_(where)


def _is_of_storages(error: Exception) -> bool:
    """Whether an exception is what files and databases raise, and not a mistake of ours."""
    return isinstance(error, (OSError, ValueError)) or type(error).__module__.split(".")[0] in ("sqlalchemy", "optuna", "sqlite3")


def _journal(path: str) -> "BaseStorage":
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalFileSymlinkLock

    folder = os.path.dirname(path)
    if folder:
        os.makedirs(folder, exist_ok=True)
    lock = (JournalFileOpenLock if os.name == "nt" else JournalFileSymlinkLock)(path, grace_period=_GRACE)
    _mend(path, lock)
    return JournalStorage(JournalFileBackend(path, lock_obj=lock))


def _mend(path: str, lock: Any) -> None:
    """Cut off a last line that a machine which stopped has left half written: with it nothing after could be read."""
    from optuna.storages.journal._file import get_lock_file

    if not os.path.exists(path):
        return
    with get_lock_file(lock), open(path, "r+b") as file:
        text = file.read()
        if text and not text.startswith(b"{"):
            raise ValueError("it is no journal of trials")
        if text and not text.endswith(b"\n"):
            file.truncate(text.rfind(b"\n") + 1)


def _database(url: str) -> "BaseStorage":
    from optuna.storages import RDBStorage

    waits = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {}
    return RDBStorage(url, engine_kwargs=waits)


def folder_beside(where: str, name: str) -> str:
    """The folder for the files of trials that are kept at a path or URL: beside the storage's file, and called after it; where it has no
    file, in the folder one stands in, and called after `name`.

    >>> folder_beside("runs/digits.journal", "lenet"), folder_beside("sqlite:///digits.db", "lenet"), folder_beside("mysql://h/d", "lenet")
    ('runs/digits.trials', 'digits.trials', 'lenet.trials')
    """
    path = where.removeprefix("sqlite:///") if where.startswith("sqlite:///") else name + ".journal" if "://" in where else where
    return os.path.splitext(path)[0] + ".trials"


def open_study(storage: "BaseStorage", name: str, mode: str, facts: Mapping[str, Any]) -> "Study":
    """The study of a sweep, made where there is none. `mode` is `min` or `max`.

    Raises `Refusal` (NS836) where the storage has a sweep of that name which is another one, and says in what.
    """
    import optuna

    directions = {"min": optuna.study.StudyDirection.MINIMIZE, "max": optuna.study.StudyDirection.MAXIMIZE}
    study = optuna.create_study(storage=storage, study_name=name, direction=directions[mode], load_if_exists=True)
    known = study.user_attrs.get(FACTS)
    if known is None:
        study.set_user_attr(FACTS, dict(facts))
        known = study.user_attrs[FACTS]
    different = [f"{what}: {known.get(what)} then, {facts.get(what)} now" for what in facts if known.get(what) != facts[what]]
    if different:
        helps = ("give this sweep a storage of its own: `--storage FILE`",)
        raise Refusal("NS836", f"the storage has another sweep of `{name}`", notes=tuple(different), helps=helps, status=2)
    return study
