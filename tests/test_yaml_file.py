import pytest

from seqgpt.errors import ConfigError
from seqgpt.yaml_file import YamlFile

KNOWN = ("name", "steps", "fast")


def read(tmp_path, source):
    path = tmp_path / "a.yaml"
    path.write_text(source, encoding="utf-8")
    return YamlFile(path, KNOWN)


def test_values_and_defaults(tmp_path):
    file = read(tmp_path, "name: x\nfast: true\n")
    assert (file.text("name"), file.flag("fast"), file.whole("steps", 3)) == ("x", True, 3)
    file.check()


def test_one_problem_is_one_sentence(tmp_path):
    file = read(tmp_path, "name: x\nstpes: 3\n")
    with pytest.raises(ConfigError) as raised:
        file.check()
    assert str(raised.value) == f"{tmp_path}/a.yaml: unknown key 'stpes' (line 2). Did you mean 'steps'?"


def test_all_problems_at_once(tmp_path):
    file = read(tmp_path, "fast: 3\nzzz: 1\nsteps: true\nsteps: 2.5\n")
    file.text("name")
    file.whole("steps")
    file.flag("fast")
    with pytest.raises(ConfigError) as raised:
        file.check()
    assert str(raised.value).splitlines() == [
        f"{tmp_path}/a.yaml has 5 problems, correct them all:",
        "  - unknown key 'zzz' (line 2). Leave it out.",
        "  - key 'steps' stands twice (line 4): keep one.",
        "  - key 'name' is missing: give it text in quotes.",
        "  - 'steps' is 2.5, which is not a whole number: correct it (line 3).",
        "  - 'fast' is 3, which is not true or false: correct it (line 1).",
    ]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("- a\n- b\n", "expected lines of the form"),
        ("", "expected lines"),
        ("a: [", "is not YAML"),
        ("a: !!python/name:os.system", "is not YAML"),
    ],
)
def test_files_that_are_no_mapping(tmp_path, source, message):
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, source)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="check the path"):
        YamlFile(tmp_path / "none.yaml", KNOWN)
    (tmp_path / "latin.yaml").write_bytes(b"name: \xff")
    with pytest.raises(ConfigError, match="save it as UTF-8"):
        YamlFile(tmp_path / "latin.yaml", KNOWN)
