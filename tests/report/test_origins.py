"""From a number on a page to its records, its command and its code: every way ends at what it says."""

from __future__ import annotations

import html
import random
import re
import shlex
from pathlib import Path

import pytest

from experiments import claims, papers, published
from experiments.address import parse, resolve
from experiments.records import ROOT, Store
from experiments.selection import select
from report.origins import Origins, compared
from report.prose import fill
from report.tables import Number, Table, full, linked, place

BLOB = "https://example.org/blob/main"
SAMPLE = 5
ENTRY = re.compile(r'<div class="origin" id="([^"]*)"><p><code>(.*?)</code>.*?</div>')


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The pages of origins of the committed records, by paper."""
    folder = tmp_path_factory.mktemp("origins")
    Origins(Store(), BLOB).write(folder)
    return {paper: (folder / f"origins_{paper}.md").read_text(encoding="utf-8") for paper in papers.NAMES}


@pytest.mark.parametrize("paper", papers.NAMES)
def test_an_entry_leads_to_its_records_its_code_and_its_command(paper: str, pages: dict[str, str]) -> None:
    """For numbers chosen at random: the files are there, the line defines what measures, and the command is of these cells."""
    entries = [one for one in ENTRY.finditer(pages[paper]) if " - " not in one[2]]
    for entry in random.Random(paper).sample(entries, SAMPLE):
        address = html.unescape(entry[2])
        keys = {record.key for record in resolve(Store(), parse(address)).records}
        assert keys == set(re.findall(r"/results/\w+/\w+/(\w+)\.json", entry[0]))
        assert all((ROOT / path).is_file() for path in re.findall(rf'{BLOB}/(results/[^"]*)', entry[0]))
        for path, line in re.findall(rf'{BLOB}/(experiments/[^"#]*)#L(\d+)', entry[0]):
            assert re.search(r"@checked|class |def measure", (ROOT / path).read_text().splitlines()[int(line) - 1])
        for words in re.findall(r"<code>\.venv/bin/python -m experiments run --results again (.*?)</code>", entry[0]):
            given = shlex.split(html.unescape(words))
            options: dict[str, list[str]] = {}
            for name, value in zip(given[::2], given[1::2], strict=True):
                options.setdefault(name, []).append(value)
            only = [*options.get("--only", ()), *(f"seed={seed}" for seed in options.get("--seed", ()))]
            cells = select(options["--paper"][0], options["--profile"][0], only=only)
            recorded = {Store().path(cell).stem for cell in cells if Store().get(cell) is not None}
            assert recorded <= keys and (recorded or not keys)


def test_a_number_in_a_sentence_leads_to_its_entry_line_or_claim() -> None:
    origins, store = Origins(Store(), BLOB), Store()
    text = fill("{n}`mnist/cw/none/fooling_rate`", store, paper="harakeh", where="x", link=origins.link)
    assert 'href="../book/origins_harakeh.html#harakeh:mnist/cw/none/fooling_rate"' in text
    assert origins.quoted["harakeh"] == {"harakeh:mnist/cw/none/fooling_rate"}
    printed = origins.link("9", "paper:mnist/fgsm/none/adversarial_accuracy", "harakeh")
    (path, line) = re.findall(rf'{BLOB}/(\S*csv)#L(\d+)"', printed)[0]
    assert (ROOT / path).read_text().splitlines()[int(line) - 1].startswith("mnist/fgsm/none/adversarial_accuracy,")
    assert "claims.html#claim-harakeh-" in origins.link("replicated", "text:mnist-fgsm-epistemic-gain", "harakeh")
    derived = origins.link("6.5", "derived:at_equal_gap/yale", "song")
    assert re.search(r'report/papers/song\w*\.py#L\d+"', derived)


def test_options_of_a_directive_take_no_link() -> None:
    said = fill(":alt: {n}`mnist/cw/none/fooling_rate`", Store(), paper="harakeh", where="x", link=lambda *_: "LINK")
    assert "LINK" not in said


def test_a_pair_has_its_paper_in_front_of_both() -> None:
    assert full("a:b/c - d/e", "song") == "song:a:b/c - song:d/e" == full(full("a:b/c - d/e", "song"), "song")
    assert place("song:a/b?c=1&d").endswith("#song:a/b.c.1.d")


def test_cells_lead_on_on_a_page_and_are_plain_elsewhere() -> None:
    table = Table(["a"], [[Number("1.0, one seed", "song:x/y")]])
    assert linked("1.0, one seed", "song:x/y") in table.markdown(name="n", caption="c")
    assert "href" not in table.plain() + table.csv()


def test_every_claim_has_its_numbers_among_the_entries(pages: dict[str, str]) -> None:
    for paper in papers.REPLICATED:
        names = {name for one in claims.load(paper) for name in compared(one)}
        assert names and all(f"<code>{paper}:text:{name}" in html.unescape(pages[paper]) for name in names)
        assert published.load(paper).keys() & names


def test_a_caption_leads_to_the_entries_of_its_figure(tmp_path: Path) -> None:
    (tmp_path / "origins").mkdir()
    (tmp_path / "origins" / "song-gap").write_text("song:text:yale/robust/gap_benign")
    origins = Origins(Store(), BLOB)
    text = "{download}`Data <downloads/song-gap.csv>`. {download}`Data <downloads/song-loss.csv>`."
    found = origins.captioned(text, tmp_path)
    assert found.count(">records<") == 1 and "origins_song.html#shown-gap" in found
