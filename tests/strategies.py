"""What hypothesis draws texts, labels, tasks and answers from: small alphabets full of what breaks offsets."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from seqgpt.results import Classification, Extraction, Span
from seqgpt.tasks import AtomicTask

quick = settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)

LETTERS = ["a", "b", "ab", "A", "1", " ", "人", "名", "，", "。", "一个"]
ODD = [
    "İ",  # lower-cases to two code points
    "ß",
    "e\N{COMBINING ACUTE ACCENT}",
    "\N{COMBINING ACUTE ACCENT}",
    "ﬁ",
    "한",
    "ก็",
    "１",
    "：",
    ": ",
    "；",
    ";",
    "😀",
    "👨\N{ZERO WIDTH JOINER}👩\N{ZERO WIDTH JOINER}👧",
    "🇨🇳",
    "𠀀",
    "\N{ZERO WIDTH SPACE}",
    "\N{ZERO WIDTH JOINER}",
    "\N{ZERO WIDTH NO-BREAK SPACE}",
    "\N{IDEOGRAPHIC SPACE}",
    "\N{NO-BREAK SPACE}",
    "\N{LINE SEPARATOR}",
    "\N{RIGHT-TO-LEFT OVERRIDE}",
    "\t",
    "\n",
    "\r\n",
    "\r",
    "▁",  # how vocabularies of SentencePiece write a space
    "\x00",
    "\x1b[31m",
    "None",
]
MARKS_AS_WORDS = [
    "<|none|>",
    "<|end|>",
    "<|is|>",
    "<|skip|>",
    "<|answer|>",
    r"<\|x|>",
    r"<\\|x|>",
    "<|",
    "|>",
    "<",
    "|",
    ">",
    "\\",
    "[GEN]",
    "输出: ",
    "</script>",
]

anything = st.characters(exclude_categories=["Cs"])
pieces = st.one_of(st.sampled_from(LETTERS), st.sampled_from(ODD), st.sampled_from(MARKS_AS_WORDS), anything)
words = st.lists(pieces, min_size=1, max_size=8).map("".join).filter(str.strip)
repetitive = st.lists(st.sampled_from(["a", "b", "人", "<|end|>"]), min_size=1, max_size=12).map("".join)
texts = st.one_of(words, repetitive, st.lists(pieces, min_size=1, max_size=30).map("".join).filter(str.strip))
label_sets = st.lists(words, min_size=1, max_size=5, unique=True)


@st.composite
def labelled(draw: st.DrawFn, words: st.SearchStrategy[str] = words) -> list[str] | dict[str, str]:
    """Draw labels, with or without descriptions."""
    labels = draw(st.lists(words, min_size=1, max_size=5, unique=True))
    if draw(st.booleans()):
        return labels
    return {label: draw(st.one_of(st.just(""), words)) for label in labels}


@st.composite
def tasks(draw: st.DrawFn, words: st.SearchStrategy[str] = words) -> AtomicTask:
    """Draw a task of any kind."""
    labels = draw(labelled(words))
    kind = draw(st.sampled_from(["extract", "one", "one or none", "several"]))
    about = draw(st.lists(words, max_size=2))
    if kind == "extract":
        return AtomicTask.extract(labels, about=about)
    return AtomicTask.classify(labels, multi_label=kind == "several", none=kind == "one or none", about=about)


@st.composite
def extractions(draw: st.DrawFn, texts: st.SearchStrategy[str] = texts) -> Extraction:
    """Draw any set of spans of any text: nested, overlapping, repeated, or none."""
    text = draw(texts)
    task = AtomicTask.extract(draw(labelled()))
    starts = st.integers(0, len(text) - 1)
    ends = st.integers(1, min(6, len(text)))
    places = draw(st.lists(st.tuples(st.sampled_from(task.labels), starts, ends), max_size=12))
    spans = [Span(label, text[start : start + n], start, min(start + n, len(text))) for label, start, n in places]
    return Extraction.of(text, task, spans)


@st.composite
def classifications(draw: st.DrawFn) -> Classification:
    """Draw the answer to a classification task of any kind."""
    task = draw(tasks().filter(lambda task: task.kind == "classify"))
    least = 0 if task.multi_label or task.none else 1
    most = len(task.labels) if task.multi_label else 1
    labels = draw(st.lists(st.sampled_from(task.labels), min_size=least, max_size=most, unique=True))
    return Classification.of(draw(texts), task, tuple(labels))


results = st.one_of(extractions(), classifications())


@st.composite
def extraction_pairs(draw: st.DrawFn, flat: bool = False) -> tuple[Extraction, Extraction]:
    """Draw a gold and a predicted extraction of one text; flat ones have no overlapping spans of one label."""
    text = draw(st.text("ab 人名", min_size=12, max_size=12).filter(str.strip))
    task = AtomicTask.extract(draw(st.permutations(["x", "y", "z"])))
    places = st.tuples(st.sampled_from(task.labels), st.integers(0, 11), st.integers(1, 5))
    sides = []
    for _ in range(2):
        spans: list[Span] = []
        for label, start, n in draw(st.lists(places, max_size=10)):
            end = min(start + n, len(text))
            if not (flat and any(s.label == label and s.start < end and start < s.end for s in spans)):
                spans.append(Span(label, text[start:end], start, end, draw(st.sampled_from([0.3, 0.6, 0.9]))))
        sides.append(Extraction.of(text, task, spans))
    return sides[0], sides[1]


@st.composite
def classification_pairs(draw: st.DrawFn, multi_label: bool = False) -> tuple[Classification, Classification]:
    """Draw a gold and a predicted classification of one text."""
    task = AtomicTask.classify(["x", "y", "z"], multi_label=multi_label, none=not multi_label)
    labels = st.lists(st.sampled_from(task.labels), max_size=3 if multi_label else 1, unique=True)
    gold, predicted = (Classification.of("text", task, tuple(draw(labels))) for _ in range(2))
    return gold, predicted
