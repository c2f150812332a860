"""Where cells are computed on other machines: a Dask cluster, or Slurm jobs."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from experiments.executors import Elsewhere, Halted
from lib.errors import BadValue

PATIENCE = 60.0  # seconds that a cluster may be without workers


class DaskCluster(Elsewhere):
    """The Dask cluster whose scheduler listens at `address`, with at most `jobs` cells in hand.

    With `device` cuda, cells go only to workers that offer a resource called GPU, one cell for each: those that were started
    with `dask worker ADDRESS --nthreads 1 --resources "GPU=1"`.

    Raises:
        BadValue: nothing answers there within ten seconds, or there is no worker, or none with a GPU where one is asked for.
    """

    def __init__(self, jobs: int, address: str, *, device: str = "auto") -> None:
        from distributed import Client

        super().__init__(jobs)
        self._address = address
        try:
            self._client: Any = Client(address, timeout=10)  # type: ignore[no-untyped-call]
        except (OSError, TimeoutError, ValueError) as error:
            told = f"dask: no scheduler answers at {address!r} ({error}); expected e.g. tcp://10.0.0.1:8786"
            raise BadValue(told) from error
        self._resources = {"GPU": 1} if device.startswith("cuda") else {}
        workers = self._client.scheduler_info()["workers"].values()
        usable = [one for one in workers if one.get("resources", {}).get("GPU", 0) >= 1 or not self._resources]
        if not usable:
            self._client.close()  # type: ignore[no-untyped-call]
            lacks, needed = (
                ("offers a GPU", ' --nthreads 1 --resources "GPU=1"') if self._resources else ("is there", "")
            )
            raise BadValue(f"dask: no worker of {address!r} {lacks}; start workers with dask worker {address}{needed}")

    def hand_over(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The result of `function`, from any worker.

        Raises:
            Halted: the scheduler is gone, or there has been no worker for `PATIENCE` seconds.
        """
        from distributed import wait

        with self._reached():
            future: Any = self._client.submit(function, *arguments, pure=False, resources=self._resources)
        seen = time.monotonic()
        while not future.done():
            with self._reached():
                if self._client.nthreads(callback_timeout=PATIENCE):
                    seen = time.monotonic()
                with suppress(TimeoutError):
                    wait(future, timeout=5)  # type: ignore[no-untyped-call]
            if time.monotonic() - seen > PATIENCE:
                raise Halted(f"dask: {self._address} has had no worker for {PATIENCE:.0f} s")
        if future.cancelled():
            raise Halted(f"dask: the scheduler at {self._address} is gone")
        return future.result()

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """What speaks with the scheduler."""
        try:
            yield
        except Exception as error:  # which of them, depends on where in the conversation the scheduler went
            raise Halted(f"dask: the scheduler at {self._address} is gone ({error})") from error

    def __exit__(self, *error: Any) -> None:
        """Leave the cluster; what is still in hand there is cancelled."""
        self._client.close()
        self.shutdown(cancel_futures=True)


class SlurmJobs(Elsewhere):
    """One Slurm job a cell, by submitit, with at most `jobs` in hand; `parameters` are submitit's.

    Raises:
        BadValue: submitit is not installed, or Slurm is not.
    """

    def __init__(self, jobs: int, folder: Path, **parameters: Any) -> None:
        super().__init__(jobs)
        try:
            import submitit
        except ImportError as error:
            raise BadValue("slurm: needs submitit; install it with: pip install submitit") from error
        if shutil.which("sbatch") is None:  # submitit would compute here, and say nothing
            raise BadValue("slurm: there is no sbatch on this machine; expected the login node of a Slurm cluster")
        self._slurm = submitit.AutoExecutor(folder=folder, cluster="slurm")
        self._slurm.update_parameters(**parameters)

    def hand_over(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The result of the job that calls `function`."""
        return self._slurm.submit(function, *arguments).result()
