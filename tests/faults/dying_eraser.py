"""Takes a tenant out of quarantine, dead before its n-th change of a file.

`python -m tests.faults.dying_eraser DATA TENANT N`; see `dying_writer` for what counts. Exits 0
when it was done with fewer changes.
"""

import sys
from pathlib import Path

from ingest.set_aside import take_out_of_quarantine
from lake.mapping_file import SHIPPED
from tests.faults.dying_writer import die_before


def main() -> None:
    """Take the tenant out once."""
    data = Path(sys.argv[1])
    sys.addaudithook(die_before(int(sys.argv[3]), data))
    take_out_of_quarantine(data, sys.argv[2], SHIPPED)


if __name__ == "__main__":
    main()
