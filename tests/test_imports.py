"""The text core starts at once: it loads neither torch nor transformers."""

import subprocess
import sys

import pytest

MODULES = [
    "tasks",
    "results",
    "templates",
    "examples",
    "grounding",
    "rendered",
    "display",
    "errors",
    "composite",
    "synth",
    "options",
]


@pytest.mark.slow
def test_the_text_core_loads_no_torch():
    code = (
        "import sys\n"
        + "".join(f"import seqgpt.{module}\n" for module in MODULES)
        + "print(*sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'transformers', 'datasets'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
