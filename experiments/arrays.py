"""The arrays of an .npz file from anywhere: nothing in it is run, and nothing is unpacked before its size is known."""

import io
import math
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from numpy.lib import format as npy
from numpy.typing import NDArray

from lib.errors import BadValue

LIMIT = 2**31  # bytes that all arrays may take as float64; more only if the file itself is as large
HEADER = 2**14  # bytes that the header of an array may take


def read_arrays(path: Path, names: Iterable[str], optional: Iterable[str] = ()) -> dict[str, NDArray[Any]]:
    """The arrays `names` in the .npz file at `path`, and those of the `optional` ones that are there.

    Raises:
        BadValue: a file that cannot be read, in whichever way; one that lacks an array, or has pickled ones; arrays that would
            take more than `LIMIT`.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(npy.MAGIC_PREFIX)) == npy.MAGIC_PREFIX:
                raise BadValue("expected an .npz file of named arrays, got a single array")
            with zipfile.ZipFile(file) as archive:
                held = [name.removesuffix(".npy") for name in archive.namelist()]
                if missing := [name for name in names if name not in held]:
                    holds = _on_one_line(", ".join(held) or "none")
                    raise BadValue(f"{missing[0]}: expected this array, the file holds {holds}")
                wanted = [*names, *(name for name in optional if name in held)]
                _check_size(archive, wanted, limit=max(LIMIT, path.stat().st_size))
                return {name: _read(archive, name) for name in wanted}
    except BadValue:
        raise
    except Exception as error:  # there is no end to what zipfile and NumPy raise at a file that somebody has crafted
        told = _on_one_line(str(error) or type(error).__name__)
        raise BadValue(f"cannot be read as an .npz file of plain arrays ({told})") from error


def _check_size(archive: zipfile.ZipFile, names: Iterable[str], *, limit: int) -> None:
    """See that all arrays together are as small as they may be, by their headers alone."""
    left = limit
    for name in names:
        with archive.open(f"{name}.npy") as file:
            head = io.BytesIO(file.read(HEADER))
        version = npy.read_magic(head)
        shape, _, dtype = (npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0)(head)
        if min(shape, default=0) < 0:
            raise ValueError(f"{name} has the shape {shape}")
        left -= math.prod(shape) * max(dtype.itemsize, 8)
        if left < 0:
            raise BadValue(
                f"{name}: expected arrays of at most {limit} bytes in all, got {shape} of {dtype} among them"
            )


def _read(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with archive.open(f"{name}.npy") as file:
        found: NDArray[Any] = npy.read_array(file, allow_pickle=False)
        return found


def _on_one_line(text: str) -> str:
    """A few words of what a file says of itself, without what would move a terminal."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))[:200]
