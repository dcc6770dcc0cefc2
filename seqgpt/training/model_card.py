"""The model card of a run: ``README.md`` beside its weights, as hubs show it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from seqgpt.data.mixture import Mixture
from seqgpt.data.source import is_recipe, split_source
from seqgpt.examples import Example
from seqgpt.training.environment import environment
from seqgpt.training.evaluate_sets import headline_of

CARD_FILE = "README.md"

_UNKNOWN = "unknown"
_ON_HUBS = {
    "offset_f1": ("token-classification", "f1"),
    "token_f1": ("question-answering", "f1"),
    "accuracy": ("text-classification", "accuracy"),
}
"""By headline metric, the names of task and metric on hubs."""

_HUB_LICENCES = {
    name.lower().replace(" ", "-"): name.lower().replace(" ", "-")
    for name in (
        *("Apache-2.0", "MIT", "CC0 1.0", "CC BY 2.5", "CC BY 3.0", "CC BY 4.0", "CC BY-SA 3.0", "CC BY-SA 4.0"),
        *("CC BY-NC 4.0", "CC BY-NC-SA 4.0", "CDLA-Permissive-1.0", "ODbL"),
    )
}
_USE = """\
from seqgpt import SeqGPT

model = SeqGPT.from_pretrained({name!r})
result = model.predict("Tim Cook visited Shanghai.", ["person", "place"])
print([(span.label, span.text, span.start, span.end, span.score) for span in result.spans])
"""


@dataclass(frozen=True)
class CardSource:
    """A source in a model card.

    Attributes:
        name: What it is called.
        examples: How many examples it gives to an epoch.
        languages: Of its texts.
        licence: As stated by its source.
        hub_id: Its id on the hub, if it has one.
        synthetic: Labelled by a model.
    """

    name: str
    examples: int
    languages: tuple[str, ...] = ()
    licence: str = _UNKNOWN
    hub_id: str = ""
    synthetic: bool = False


def describe_source(source: str, name: str, examples: int, languages: Sequence[str]) -> CardSource:
    """Describe a source of a run, with the licence that its recipe states."""
    if source == "sample":
        return CardSource(name, examples, tuple(languages), "Apache-2.0")
    if not is_recipe(source):
        return CardSource(name, examples, tuple(languages))
    recipe, _ = split_source(source)
    licence = recipe.licence or _UNKNOWN
    return CardSource(name, examples, (recipe.language,), licence, recipe.hub_id, recipe.synthetic)


def describe_examples(name: str, examples: Sequence[Example]) -> CardSource:
    """Describe examples, of whose source nothing is known."""
    return CardSource(name, len(examples), tuple(sorted({one.language for one in examples if one.language})))


def describe_mixture(mixture: Mixture) -> list[CardSource]:
    """Describe the sources of a mixture that give something to it."""
    return [
        describe_source(one.source, Path(one.source).name, one.count, [one.path[0]] if one.path[0] else [])
        for one in mixture.members
        if one.count
    ]


def model_card(
    name: str,
    sources: Sequence[CardSource],
    *,
    base_model: str | None = None,
    metrics: Mapping[str, Any] | None = None,
    steps: int = 0,
    parameters: int = 0,
    tags: Sequence[str] = (),
) -> ModelCard:
    """Write the card of a trained model.

    Args:
        name: What the model is called; a hub id or the name of its folder.
        sources: What it was trained on.
        base_model: The hub id of the model that training started from.
        metrics: What the last evaluation found.
        steps: How many steps it was trained.
        parameters: How many it has.
        tags: Further tags.
    """
    languages = sorted({language for source in sources for language in source.languages if language})
    licence = _licence(sources)
    data = ModelCardData(
        language=languages or None,
        license=licence,
        license_name=None if licence != "other" else "see-training-data",
        library_name="seqgpt",
        tags=sorted({"seqgpt", "information-extraction", "named-entity-recognition", "text-classification", *tags}),
        pipeline_tag="token-classification",
        base_model=base_model,
        datasets=sorted({source.hub_id for source in sources if source.hub_id}) or None,
        model_name=name,
        eval_results=_results(metrics or {}) or None,
    )
    parts = [
        f"# {name}",
        "Extracts spans and classifies texts for any labels that are named when it is asked. "
        f"Trained with seqgpt{'' if base_model is None else f' from {base_model}'} for {steps:,} steps; "
        f"{parameters / 1e6:,.1f} million parameters.",
        "## Use",
        f"```python\n{_USE.format(name=name)}```",
        "## Training data",
        _table(sources),
        "Licences are those that the sources state; whether they bind a model that was trained on the data is for its "
        "user to judge.",
    ]
    if metrics and (found := _headlines(metrics)):
        rows = [f"| {metric} | {value:.3f} |" for metric, value in found.items()]
        parts += ["## Evaluation", "\n".join(["| metric | value |", "|---|---:|", *rows])]
        parts += ["On what was held out; if the model has a threshold of its own, it was chosen on the same examples."]
    versions = "\n".join(f"- {package} {number}" for package, number in environment().items())
    parts += ["## How it was trained", f"```console\n$ {_command()}\n```", versions]
    return ModelCard(f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(parts) + "\n")


def _licence(sources: Sequence[CardSource]) -> str | None:
    """Return the licence of all data if there is one and a hub knows it, ``other`` if not; None without any data."""
    known = {_HUB_LICENCES.get(source.licence.lower().replace(" ", "-"), "other") for source in sources}
    return known.pop() if len(known) == 1 else "other" if known else None


def _table(sources: Sequence[CardSource]) -> str:
    lines = ["| source | examples in an epoch | language | licence |", "|---|---:|---|---|"]
    for one in sources:
        name = f"{one.name} (labelled by a model)" if one.synthetic else one.name
        cells = (name, f"{one.examples:,}", ", ".join(one.languages) or _UNKNOWN, one.licence)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines)


def _headlines(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {
        key.removeprefix("eval_"): float(value)
        for key, value in metrics.items()
        if headline_of(key) or key.startswith("eval_family_") or key == "eval_score"
    }


def _results(metrics: Mapping[str, Any]) -> list[EvalResult]:
    """Return the headline metrics of sets of examples as hubs show them."""
    found = []
    for key, value in metrics.items():
        metric = headline_of(key)
        if metric and key.startswith("eval_") and not key.startswith("eval_family_"):
            dataset = key.removeprefix("eval_").removesuffix(metric).rstrip("_") or "held-out examples"
            task, kind = _ON_HUBS[metric]
            found.append(EvalResult(task, dataset, dataset, kind, round(float(value), 4)))
    return found


def _command() -> str:
    program = Path(sys.argv[0]).name
    begin = ["python", "-m", "seqgpt"] if program == "__main__.py" else [program]
    return shlex.join([*begin, *sys.argv[1:]])
