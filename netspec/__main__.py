"""`python -m netspec` is the `netspec` command."""

import sys

from netspec.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
