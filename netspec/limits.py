"""The bounds that keep a hostile or mistaken spec from taking the machine with it.

Every bound is checked *before* the thing it bounds is built, and the message names the bound, so that the
command line can raise it (`--limit nodes=500000`).
"""

from __future__ import annotations

from netspec.record import record


@record
class Limits:
    """All bounds, in one place. Sizes are bytes, times are seconds, the rest are counts."""

    file_bytes: int = 1 << 20
    import_bytes: int = 16 << 20
    import_depth: int = 32
    nesting: int = 100
    literal_digits: int = 40
    integer_bits: int = 4_096
    nodes: int = 100_000
    loop: int = 1_000_000
    steps: int = 1_000_000
    block_depth: int = 64
    parameters: int = 1 << 40
    diagnostics: int = 100
    seconds: float = 60.0


DEFAULT_LIMITS = Limits()
