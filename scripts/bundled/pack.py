r"""Write a finished model as the one that comes with the library: 16-bit weights, tokenizer, settings.

    python scripts/bundled/pack.py --model runs/bundled/stages/finetune_last --output seqgpt/bundled

float16 halves the file and rounds weights by a two-thousandth at most; 8-bit weights would be half of it again, but no
file of them opens with every tool that opens a Llama. It is opened as float32 on a CPU, as any model is.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from seqgpt.model import SeqGPT

_MOST_BYTES = 40_000_000
_CARD = "README.md"


def pack(model: Path, output: Path) -> int:
    """Write the model, in place of what is there but its card; return the size of all files in bytes.

    Raises:
        SystemExit: If it is larger than what a package should hold.
    """
    opened = SeqGPT.from_pretrained(model)
    opened.model.half()
    output.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=output.parent) as folder:
        opened.save_pretrained(folder)
        files = [file for file in Path(folder).iterdir() if file.name != _CARD]
        size = sum(file.stat().st_size for file in files)
        if size > _MOST_BYTES:
            raise SystemExit(f"the model takes {size:,} bytes, more than {_MOST_BYTES:,}: train a smaller one.")
        for old in output.iterdir():
            if old.is_file() and old.name != _CARD:
                old.unlink()
        for file in files:
            shutil.copyfile(file, output / file.name)  # readable for all, as weights in a temporary folder are not
    return size


def main() -> None:
    """Read the command line and pack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a finished run of seqgpt train")
    parser.add_argument("--output", type=Path, required=True, help="the folder of the model")
    options = parser.parse_args()
    print(f"{pack(options.model, options.output):,} bytes: {options.output}")


if __name__ == "__main__":
    main()
