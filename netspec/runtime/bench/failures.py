"""Why an engine could not be measured, in one line and with a code: what libraries raise is long, and has no classes of its own."""

from __future__ import annotations

from netspec.diagnostics.model import Refusal

#: what the libraries say where memory ran out
_OUT_OF_MEMORY = ("out of memory", "not enough memory", "failed to allocate", "bad_alloc", "can't allocate memory", "alloc_failed")
#: what torch.compile says where there is nothing that compiles C++
_NO_COMPILER = ("invalidcxxcompiler", "no working c++ compiler", "no such file or directory: 'g++'", "cl is not found", "python.h")
MEMORY = "out of memory"


def reason(error: BaseException) -> tuple[str, str]:
    """A code and a line: `("NS758", "out of memory")`, or those of a `Refusal`."""
    if isinstance(error, Refusal):
        message = error.diagnostic.message
        return error.diagnostic.code, MEMORY if _says(message, _OUT_OF_MEMORY) else message
    if isinstance(error, ModuleNotFoundError):
        return "NS016", f"the package `{error.name}` is not installed"
    text = str(error)
    if isinstance(error, MemoryError) or _says(f"{type(error).__name__} {text}", (*_OUT_OF_MEMORY, "outofmemory")):
        return "NS758", MEMORY
    if _says(f"{type(error).__name__} {text}", _NO_COMPILER):
        return "NS758", "torch.compile found no C++ compiler"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "NS758", f"{type(error).__name__}: {lines[0] if lines else ''}"[:200].rstrip(": ")


def ending(status: int, words: str = "") -> tuple[str, str]:
    """The same for a process that ended, with its last words: killed, most often, by a system that is out of memory."""
    if status in (-9, 137):
        return "NS758", f"killed by the system: {MEMORY}, most likely"
    how = f"signal {-status}" if status < 0 else f"status {status}"
    return "NS758", f"its process ended, {how}{': ' if words else ''}{words[:160]}"


def _says(text: str, words: tuple[str, ...]) -> bool:
    lowered = text.lower()
    return any(word in lowered for word in words)
