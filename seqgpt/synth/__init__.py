"""Stage-1 data: a teacher model labels raw texts, and what it says becomes recipes that a run trains on.

    from seqgpt.synth import ScriptedTeacher, load_synth_config, synthesize

    summary = synthesize(load_synth_config("stage1.yaml"))
    synthesize(config, teacher=ScriptedTeacher())     # without a network, in a test

The flow: raw texts (raw_texts.py, near_duplicates.py) → requests (requests.py, prompts.py) → asked many at a time
(asking.py, pace.py) of a teacher (http_teacher.py, scripted.py) → records of its answers (records.py) → what they say
(answers.py) → what of it holds water (cleaning.py, alignment.py) → one name for each label (label_space.py) → recipes
and their rows (recipes_out.py), and a report (report.py). run.py ties them together, estimate.py tells the cost
beforehand (tokens.py, prices.py), batch_files.py goes through files instead of a connection, and recheck.py cleans data
sets that other teachers labelled.
"""

from __future__ import annotations

from seqgpt.synth.config import SynthConfig, TeacherConfig, TextsConfig, load_synth_config
from seqgpt.synth.run import Summary, synthesize
from seqgpt.synth.scripted import ScriptedTeacher
from seqgpt.synth.teacher import Completion, Teacher

__all__ = [
    "Completion",
    "ScriptedTeacher",
    "Summary",
    "SynthConfig",
    "Teacher",
    "TeacherConfig",
    "TextsConfig",
    "load_synth_config",
    "synthesize",
]
