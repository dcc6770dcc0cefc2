"""One name for each label: how labels are written, which of them mean the same by rule, and how often each holds.

Rules, and no judgement: what only looks alike stays apart, and the long tail is kept.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from functools import lru_cache

from seqgpt.texts import HAN

_AROUND = " \t\r\n\"'“”‘’`*#.,;:!?，。；：！？、·…-_/\\|()（）[]【】<>《》"
_PAIRS = (("(", ")"), ("[", "]"), ("【", "】"), ("<", ">"), ("《", "》"))
_SPACES = re.compile(r"[\s_]+")
_CHINESE_SPACE = re.compile(rf"(?<={HAN.pattern}) (?={HAN.pattern})")
_JOINT = re.compile(r"[-/–—’']+")
_ARTICLE = re.compile(r"^(an?|the) ")
_KIND = re.compile(r"(类型|类别|种类|类)$")
_NO_PLURAL = frozenset({"news", "series", "species", "physics", "politics", "economics", "mathematics", "athletics"})
_REMEMBERED = 100_000


@lru_cache(maxsize=_REMEMBERED)
def normalise(label: str) -> str:
    """Return how a label is written: one width, single spaces, nothing around it, no capitals of a title.

    >>> normalise('"Movie_Title."'), normalise("DNA sequence"), normalise("（新闻 报道）"), normalise("apple (company)")
    ('movie title', 'DNA sequence', '新闻报道', 'apple (company)')
    """
    written = _SPACES.sub(" ", unicodedata.normalize("NFKC", label))
    words = _CHINESE_SPACE.sub("", _with_brackets(written.strip(_AROUND), written))
    if words and all(word[0].isupper() or not word[0].isalpha() for word in words.split(" ")):
        words = " ".join(word if _is_short_form(word) else word.lower() for word in words.split(" "))
    return words


@lru_cache(maxsize=_REMEMBERED)
def merge_key(label: str) -> str:
    """Return what labels have in common that mean the same by rule.

    In English that is all but case, plural, hyphens, articles, "&" and the spelling of "-isation"; in Chinese all but
    的 and a last 类, 类型, 类别 or 种类.

    >>> merge_key("the Sports-Teams") == merge_key("sport team"), merge_key("公司的类型") == merge_key("公司")
    (True, True)
    """
    words = normalise(label).casefold()
    if HAN.search(words):
        plain = words.replace("的", "")
        stem = _KIND.sub("", plain)
        return stem if len(stem) > 1 else plain or words
    plain = _JOINT.sub(" ", words.replace("&", " and ").replace("isation", "ization"))
    return " ".join(_singular(word) for word in _ARTICLE.sub("", _SPACES.sub(" ", plain).strip()).split(" "))


class LabelSpace:
    """Labels with how often they hold, by language and task, and the name that each is called by.

    Names are shared by the tasks of a language. Fill it with :meth:`add`, then ask.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self._absent: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self._described: dict[tuple[str, str], str] = {}
        self._names: dict[tuple[str, str], str] | None = None

    def add(self, language: str, task: str, label: str, description: str = "", *, holds: bool = True) -> None:
        """Count a label that holds, or one that does not."""
        (self._held if holds else self._absent)[language, task][label] += 1
        if description:
            self._described.setdefault((language, label), description)
        self._names = None

    def name(self, language: str, label: str) -> str:
        """Return what a label is called: of all that mean the same, the one that holds most often."""
        if self._names is None:
            self._names = self._choose()
        return self._names.get((language, merge_key(label)), label)

    def counts(self, language: str, task: str) -> Counter[str]:
        """Return how often each label holds, by its name."""
        return self._named(language, self._held[language, task])

    def absent_counts(self, language: str, task: str) -> Counter[str]:
        """Return how often each label was a near miss, by its name."""
        return self._named(language, self._absent[language, task])

    def description(self, language: str, label: str) -> str:
        """Return what a label means, in the words that came first; an empty string if nobody said."""
        return self._described.get((language, label), "")

    @property
    def groups(self) -> list[tuple[str, str]]:
        """The languages and tasks, sorted."""
        return sorted({*self._held, *self._absent})

    @property
    def merged(self) -> dict[str, int]:
        """How many labels are called by another's name, by language."""
        forms: dict[str, set[str]] = defaultdict(set)
        for table in (self._held, self._absent):
            for (language, _), counts in table.items():
                forms[language].update(counts)
        return {
            language: sum(self.name(language, label) != label for label in labels)
            for language, labels in sorted(forms.items())
        }

    def _named(self, language: str, counts: Counter[str]) -> Counter[str]:
        named: Counter[str] = Counter()
        for label, count in counts.items():
            named[self.name(language, label)] += count
        return named

    def _choose(self) -> dict[tuple[str, str], str]:
        totals: dict[str, Counter[str]] = defaultdict(Counter)
        for table, weight in ((self._held, 1), (self._absent, 0)):
            for (language, _), counts in table.items():
                for label, count in counts.items():
                    totals[language][label] += weight * count
        names: dict[tuple[str, str], str] = {}
        for language, counts in totals.items():
            for label in sorted(counts, key=lambda one: (-counts[one], len(one), one)):
                names.setdefault((language, merge_key(label)), label)
        return names


def _with_brackets(words: str, written: str) -> str:
    """Return words with those brackets at their ends that belong to one within: "apple (company)"."""
    for first, last in _PAIRS:
        if written.count(first) == written.count(last):
            open_now = words.count(first) - words.count(last)
            words = first * -open_now + words + last * open_now
    return words


def _is_short_form(word: str) -> bool:
    """Tell whether a word is written in capitals of its own: DNA, iPhone, McDonald."""
    return any(letter.isupper() for letter in word[1:])


def _singular(word: str) -> str:
    if word in _NO_PLURAL or len(word) < 4 or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith(("ies", "ie")) and len(word) > 4:  # also "movie", that "movies" has its key
        return word.removesuffix("s").removesuffix("ie") + "y"
    if word.endswith(("xes", "ches", "shes", "sses")):
        return word[:-2]
    return word.removesuffix("s")
