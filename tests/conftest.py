"""Before PyTorch is imported: several workers share the processor, and threads that wait for one another would only be in the way."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
