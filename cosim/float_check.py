"""Floating-point units against the host's own arithmetic: millions of vectors through Verilator.

The vectors are made, driven and compared in C++ (`float_check.cpp`), with floats that the compiler
may not contract or evaluate in advance; the host must compute in IEEE 754 binary32, which all of
today's do.
"""

import subprocess
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cosim import tools
from golden.errors import CheckError, InputError
from rtl.cache import cache_folder, content_key, made
from rtl.float_adder import FloatAdder
from rtl.float_divider import FloatDivider
from rtl.float_format import BINARY32, FloatFormat
from rtl.float_multiplier import FloatMultiplier
from rtl.float_square_root import FloatSquareRoot
from rtl.verilog import convert

__all__ = ["UNITS", "FloatCheck", "check_random", "check_vectors"]

UNITS = ("add", "mul", "div", "sqrt")
"""Operations that can be checked."""


@dataclass(frozen=True)
class FloatCheck:
    """Outcome of one run.

    Members
    -------
    vectors, mismatches:
        How many; a result at the wrong time counts as one.
    first:
        The first mismatch in words; empty without any.
    """

    vectors: int
    mismatches: int
    first: str


def _unit(operation: str, form: FloatFormat) -> tuple[object, int]:
    """Component and latency."""
    if operation == "add":
        return FloatAdder(form=form), FloatAdder.LATENCY
    if operation == "mul":
        return FloatMultiplier(form=form), FloatMultiplier.LATENCY
    serial = FloatDivider(form=form) if operation == "div" else FloatSquareRoot(form=form)
    return serial, serial.cycles


def _program(operation: str, form: FloatFormat, text: str | None) -> Path:
    """Return the compiled check of one unit."""
    if operation not in UNITS:
        raise InputError(f"operation must be one of {', '.join(UNITS)}, not {operation!r}")
    component, latency = _unit(operation, form)
    top = f"eoq_fp{form.width}_{operation}"
    verilog = convert(component, top) if text is None else text
    main = resources.files("cosim").joinpath("float_check.cpp").read_text()
    verilator, *_ = (tools.find(name) for name in ("verilator", "g++", "make", "perl"))

    def make(folder: Path) -> None:
        (folder / "unit.v").write_text(verilog)
        (folder / "main.cpp").write_text(main)
        flags = (
            f"-O2 -ffp-contract=off -DUNIT_{operation.upper()} -DLATENCY={latency} "
            f"-DSERIAL_BITS={form.width}"
        )
        command = [
            str(verilator.path), "-cc", "--exe", "--build", "-Mdir", ".", "--top-module", top,
            "--prefix", "Vtop", "-o", "check", "-O3", "-Wno-fatal", "-Wno-lint",
            "-CFLAGS", flags, "-MAKEFLAGS", "OPT_FAST=-O2", "main.cpp", "unit.v",
        ]  # fmt: skip
        done = subprocess.run(  # noqa: S603 - our own command line
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            raise CheckError(f"verilator failed:\n{(done.stdout + done.stderr)[-2000:]}")

    recipe = (operation, str(form), verilator.version, verilog, main, Path(__file__).read_text())
    return made(cache_folder() / "float" / content_key(recipe), make) / "check"


def _run(program: Path, *arguments: str) -> FloatCheck:
    done = subprocess.run(  # noqa: S603 - built above
        [str(program), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise CheckError(f"the check ended with status {done.returncode}: {done.stderr[-500:]}")
    vectors, mismatches = map(int, done.stdout.split())
    return FloatCheck(vectors, mismatches, done.stderr.strip())


def check_random(operation: str, count: int, seed: int, *, text: str | None = None) -> FloatCheck:
    """Corner cases, each with each, and `count` random vectors, against the host's floats.

    Parameters
    ----------
    operation:
        One of `UNITS`, in binary32.
    count, seed:
        Of the random vectors: a tenth each of uniform bits, close exponents, neighbours, few ones
        and so on.
    text:
        Verilog to check in place of the unit's own.

    Raises
    ------
    InputError
        If there is no such operation, or no Verilator.
    CheckError
        If the program cannot be built or breaks down.
    """
    return _run(_program(operation, BINARY32, text), "random", str(count), str(seed))


def check_vectors(
    operation: str,
    form: FloatFormat,
    a: NDArray[np.integer],
    b: NDArray[np.integer],
    expected: NDArray[np.integer],
    folder: Path,
) -> FloatCheck:
    """Given operands against given results, in any format of at most 32 bits.

    `folder` gets the file that the program reads; `b` is not used by a square root. Raises as
    `check_random`.
    """
    path = folder / "vectors.bin"
    np.stack([a, b, expected], axis=1).astype("<u4").tofile(path)
    return _run(_program(operation, form, None), "file", str(path))
