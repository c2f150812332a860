"""From records to verdicts: what was measured of the numbers that a part compares, and whether its victims are the paper's."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from experiments import claims, published
from experiments.address import PRINTED, Address, Found, check_planned, declared, is_claim, parse, reading, resolve
from experiments.contrasts import SLACK, Measured
from experiments.reading import Reading
from experiments.records import Record, Store
from experiments.rules import Part, Sentence
from experiments.verdicts import Miss, Verdict, judge, judge_sentence


def verdict(store: Store, address: Address) -> Verdict:
    """The verdict on the sentence, or the part of one, at `address`."""
    whole, part = _declared(address.paper)[address.id]
    one = reading(address.paper, address.reading)
    if part is not None:
        return judge_part(store, address.paper, one, part)
    return judge_sentence(whole, judge_parts(store, address.paper, whole, one))


def judge_part(store: Store, paper: str, one: Reading, part: Part) -> Verdict:
    """The verdict on `part` under a reading."""
    found = measured(store, paper, one, part.names)
    return judge(part, found, published.load(paper), missed(store, paper, one, part.names))


def judge_parts(store: Store, paper: str, sentence: Sentence, one: Reading | None = None) -> list[Verdict]:
    """The verdicts on the parts of `sentence` under a reading, by default as the paper's text describes them."""
    return [judge_part(store, paper, one or reading(paper), part) for part in sentence.parts]


def by_dataset(sentence: Sentence, judged: Sequence[Verdict]) -> dict[str, Verdict]:
    """The verdict on what `sentence` says of each data set, by its name, which begins the id of every number of a part."""
    parts: dict[str, list[Verdict]] = {}
    for part, found in zip(sentence.parts, judged, strict=True):
        parts.setdefault(part.names[0].partition("/")[0], []).append(found)
    return {name: judge_sentence(sentence, found) for name, found in parts.items()}


def by_number(store: Store, paper: str, one: Reading) -> dict[str, Verdict]:
    """The verdict on each published number that was measured, alone: by its tolerance, whosever the victims are."""
    printed, limits = published.load(paper), claims.tolerances(paper)
    return {
        name: judge(Part(name, "value", ((name,),), limits[name]), {name: found}, printed)
        for name, found in measured(store, paper, one).items()
    }


@cache
def _declared(paper: str) -> dict[str, tuple[Sentence, Part | None]]:
    """Sentences and parts by id; the only part of a sentence that has its name is the sentence."""
    sentences = claims.load(paper)
    parts: dict[str, tuple[Sentence, Part | None]] = {part.id: (one, part) for one in sentences for part in one.parts}
    return {one.id: (one, None) for one in sentences} | parts


def measured(store: Store, paper: str, one: Reading, names: Iterable[str] | None = None) -> dict[str, Measured]:
    """What was measured at published ids, by default all, under a reading; those without a record are absent."""
    names = published.load(paper) if names is None else names
    found = {name: resolve(store, parse(f"{one.name}:{name}", paper), one) for name in names}
    return {name: _measured(number) for name, number in found.items() if number.values}


def _measured(found: Found) -> Measured:
    by_seed = {seed: {_by(one) for one in found.records if one.config["seed"] == seed} for seed in found.values}
    made = tuple(" + ".join(sorted(made)) for made in by_seed.values())
    return Measured(tuple(found.values.values()), tuple(found.values), found.points, made)


def _by(record: Record) -> str:
    """What rounds: the processor and, where it is noted, whether training was compiled."""
    compiled = record.measurements.get("training_compiled")
    return str(record.provenance.get("device", "")) + (
        "" if compiled is None else ", compiled" if compiled else ", not compiled"
    )


def missed(store: Store, paper: str, one: Reading, names: Iterable[str]) -> list[Miss]:
    """Clean accuracies that are not the paper's, of the victims behind some numbers; a claim about them alone needs no match."""
    paths = [name.partition("?")[0].split("/") for name in names]
    wanted = {name: address for path in paths for name, address in declared(paper).victims(path)}
    return [] if set(names) <= wanted.keys() else list(_missed(store, paper, one, wanted.items()))


def _missed(store: Store, paper: str, one: Reading, wanted: Iterable[tuple[str, str]]) -> Iterator[Miss]:
    for name, address in wanted:
        printed, tolerance = published.load(paper)[name], claims.tolerances(paper)[name]
        for found in measured(store, paper, one, [address]).values():
            ours = found.interval.mean
            if not printed.low - tolerance - SLACK <= ours <= printed.high + tolerance + SLACK:
                yield Miss(name, ours, printed.value, tolerance)


def told(store: Store, address: Address) -> list[str]:
    """What stands at an address, a line each: the number with its 95 % interval and seeds, then the keys of its records.

    Raises:
        BadValue: no cell of the grid is of that number.
    """
    check_planned(address)
    if address.reading == PRINTED:
        return [f"{published.load(address.paper)[address.id].text} % in the paper"]
    if is_claim(address):
        found = verdict(store, address)
        ends = "" if found.low is None else f" [{found.low:.2f}, {found.high:.2f}]"
        return [found.word + ("" if found.estimate is None else f": {found.estimate:.2f}{ends}"), *found.reasons]
    number = resolve(store, address)
    interval = number.interval
    if interval is None:
        return ["not run"]
    ends = f" [{interval.low:.4g}, {interval.high:.4g}]" if interval.n > 1 else ""
    seeds = ", ".join(map(str, number.values))
    return [f"{interval.mean:.4g}{ends}, seeds {seeds}", *(record.key for record in number.records)]
