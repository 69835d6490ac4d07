"""Files may hold anything, and the libraries that read them raise anything over it: all of that is one refusal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from netspec.diagnostics.model import Refusal


@contextmanager
def reading(what: str, as_what: str = "") -> Iterator[None]:
    """Whatever goes wrong while `what` is read is Refusal NS713, but for a missing library and for too little memory."""
    try:
        yield
    except (Refusal, ImportError, MemoryError):
        raise
    except Exception as error:
        said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise Refusal("NS713", f"{what} cannot be read{as_what}: {said}") from None
