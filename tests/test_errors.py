import pytest

from seqgpt import errors
from seqgpt.errors import SeqGPTError

ALL = [error for error in vars(errors).values() if isinstance(error, type) and issubclass(error, Exception)]


def test_all_errors_have_one_root_and_stand_in_its_docstring():
    assert all(issubclass(error, SeqGPTError) for error in ALL)
    assert all(error.__name__ in (errors.__doc__ or "") for error in ALL)


@pytest.mark.parametrize("error", ALL)
def test_errors_about_an_argument_are_value_errors(error):
    assert issubclass(error, ValueError) == (error.__name__ not in ("SeqGPTError", "ModelError", "RunError"))
