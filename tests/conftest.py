from pathlib import Path

import pytest

from seqgpt.data.root import find_data_root
from seqgpt.errors import DataError


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of the real data sets; tests that use it are marked ``shared`` and skip without it."""
    try:
        return find_data_root()
    except DataError as error:
        pytest.skip(f"the shared data is not here: {error}")
