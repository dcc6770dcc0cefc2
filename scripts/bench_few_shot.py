"""What few examples of new labels teach a small model, what it forgets meanwhile, and how long that takes on a CPU.

    python scripts/bench_few_shot.py --model runs/real_cpu --work /tmp/few_shot

Of each set some training examples are drawn, so that each label comes in eight or more, and learnt with `seqgpt.tune`
and its defaults: as an adapter and as a whole model, with replay and without. The model is measured before and after on
test examples of the set, and of sets that it knew. The table has medians over the seeds. Cells that are finished stay
in the folder `--work`, and are not computed again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import seqgpt
from seqgpt import Example, SeqGPT
from seqgpt.data.augmentation import held_numbers
from seqgpt.data.draws import draw
from seqgpt.data.source import read_source
from seqgpt.evaluation.report import evaluate
from seqgpt.whole_file import write_file


class Cell(NamedTuple):
    """What is compared: a set, whether an adapter is trained, what is replayed, and a seed."""

    name: str
    lora: bool
    replay: str
    seed: int

    @property
    def title(self) -> str:
        """The cell as the name of a folder."""
        return "-".join((self.name, "lora" if self.lora else "whole", self.replay or "none", str(self.seed)))


def few(examples: Sequence[Example], shots: int, seed: int) -> list[Example]:
    """Draw examples until each label holds in so many of them; those that add none are passed over."""
    drawn, came = [], Counter[str]()
    for example in draw(seed, "few").sample(examples, len(examples)):
        labels = [example.task.labels[i] for i in held_numbers(example)]
        if any(came[label] < shots for label in labels):
            drawn.append(example)
            came.update(labels)
    return drawn


def measure(model: SeqGPT, names: Sequence[str], limit: int) -> dict[str, float]:
    """Return the headline metric of each set's test examples, in percent."""
    return {
        name: 100 * evaluate(model, read_source(name, "test", limit=limit), name=name, progress=False).headline
        for name in names
    }


def compute(cell: Cell, options: argparse.Namespace) -> dict[str, Any]:
    """Tune and measure."""
    train = few(read_source(cell.name, "train"), options.shots, cell.seed)
    began, computing = time.perf_counter(), time.process_time()
    model = seqgpt.tune(
        options.model,
        train,
        output_dir=options.work / cell.title,
        replay=cell.replay.split(",") if cell.replay else None,
        lora=cell.lora,
        seed=cell.seed,
        use_cpu=True,
    )
    times = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - computing}
    return {"examples": len(train), **times, "after": measure(model, [cell.name, *options.known], options.limit)}


def cached(file: Path, compute: Any) -> Any:
    """Return what a file holds; if there is none, compute and keep it."""
    if not file.exists():
        write_file(file, json.dumps(compute()))
    return json.loads(file.read_text(encoding="utf-8"))


def row(cells: Sequence[Cell], found: Sequence[dict[str, Any]], before: dict[str, float], known: Sequence[str]) -> str:
    """Return a line of the table: the same cell under several seeds."""
    name, lora, replay, _ = cells[0]
    after = {one: median(result["after"][one] for result in found) for one in (name, *known)}
    spread = [result["after"][name] for result in found]
    shown = [
        name,
        str(median(result["examples"] for result in found)),
        "LoRA" if lora else "whole",
        replay or "–",
        f"{before[name]:.1f}",
        f"{after[name]:.1f} ({min(spread):.1f}–{max(spread):.1f})",
        *(f"{before[one]:.1f} → {after[one]:.1f}" for one in known),
        f"{median(result['seconds'] for result in found):.0f}",
        f"{median(result['cpu_seconds'] for result in found):.0f}",
    ]
    return f"| {' | '.join(shown)} |"


def main() -> None:
    """Compute what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder of the model that is tuned")
    parser.add_argument("--work", required=True, type=Path, help="folder for what is computed")
    parser.add_argument("--sets", default="multidogo_insurance_intent,sim_m_movie_slots")
    parser.add_argument("--known", default="trec,cluener", help="sets that the model was trained on")
    parser.add_argument(
        "--replays", default="sample;;trec,cluener", help="what is replayed: lists of sources, ';' between them"
    )
    parser.add_argument("--shots", type=int, default=8, help="examples of each label, at least")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--limit", type=int, default=200, help="test examples of each set")
    options = parser.parse_args()
    sets, options.known = options.sets.split(","), options.known.split(",")
    options.work.mkdir(parents=True, exist_ok=True)
    before = cached(
        options.work / "before.json",
        lambda: measure(SeqGPT.from_pretrained(options.model), [*sets, *options.known], options.limit),
    )
    lines = []
    for name in sets:
        for replay in options.replays.split(";"):
            for lora in (True, False):
                cells = [Cell(name, lora, replay, seed) for seed in range(options.seeds)]
                found = [cached(options.work / f"{c.title}.json", lambda c=c: compute(c, options)) for c in cells]
                lines.append(row(cells, found, before, options.known))
    head = ["set", "examples", "trained", "replayed", "before", "after", *options.known, "seconds", "CPU seconds"]
    print(f"| {' | '.join(head)} |\n|---|---:|---|---|{'---:|' * (len(head) - 4)}")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
