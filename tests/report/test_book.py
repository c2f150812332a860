"""Chapters: bad parameters stop before anything runs, executed notebooks are whole or absent, sources are clean."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import papermill
import pytest
import yaml

from experiments import claims, execution, papers
from lib.errors import BadValue
from lib.training import checkpoints
from report import site
from report.chapter import DOWNLOADS, Chapter, Parameters, parameters
from report.execution import check_given, execute
from report.place import BuildFailed
from report.tables import Table

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = sorted((ROOT / "book").glob("*.md"))
LONGEST_CELL = 18  # lines of code, as ruff lays them out
LONGEST_SENTENCE = 35  # words

BAD: list[tuple[str, Any]] = [
    ("seedcount", 5),  # unknown
    ("Profile", "paper"),
    ("seed_count", "two"),
    ("seed_count", True),
    ("seed_count", 0),
    ("seed_count", -1),
    ("seed_count", 2.5),
    ("seed_count", None),
    ("profile", 3),
    ("profile", "papers"),
    ("profile", ""),
    ("compute", False),
    ("compute", "sometimes"),
    ("device", "gpu7"),
    ("device", 0),
    ("device", None),
]
BAD_IDS = [f"{name}={value!r}" for name, value in BAD]


# --- parameters ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def nothing_executes(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **keywords: Any) -> None:
        raise AssertionError("a notebook would be executed")

    monkeypatch.setattr(papermill, "execute_notebook", fail)


@pytest.mark.parametrize(("name", "value"), BAD, ids=BAD_IDS)
@pytest.mark.usefixtures("nothing_executes")
def test_a_bad_parameter_is_an_error_before_anything_executes(name: str, value: Any, tmp_path: Path) -> None:
    with pytest.raises(BadValue, match=name) as caught:
        execute("harakeh", tmp_path / "out.ipynb", {name: value})
    assert "expected" in str(caught.value) and "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "value"), BAD, ids=BAD_IDS)
@pytest.mark.usefixtures("nothing_executes")
def test_the_command_line_names_a_bad_parameter_in_one_line(
    name: str, value: Any, cli: Callable[..., Any], tmp_path: Path
) -> None:
    found = cli("chapter", "harakeh", tmp_path / "out.ipynb", "-p", f"{name}={value}")
    assert found.rc == 2 and found.stdout == ""
    assert found.stderr.count("\n") == 1 and name in found.stderr and "expected" in found.stderr
    assert not (tmp_path / "out.ipynb").exists()


@pytest.mark.parametrize("pair", ["seed_count", "seed_count=", "seed_count=²", "seed_count=1e1", "=5", "seed_count=+1"])
@pytest.mark.usefixtures("nothing_executes")
def test_the_command_line_names_a_malformed_parameter_in_one_line(
    pair: str, cli: Callable[..., Any], tmp_path: Path
) -> None:
    found = cli("chapter", "harakeh", tmp_path / "out.ipynb", "-p", pair)
    assert found.rc == 2 and found.stderr.count("\n") == 1 and "parameter" in found.stderr


@pytest.mark.parametrize("name", ["nobody", "", "../notebooks/harakeh", "harakeh.ipynb"])
@pytest.mark.usefixtures("nothing_executes")
def test_an_unknown_chapter_is_named_in_one_line(name: str, cli: Callable[..., Any], tmp_path: Path) -> None:
    found = cli("chapter", name, tmp_path / "out.ipynb")
    assert found.rc == 2 and found.stderr.count("\n") == 1 and "chapter" in found.stderr


@pytest.mark.usefixtures("nothing_executes")
def test_a_book_of_an_unknown_profile_is_not_begun(cli: Callable[..., Any], tmp_path: Path) -> None:
    found = cli("book", "--profile", "papers", "--output", tmp_path / "site")
    assert found.rc == 2 and found.stderr.count("\n") == 1 and "profile" in found.stderr
    assert not (tmp_path / "site").exists()


def test_the_installed_command_ends_at_once(run_cli: Callable[..., Any], tmp_path: Path) -> None:
    start = time.monotonic()
    found = run_cli("chapter", "harakeh", tmp_path / "out.ipynb", "-p", "seed_count=0")
    assert time.monotonic() - start < 60  # nothing but imports, on however busy a machine
    assert found.rc == 2 and found.stdout == "" and found.stderr.count("\n") == 1
    assert not list(tmp_path.glob("out*"))


def test_parameters_of_the_command_line_have_their_types() -> None:
    assert check_given(["seed_count=2", "profile=smoke"]) == {"seed_count": 2, "profile": "smoke"}
    assert check_given(["device=a=b"]) == {"device": "a=b"}
    assert check_given([]) == {}


def test_good_parameters_are_accepted() -> None:
    assert parameters({}) == Parameters()
    given = {"profile": "smoke", "compute": "never", "device": "cpu", "seed_count": 1}
    assert vars(parameters(given)) == given


@pytest.mark.parametrize(("name", "value"), BAD, ids=BAD_IDS)
def test_the_notebooks_own_check_finds_a_bad_parameter(name: str, value: Any) -> None:
    usual = {"profile": "paper", "compute": "never", "device": "cpu", "seed_count": 5}
    with pytest.raises(BadValue, match=name):
        Chapter("harakeh", {"__name__": "__main__", "_i1": "x = 1", "sys": os, **usual, name: value})


@pytest.mark.parametrize("value", [[1, 2], {"a": 1}, (1,)], ids=repr)
def test_the_notebooks_own_check_finds_an_unknown_parameter_of_any_type(value: Any) -> None:
    with pytest.raises(BadValue, match="epsilons"):
        Chapter("harakeh", {"compute": "never", "epsilons": value})


def test_a_chapter_made_again_ignores_the_notebooks_other_variables() -> None:
    first = Chapter("harakeh", {"compute": "never"})
    Chapter("harakeh", {"compute": "never", "chapter": first, "accuracy_so_far": 98.0, "name": "none"})


def test_a_chapter_says_what_it_will_compute_before_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr("report.chapter.display", lambda shown: told.append(shown.data))
    monkeypatch.setattr("experiments.execution.run", lambda cells, **_: told.append(cells) or execution.Report())
    Chapter("harakeh", {"profile": "smoke", "compute": "all", "device": "cpu", "seed_count": 1})
    said, cells = told
    assert cells and said.startswith(f"{len(cells)} cells to compute, ")
    assert said.endswith('. With `compute = "never"` nothing is computed.')


@pytest.mark.parametrize("name", ["_profile", "__name__", "In", "Out", "Chapter", "sys"])
def test_the_notebooks_own_check_finds_what_python_has_taken_back(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Papermill assigns in a cell of its own; what is imported after it, or IPython's own, no longer looks like a parameter."""
    inputs = ["", 'profile = "paper"', f'# Parameters\nprofile = "smoke"\n{name} = 3\n', "import sys"]
    shell = SimpleNamespace(history_manager=SimpleNamespace(input_hist_raw=inputs))
    monkeypatch.setattr("report.chapter.get_ipython", lambda: shell)
    with pytest.raises(BadValue, match=f"^parameter {name}: .*expected one of profile"):
        Chapter(
            "harakeh",
            {"profile": "smoke", "compute": "never", name: os, "__name__": "__main__", "In": inputs, "Out": {}},
        )


@pytest.mark.parametrize(
    "given", [{"seedcount": 3}, {"seed_count": "two"}, {"sys": "x"}], ids=["unknown", "ill-typed", "hidden"]
)
def test_papermill_alone_fails_in_the_first_cell(given: Mapping[str, Any], tmp_path: Path) -> None:
    """As `papermill notebooks/harakeh.ipynb out.ipynb -p ...` does, which knows nothing of our checks."""
    path = tmp_path / "out.ipynb"
    with pytest.raises(papermill.PapermillExecutionError) as caught:
        papermill.execute_notebook(
            str(ROOT / "notebooks" / "harakeh.ipynb"),
            str(path),
            parameters=dict(given),
            cwd=str(ROOT / "notebooks"),
            kernel_name="python3",
            progress_bar=False,
        )
    assert caught.value.ename == "BadValue"
    (name,) = given
    assert name in caught.value.evalue and "expected" in caught.value.evalue
    code = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    executed = [
        bool(cell.execution_count) for cell in code if "papermill-error-cell-tag" not in cell.metadata.get("tags", [])
    ]
    assert executed == [True] * 3 + [False] * (len(executed) - 3)  # the defaults, what papermill injects, the check


# --- executing ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes a project whose only chapter has the given code after its parameters; returns where its output goes."""

    def make(*sources: str) -> Path:
        folder = tmp_path / "project"
        first = nbformat.v4.new_code_cell('profile = "paper"\ncompute = "missing"', metadata={"tags": ["parameters"]})
        cells = [nbformat.v4.new_markdown_cell("# Title"), first, *map(nbformat.v4.new_code_cell, sources)]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        (folder / "notebooks").mkdir(parents=True)
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / "notebooks" / "harakeh.ipynb")
        monkeypatch.setattr("report.execution.ROOT", folder)
        return tmp_path / "executed" / "harakeh.ipynb"

    return make


def test_an_executed_notebook_names_no_folder_and_no_clock(
    project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = project("import os\nprint(profile, compute, os.environ['PLANTED'])", "1 + 1")
    monkeypatch.setenv("PLANTED", "seen")
    before = dict(os.environ)
    execute("harakeh", output, {"profile": "smoke"})
    assert dict(os.environ) == before
    text = output.read_text()
    for part in ("papermill", str(output.parents[1]), str(ROOT), str(Path.home()) + "/", "iopub", "start_time"):
        assert part not in text
    notebook = nbformat.read(output, 4)
    nbformat.validate(notebook)
    _, defaults, injected, shown, added = notebook.cells
    assert defaults.metadata["tags"] == ["parameters"]
    assert injected.metadata["tags"] == ["injected-parameters", "remove-cell"]
    assert shown.outputs[0].text == "smoke missing seen\n"
    assert added.outputs[0].data["text/plain"] == "2"
    assert [path.name for path in output.parent.iterdir()] == ["harakeh.ipynb"]


def test_a_failing_notebook_leaves_no_output_and_an_old_one_whole(project: Callable[..., Path]) -> None:
    output = project("print('so far')\nraise ValueError('planted')")
    with pytest.raises(BuildFailed, match="chapter harakeh: ValueError: planted"):
        execute("harakeh", output, {})
    assert not output.parent.exists()
    output.parent.mkdir()
    output.write_text("old")
    with pytest.raises(BuildFailed):
        execute("harakeh", output, {})
    assert output.read_text() == "old"
    assert [path.name for path in output.parent.iterdir()] == ["harakeh.ipynb"]


def test_the_command_line_reports_a_failing_notebook(project: Callable[..., Path], cli: Callable[..., Any]) -> None:
    output = project("raise ValueError('planted')")
    found = cli("chapter", "harakeh", output)
    assert found.rc == 1 and found.stdout == ""
    assert "ValueError: planted" in found.stderr and "Traceback" not in found.stderr
    assert not output.exists()


def test_an_interrupted_write_leaves_the_old_notebook(
    project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = project()
    output.parent.mkdir()
    output.write_text("old")
    executed = nbformat.read(site.ROOT / "notebooks" / "harakeh.ipynb", 4)
    monkeypatch.setattr(papermill, "execute_notebook", lambda *arguments, **keywords: executed)

    def full(file: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(checkpoints.os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        execute("harakeh", output, {})
    assert output.read_text() == "old"
    assert [path.name for path in output.parent.iterdir()] == ["harakeh.ipynb"]


# --- assembling ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("repository", [None, "somebody/fork"])
def test_the_buttons_of_a_forks_pages_launch_the_fork(
    repository: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    if repository:
        monkeypatch.setenv("GITHUB_REPOSITORY", repository)
    site._assemble(tmp_path)
    committed = yaml.safe_load((ROOT / "_config.yml").read_text())
    assembled = yaml.safe_load((tmp_path / "_config.yml").read_text())
    assert assembled["repository"]["url"] == (
        f"https://github.com/{repository}" if repository else committed["repository"]["url"]
    )
    del assembled["repository"]["url"], committed["repository"]["url"]
    assert assembled == committed


def test_assembling_leaves_nothing_of_an_earlier_build(tmp_path: Path) -> None:
    for name in ("book/removed.md", "book/generated/removed.md", "notebooks/removed.ipynb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("of an earlier build")
    site._assemble(tmp_path)
    assert not list(tmp_path.rglob("removed.*"))
    for path in PAGES:
        assembled = (tmp_path / "book" / path.name).read_text(encoding="utf-8")
        assert assembled.splitlines()[0] == path.read_text(encoding="utf-8").splitlines()[0]
    assert (tmp_path / "_toc.yml").read_bytes() == (ROOT / "_toc.yml").read_bytes()


def test_downloads_are_saved_where_the_build_wants_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chapter = Chapter("harakeh", {"compute": "never"})
    table = Table(["a", "b"], [["1", "é, “x”"]])
    monkeypatch.delenv(DOWNLOADS, raising=False)
    chapter.save("x.csv", table.csv())  # nobody wants it
    monkeypatch.setenv(DOWNLOADS, str(tmp_path / "new" / "downloads"))
    chapter.save("x.csv", table.csv())
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.csv")] == ["new/downloads/x.csv"]
    assert (tmp_path / "new" / "downloads" / "x.csv").read_text(encoding="utf-8") == 'a,b\n1,"é, “x”"\n'


# --- notebook sources ---------------------------------------------------------------------------------------------------


def cells_of(path: Path, kind: str) -> list[Any]:
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == kind]


def source(cell: Any) -> str:
    return "".join(cell["source"])


def test_every_paper_has_its_notebook() -> None:
    assert [path.stem for path in NOTEBOOKS] == sorted(papers.NAMES)


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_sources_carry_no_results(notebook: Path) -> None:
    nbformat.validate(nbformat.read(notebook, 4))
    for cell in cells_of(notebook, "code"):
        assert cell["outputs"] == [] and cell["execution_count"] is None
        assert set(cell["metadata"]) <= {"tags"}, "editors leave notes such as folded cells or times of execution"
    content = json.loads(notebook.read_text(encoding="utf-8"))
    assert set(content["metadata"]) == {"kernelspec", "language_info"}
    assert set(content["metadata"]["language_info"]) == {"name"}, "a version of Python would change with each editor"
    identifiers = [cell["id"] for cell in content["cells"]]
    assert len(set(identifiers)) == len(identifiers)


def test_the_first_code_cell_holds_the_parameters(notebook: Path) -> None:
    first, *others = cells_of(notebook, "code")
    assert first["metadata"]["tags"] == ["parameters"]
    assert not any("parameters" in cell["metadata"].get("tags", []) for cell in others)
    defaults: dict[str, Any] = {}
    exec(source(first), {}, defaults)
    assert Parameters(**defaults) == Parameters(), "the notebook's defaults are those of lib.chapter"
    assert all("#" in line for line in source(first).splitlines()), "each with what it means"


def test_code_cells_are_short(notebook: Path) -> None:
    lengths = {cell["id"]: len(source(cell).splitlines()) for cell in cells_of(notebook, "code")}
    assert {name: length for name, length in lengths.items() if length > LONGEST_CELL} == {}


def test_code_cells_define_no_functions(notebook: Path) -> None:
    for cell in cells_of(notebook, "code"):
        assert re.search(r"^\s*(def|class) ", source(cell), re.MULTILINE) is None, "what a notebook needs is in lib"


def test_a_table_that_is_glued_does_not_stand_in_the_page_a_second_time(notebook: Path) -> None:
    shown = [cell for cell in cells_of(notebook, "code") if "chapter.table(" in source(cell)]
    assert [cell["id"] for cell in shown if "remove-output" not in cell["metadata"].get("tags", [])] == []


# --- prose --------------------------------------------------------------------------------------------------------------

NOT_PROSE = [
    r"```.*?^```",  # fenced blocks, with their captions
    r"\$\$.*?\$\$",
    r"\$[^$\n]*(?:\n[^$\n]+)*\$",
    r"`[^`]*`",  # code, and the arguments of roles such as glue
    r"“[^”]*”",  # quotations: what the papers say is printed, not measured
    r'"[^"]*"',
]
PERCENT = r"(?:%|percent\b|percentage points?\b)"


def typed_results(markdown: str) -> list[str]:
    """Numbers of `markdown` that look measured and are typed: percentages, and decimals with two digits before the point.

    The level of the intervals, 95 %, is no result.
    """
    captions = re.findall(r"^```\{(?:glue:)?figure\}.*?^```", markdown, re.MULTILINE | re.DOTALL)
    text = re.sub(NOT_PROSE[0], " ", markdown, flags=re.MULTILINE | re.DOTALL)
    for pattern in NOT_PROSE[1:]:
        text = re.sub(pattern, " ", text, flags=re.DOTALL)
    for caption in captions:  # without their first line and their options
        text += re.sub(r"^```.*$|^:\w+:.*$|\$[^$]*\$|\{\w+\}`[^`]*`", " ", caption, flags=re.MULTILINE)
    found = re.findall(rf"\d+(?:[.,]\d+)*\s*\\?{PERCENT}|(?<![\d.])\d{{2,}}\.\d+(?![\d.])", text)
    return [number for number in found if re.fullmatch(r"95\s*\\?%", number) is None]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("falls to 23.4 % under attack", ["23.4 %"]),
        ("falls to 23%", ["23%"]),
        ("falls to 23 percent", ["23 percent"]),
        ("by 4.5 percentage points", ["4.5 percentage points"]),
        ("an accuracy of 98.7 on MNIST", ["98.7"]),
        ("[98.80, 99.02]", ["98.80", "99.02"]),
        ("```{figure} x.png\n:alt: Curves at 10 %.\n\nOnly 12.5 % survive.\n```", ["12.5 %"]),
        ("its 95 % interval, at $\\epsilon = 0.3$, label smoothing 0.1, CleverHans 2.1, 710,218 parameters", []),
        ("{n}`text:mnist/fgsm/none/accuracy` of the images; he wrote “to 22.92%”", []),
        ("`98.91 [98.80, 99.02] ×5` is the mean", []),
        ("```{glue:md} harakeh-detection\n:format: myst\n```", []),
    ],
)
def test_the_rule_for_typed_results_finds_them(text: str, found: list[str]) -> None:
    assert typed_results(text) == found


@pytest.mark.parametrize("path", [*NOTEBOOKS, *PAGES], ids=lambda path: path.name)
def test_prose_types_no_result(path: Path) -> None:
    if path.suffix == ".ipynb":
        texts = [source(cell) for cell in cells_of(path, "markdown")]
    else:
        texts = [path.read_text(encoding="utf-8")]
    assert [number for text in texts for number in typed_results(text)] == []


NOT_A_SENTENCE = [
    r"^\|.*$",  # tables
    r"^\s*(?:`{3,}|:{3,}).*$",  # the ends of fences
    r"^:\w[\w-]*:.*$",  # their options
    r"^\(.*\)=$",
    r"(?s:\$\$.*?\$\$)(?: \([\w-]+\))?",
]


def sentences(markdown: str) -> list[str]:
    """The sentences of a page; a number, a formula and a piece of code are a word each."""
    for pattern in NOT_A_SENTENCE:
        markdown = re.sub(pattern, "\n\n", markdown, flags=re.MULTILINE)
    markdown = re.sub(r"\s*\{(?:download|cite:?\w*)\}`[^`]*`", "", markdown)
    text = re.sub(r"\{\w+\}`[^`]*`|`[^`]*`|\$[^$]+\$", "N", markdown)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    parts = re.split(r"\n\s*\n|^\s*(?:\d+\.|[-#]+) ", text, flags=re.MULTILINE)
    parts = [" ".join(part.replace("*", "").split()) for part in parts]
    return [
        one for part in parts for one in re.split(r"(?<=[.?!])[)\"”]*\s+(?=[A-Z“\"(])", part) if re.search(r"\w", one)
    ]


def words(sentence: str) -> int:
    return len(re.findall(r"\w[\w'’-]*", sentence))


def test_sentences_are_told_apart() -> None:
    text = "**Yes.** It is {n}`a:b/c` of $x + y$ (as `a b` says). Why?\n\n:::{note}\n:class: tip\n1. One\n2. Two\n:::\n"
    found = sentences(text)
    assert found == ["Yes.", "It is N of N (as N says).", "Why?", "One", "Two"]
    assert [words(one) for one in found] == [1, 8, 1, 1, 1]


def test_sentences_are_short(notebook: Path) -> None:
    found = [one for cell in cells_of(notebook, "markdown") for one in sentences(source(cell))]
    assert [one for one in found if words(one) > LONGEST_SENTENCE] == []
    assert sum(map(words, found)) / len(found) <= 20


def test_the_papers_tables_are_not_taken_for_the_books(notebook: Path) -> None:
    """Captions are numbered by the book, so that a number of the paper's says whose it is."""
    text = " ".join(" ".join(source(cell) for cell in cells_of(notebook, "markdown")).split())
    assert re.findall(r"(?<!his )(?<!His )(?<!their )(?<!Their )(?<!aper's )\b(?:Tables?|Figures?) \d", text) == []


def test_pages_show_only_what_the_code_hands_them(notebook: Path) -> None:
    text = "\n".join(source(cell) for cell in cells_of(notebook, "markdown"))
    code = "\n".join(source(cell) for cell in cells_of(notebook, "code"))
    used = set(re.findall(r"\{glue:\w+\}[` ]([\w-]+)", text))
    shown = set(re.findall(r'chapter\.(?:figure|forest|curves|specification|table|glue)\(\s*"([\w-]+)"', code))
    assert used, "every chapter shows something"
    assert used <= {f"{notebook.stem}-{name}" for name in shown}


def test_the_tolerances_that_the_reader_is_told_are_the_declared_ones() -> None:
    text = " ".join((ROOT / "book" / "how_to_read.md").read_text(encoding="utf-8").split())
    declared = {f"{value:g}" for value in claims.tolerances("harakeh").values()}
    told = re.search(r"tolerance declared for that kind of number: (.*?)\.", text)
    assert told is not None
    assert {"1", "3", "5"} <= set(re.findall(r"\b\d+\b(?<!CIFAR-10)", told[1])) <= declared
