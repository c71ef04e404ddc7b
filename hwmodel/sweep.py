"""Sweeps over a grid of designs, written as they go.

A folder holds `manifest.json` (what is swept), `part-00000.parquet` and so on (a fixed range of
designs each), and at the end `pareto.csv`. A part is written under another name, flushed to the
disk and renamed: it is there whole or not at all. What a part holds depends on its number only. So
a sweep that was killed goes on with the parts that are missing, nothing is lost or there twice, and
the result is the same to the byte; a finished sweep has nothing left to do.
"""

import fcntl
import json
import multiprocessing
import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from importlib.metadata import version
from itertools import islice
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from golden.errors import InputError
from golden.files import whole_file, write_whole
from golden.schemes import scheme as scheme_by_name
from hwmodel.designs import RESULTS, Designs
from hwmodel.grid import Grid
from hwmodel.pareto import CRITERIA, GROUP, fronts

__all__ = ["Part", "chunk_size", "parts", "price", "read", "sweep"]

_CHUNK = 1 << 16
_STEPS = 16
"""Most designs and about the most (network, scheme, batch, technology) of one part."""

_TEXT = pa.dictionary(pa.int32(), pa.string())
_SCHEMA = pa.schema(
    [
        ("design", pa.int64()),
        ("network", _TEXT),
        ("scheme", _TEXT),
        ("batch", pa.int32()),
        ("technology", _TEXT),
        ("rows", pa.int32()),
        ("columns", pa.int32()),
        ("buffer_bytes", pa.int64()),
        *(
            (name, pa.float64() if name.endswith(("_j", "_um2", "utilization")) else pa.int64())
            for name in RESULTS
        ),
    ]
)


class Part(NamedTuple):
    """Designs `first` to `last` - 1, in one file."""

    number: int
    first: int
    last: int

    @property
    def name(self) -> str:
        """Of the file."""
        return f"part-{self.number:05d}.parquet"


def chunk_size(grid: Grid) -> int:
    """Designs a part: many, but not of many different steps, so that none takes long."""
    return min(_CHUNK, _STEPS * int(np.prod(grid.inner)))


def parts(grid: Grid) -> list[Part]:
    """Every part of a grid, in order."""
    size, total = chunk_size(grid), len(grid)
    starts = range(0, total, size)
    return [Part(i, first, min(first + size, total)) for i, first in enumerate(starts)]


_designs: dict[tuple[str, int], Designs] = {}
"""The last group that this process priced: a part often goes on with it."""


def _group(grid: Grid, group: int) -> Designs:
    found = _designs.get((grid.digest, group))
    if found is None:
        network, scheme, batch, technology = np.unravel_index(group, grid.outer)
        found = Designs(
            grid.networks[network],
            scheme_by_name(grid.schemes[scheme]),
            grid.batches[batch],
            grid.technologies[technology],
            grid.conventions,
        )
        _designs.clear()
        _designs[grid.digest, group] = found
    return found


def price(grid: Grid, part: Part) -> pa.Table:
    """Price the designs of one part."""
    each = int(np.prod(grid.inner))
    numbers = np.arange(part.first, part.last, dtype=np.int64)
    tables = []
    for group in range(part.first // each, (part.last - 1) // each + 1):
        chosen = numbers[(numbers >= group * each) & (numbers < (group + 1) * each)]
        places = np.unravel_index(chosen - group * each, grid.inner)
        axes = (grid.rows, grid.columns, grid.buffers)
        rows, columns, buffers = (
            np.array(axis, dtype=np.int64)[place] for axis, place in zip(axes, places, strict=True)
        )
        designs = _group(grid, group)
        found: dict[str, Any] = {
            "design": chosen,
            **{name: _same(value, len(chosen)) for name, value in _identity(designs).items()},
            "rows": rows,
            "columns": columns,
            "buffer_bytes": buffers,
            **designs.evaluate(rows, columns, buffers),
        }
        columns_ = [_column(found[field.name], field) for field in _SCHEMA]
        tables.append(pa.Table.from_arrays(columns_, schema=_SCHEMA))
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _identity(designs: Designs) -> dict[str, str | int]:
    step = designs.step
    return {
        "network": step.original.name,
        "scheme": step.scheme.name,
        "batch": step.batch,
        "technology": designs.technology.name,
    }


def _same(value: str | int, length: int) -> Any:
    if isinstance(value, int):
        return np.full(length, value)
    places = pa.array(np.zeros(length, dtype=np.int32))
    return pa.DictionaryArray.from_arrays(places, pa.array([value]))


def _column(values: Any, field: pa.Field) -> pa.Array:
    """As its type; what there is no number for is null."""
    if isinstance(values, pa.Array):
        return values
    missing = np.isnan(values) if values.dtype.kind == "f" else values < 0
    return pa.array(values, mask=missing).cast(field.type)


def sweep(
    grid: Grid,
    folder: str | Path,
    *,
    workers: int = 1,
    dask: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> pd.DataFrame:
    """Price a grid into a folder, or go on with it, and return its Pareto front.

    Parameters
    ----------
    grid, folder:
        What, and where to; the folder is made.
    workers:
        Local processes; 1 prices in this one.
    dask:
        Address of a Dask scheduler, whose workers price instead. They need eoqkit installed, and
        no files: the grid travels to them and the results travel back.
    progress:
        Called with the parts that are there and their number.

    Raises
    ------
    InputError
        One line: the folder holds another sweep or is being written, a worker was lost.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        _begin(grid, folder)
        wanted = parts(grid)
        missing = [part for part in wanted if not _is_whole(folder, part)]
        done = len(wanted) - len(missing)
        progress(done, len(wanted))
        if missing:
            (folder / "pareto.csv").unlink(missing_ok=True)
        if dask is not None and missing:
            results = _on_dask(grid, missing, dask)
        elif workers > 1 and missing:
            results = _on_processes(grid, missing, workers)
        else:
            results = ((part, price(grid, part)) for part in missing)
        for part, table in results:
            with whole_file(folder / part.name, alone=True) as file:
                pq.write_table(table, file, compression="zstd")
            done += 1
            progress(done, len(wanted))
        best = folder / "pareto.csv"
        if not best.exists():
            chosen = _front(folder, wanted)
            write_whole(best, chosen.to_csv(index=False, lineterminator="\n"), alone=True)
    return pd.read_csv(best)


def read(folder: str | Path) -> pd.DataFrame:
    """Every design that a folder holds so far, in order."""
    files = sorted(Path(folder).glob("part-*.parquet"))
    return pd.concat([pq.read_table(file).to_pandas() for file in files], ignore_index=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One sweep a folder at a time; the lock ends with the process, however that ends."""
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"folder {str(folder)[:200]!r} must not be in use, and another sweep writes to it"
            ) from None
        yield


def _begin(grid: Grid, folder: Path) -> None:
    """Write the manifest, or check the one that is there; remove what a killed sweep left."""
    manifest = {
        "digest": grid.digest,
        "designs": len(grid),
        "designs_a_part": chunk_size(grid),
        "eoqkit": version("eoqkit"),
        "axes": {
            "network": [network.name for network in grid.networks],
            "scheme": grid.schemes,
            "batch": grid.batches,
            "technology": [technology.name for technology in grid.technologies],
            "rows": grid.rows,
            "columns": grid.columns,
            "buffer_bytes": grid.buffers,
        },
        "conventions": grid.conventions.as_dict(),
    }
    path = folder / "manifest.json"
    try:
        found = json.loads(path.read_text()) if path.exists() else None
        digest = found and found["digest"]
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f"{str(path)[:200]!r} must be the manifest of a sweep, and is not"
        ) from None
    if digest and digest != manifest["digest"]:
        raise InputError(
            f"folder {str(folder)[:200]!r} must be empty or hold this sweep, and holds another "
            "(other values, files or version of eoqkit)"
        )
    if not digest:
        if any(folder.glob("part-*.parquet")):
            raise InputError(f"folder {str(folder)[:200]!r} has parts of a sweep but no manifest")
        text = json.dumps(manifest, indent=1) + "\n"
        write_whole(path, text, alone=True)
    for left in folder.glob(".*.tmp"):
        left.unlink()


def _is_whole(folder: Path, part: Part) -> bool:
    """The part is there, and has the rows that it must have."""
    try:
        return bool(pq.read_metadata(folder / part.name).num_rows == part.last - part.first)
    except (OSError, pa.ArrowInvalid):
        return False


def _front(folder: Path, wanted: list[Part]) -> pd.DataFrame:
    """Front of each part, then of all fronts: no more than one part is in memory."""
    best: list[pd.DataFrame] = []
    needed = ["design", *GROUP, *CRITERIA]
    for part in wanted:
        frame = pq.read_table(folder / part.name, columns=needed).to_pandas()
        best.append(fronts(frame.astype(dict.fromkeys(("network", "scheme", "technology"), str))))
    numbers = fronts(pd.concat(best, ignore_index=True))["design"].to_numpy()
    rows = []
    for part in wanted:
        inside = numbers[(numbers >= part.first) & (numbers < part.last)]
        if len(inside):
            rows.append(pq.read_table(folder / part.name).take(pa.array(inside - part.first)))
    chosen = pa.concat_tables(rows).to_pandas() if rows else pd.DataFrame(columns=_SCHEMA.names)
    # In the order of the fronts: by group, then by energy.
    chosen = chosen.set_index("design").loc[numbers].reset_index()
    return chosen.astype({"cycles": "Int64"})


_grid: Grid | None = None
"""What a local worker prices."""


def _start_worker(grid: Grid) -> None:
    global _grid
    _grid = grid
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        """End with the parent: a worker whose parent was killed would wait for work for ever."""
        if parent is not None:
            wait_for([parent.sentinel])
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _price_here(part: Part) -> pa.Table:
    if _grid is None:
        raise RuntimeError("a worker must be started by _start_worker")
    return price(_grid, part)


def _on_processes(grid: Grid, missing: list[Part], workers: int) -> Iterator[tuple[Part, pa.Table]]:
    """Price on local processes, two parts a worker under way."""
    # Started afresh, not forked: a copy would hold the folder's lock after the parent was killed.
    pool = ProcessPoolExecutor(
        min(workers, len(missing)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(grid,),
    )
    try:
        queue = iter(missing)
        running = {pool.submit(_price_here, part): part for part in islice(queue, 2 * workers)}
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                part = running.pop(future)
                yield part, future.result()
                for following in islice(queue, 1):
                    running[pool.submit(_price_here, following)] = following
    except BrokenProcessPool:
        raise InputError(
            "sweep: a worker process was lost; the same command goes on where it stopped"
        ) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _on_dask(grid: Grid, missing: list[Part], address: str) -> Iterator[tuple[Part, pa.Table]]:
    """Price on a Dask cluster, two parts a thread under way."""
    try:
        from distributed import Client, KilledWorker, as_completed
    except ImportError:
        raise InputError("--dask requires the extra: pip install 'eoqkit[dask]'") from None
    try:
        # Asked first: a client that finds no scheduler takes its time to say so, in many lines.
        found = re.fullmatch(r"(?:(?:tcp|tls)://)?(\[[^]]+\]|[^:/\[\]]+):([0-9]{1,5})", address)
        if not found:
            raise OSError("it must be like tcp://host:8786")
        with socket.create_connection((found[1].strip("[]"), int(found[2])), timeout=10):
            pass
        client = Client(address, timeout=10, set_as_default=False)
    except (OSError, OverflowError) as error:
        reason = str(error).splitlines()[0][:200]
        raise InputError(
            f"--dask must be a scheduler's address, got {address!r}: {reason}"
        ) from None
    with client:
        threads = sum(client.nthreads().values())
        if not threads:
            raise InputError(
                f"--dask: the scheduler at {address!r} requires a worker, and has none"
            )
        shared = client.scatter(grid, broadcast=True, hash=False)
        queue = iter(missing)
        running = {
            client.submit(price, shared, part, pure=False): part
            for part in islice(queue, 2 * threads)
        }
        completed = as_completed(running, loop=client.loop)
        for future in completed:
            part = running.pop(future)
            with suppress(StopIteration):
                following = next(queue)
                more = client.submit(price, shared, following, pure=False)
                running[more] = following
                completed.add(more)
            try:
                table = future.result()
            except (KilledWorker, CancelledError) as error:
                raise InputError(
                    f"--dask: {part.name} was lost on the cluster ({type(error).__name__}); the "
                    "same command goes on where it stopped"
                ) from None
            yield part, table
