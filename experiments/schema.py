"""What the file of a record may say. Anybody may have edited one, so nothing of it is used before it is known to be as here.

Texts are names, or one line without control characters; a page still has to escape them, by `report.text.literal`.
"""

from typing import Annotated, Any

from pydantic import Field

from experiments.cell import Flag, checked


def matching(pattern: str, description: str) -> Any:
    """What an annotation says of a text of at most 1,000 characters that is wholly of a pattern."""
    return Field(pattern=f"^(?:{pattern})$", max_length=1000, description=description)


Name = Annotated[str, matching(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}", "a name of up to 64 letters, digits and ._+-")]
Line = Annotated[str, matching(r"[\p{L}\p{N}][^\p{C}\p{Zl}\p{Zp}]*", "one line that begins with a letter or a digit")]
Key = Annotated[str, matching("[0-9a-f]{12}", "twelve hexadecimal digits")]
Commit = Annotated[str, matching(r"[0-9a-f]{4,40}\+?|unknown", "a commit, its digits with or without a +, or unknown")]
Time = Annotated[str, matching(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", "a time such as 2026-11-22T02:29:21+00:00")]
Versions = Annotated[dict[Name, Name], Field(description="a version of each library")]
Seconds = Annotated[float, Field(ge=0, le=1e9, description="seconds, a finite number in [0, 1e9]")]
Mebibytes = Annotated[int, Field(ge=0, le=2**40, description="a whole number of MiB")]
Threads = Annotated[int, Field(ge=1, le=2**20, description="a whole number of at least 1")]
Number = Annotated[float, Field(description="a finite number")]
Setting = Name | Annotated[str, Field(max_length=0)] | bool | int | float | list[float]


@checked
class Provenance:
    """Where a result comes from, as `provenance.describe` tells it; older records lack what has a default.

    Raises:
        BadValue: a fact that is missing, unknown, or of another type, range or alphabet.
    """

    commit: Commit
    versions: Versions
    device: Line
    threads: Threads
    deterministic: Flag
    seconds: Seconds
    peak_memory_mib: Mebibytes
    finished: Time
    fingerprint: Key | None = None
    device_type: Name | None = None
    processor_seconds: Seconds | None = None


@checked
class Content:
    """What the file of a record says.

    Raises:
        BadValue: a part that is missing, unknown, or of another type.
    """

    key: Key
    config: Annotated[dict[Name, Setting], Field(description="settings: names, flags, numbers or lists of numbers")]
    measurements: Annotated[dict[str, float], Field(description="a finite number of each name")]
    curves: Annotated[dict[str, list[float]], Field(description="finite numbers of each name")]
    provenance: Annotated[dict[str, Any], Field(description="facts by name")]

    def __post_init__(self) -> None:
        Provenance(**self.provenance)


@checked
class Again:
    """What the file of a check says of one number; `now` is None where none came out, `tolerance` where it was not judged."""

    name: str
    recorded: Number
    now: Number | None
    tolerance: Number | None


@checked
class Pair:
    """What became of one kind of cell between a commit and the base, as a list of equivalences says."""

    commit: Name
    kind: Line
    equal: bool | None  # None: it could not be measured
    why: Line | Annotated[str, Field(max_length=0)] = ""  # what changed, or why it could not be measured
