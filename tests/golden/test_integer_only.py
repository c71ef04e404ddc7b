"""No float, no division, no root from pixel to updated weight: seen by a watch on a whole step.

Every function of golden that a step calls is stopped at its return and all that it holds is looked
at: arrays must be of integers or truth values, numbers must be integers. What has no name is caught
in the source of the same functions: no operator and no call there divides or leaves the integers.
"""

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from types import CodeType, FrameType, FunctionType
from typing import Any

import numpy as np
import pytest

from golden import layers, zoo
from golden.acceleration import specification
from golden.initialization import build
from golden.network import (
    Activation,
    AveragePool,
    Concat,
    Convolution,
    Dropout,
    Flatten,
    Linear,
    MaxPool,
    Multiply,
    Network,
)
from golden.schemes import EOQ

STANDS_FOR_INTEGERS = {
    # A sum of at most 1,040 products of codes is exact in float32 (test_matmul.py).
    ("golden.matmul", "float32_product"),
    # The leading one's position, exact below 2**53 (test_formats.py).
    ("golden.formats", "bit_length"),
}
"""Functions that compute integers by other means, as fast as NumPy can."""

GEOMETRY = {"golden.network", "golden.windows", "golden.im2col", "golden.reductions",
            "golden.acceleration"}  # fmt: skip
"""Modules that divide sizes and positions, which hardware has as constants or counters."""

BLOCKING = {("golden.convolution", "_samples")}
"""How much is worked on at a time, which no result depends on."""

FORBIDDEN = {
    "sqrt", "cbrt", "reciprocal", "divide", "true_divide", "floor_divide", "mod", "remainder",
    "divmod", "fmod", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "power",
    "float_power", "mean", "average", "std", "var", "float16", "float32", "float64", "floating",
    "ldexp", "frexp", "linalg", "hypot", "rint", "round", "float",
}  # fmt: skip


def inception() -> Network:
    """What the residual networks do not have."""
    it = Network("small", (2, 8, 8))
    it.add("conv", Convolution((3, 3), (1, 1), (1, 1, 1, 1), out_channels=4, groups=2, bias=True))
    start = it.add("relu6", Activation(maximum=6.0))
    maxima = it.add("max", MaxPool((3, 3), (2, 2), (1, 1, 1, 1)), start)
    means = it.add("avg", AveragePool((2, 2), (2, 2)), start)
    it.add("cat", Concat(), maxima, means)
    it.add("square", Multiply(), "cat", "cat")
    it.add("mix", Convolution((1, 1), out_channels=4))
    it.add("leaky", Activation(slope=0.1))
    it.add("flat", Flatten())
    it.add("fc1", Linear(8))
    it.add("drop", Dropout(0.3))
    it.add("fc2", Linear(3))
    return it


def unfit(value: Any, depth: int = 3) -> Iterator[Any]:
    """What is no integer in a variable, also in lists, tuples, dictionaries and our own objects."""
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind not in "iub":
            yield value.dtype
    elif isinstance(value, float | complex):
        yield value
    elif depth and isinstance(value, list | tuple | set):
        for one in value:
            yield from unfit(one, depth - 1)
    elif depth and isinstance(value, dict):
        for one in value.values():
            yield from unfit(one, depth - 1)
    elif depth and type(value).__module__.startswith("golden."):
        # But for operators: those describe the network, and layers have made integers of them.
        own = {} if type(value).__module__ == "golden.network" else getattr(value, "__dict__", {})
        yield from unfit(own, depth - 1)


class Watch:
    """A profiler that looks into golden's functions as they return."""

    def __init__(self) -> None:
        self.codes: set[tuple[str, CodeType]] = set()
        self.found: list[str] = []
        self.arrays = 0

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        module = frame.f_globals.get("__name__", "")
        if event != "return" or not module.startswith("golden."):
            return
        name = frame.f_code.co_qualname
        if (module, name) in STANDS_FOR_INTEGERS:
            return
        self.codes.add((module, frame.f_code))
        for variable, value in (*frame.f_locals.items(), ("return", argument)):
            self.arrays += isinstance(value, np.ndarray)
            for wrong in unfit(value):
                self.found.append(f"{module}.{name}: {variable} has {wrong}")


def step(network: Network, watch: Watch | None) -> dict[str, np.ndarray]:
    it = build(network, seed=0)
    rng = np.random.default_rng(0)
    codes = rng.integers(-127, 128, (4, *network.input_shape)).astype(np.int8)
    labels = np.arange(4) % 3
    it.step(codes, labels, 1)
    with specification():
        sys.setprofile(watch)
        try:
            return dict(it.step(codes, labels, 1))
        finally:
            sys.setprofile(None)


NETWORKS = {
    "resnet8": EOQ.rewrite(zoo.resnet8((1, 8, 8), classes=3)),
    "mlp": EOQ.rewrite(zoo.mlp((1, 8, 8), classes=3)),
    "small": inception(),
}


@pytest.fixture(scope="module", params=NETWORKS)
def watched(request: pytest.FixtureRequest) -> tuple[Watch, str]:
    watch = Watch()
    step(NETWORKS[request.param], watch)
    return watch, request.param


def test_every_variable_holds_integers(watched: tuple[Watch, str]) -> None:
    watch, name = watched
    assert watch.found == []
    assert watch.arrays > 500, name
    modules = {module for module, _ in watch.codes}
    assert {"golden.loss", "golden.optimizer", "golden.gradients", "golden.training"} <= modules


def problems(source: str) -> list[str]:
    """What divides or leaves the integers in the source of one function."""
    found = []
    for node in ast.walk(ast.parse(textwrap.dedent(source))):
        match node:
            case (
                ast.BinOp(op=ast.Div() | ast.FloorDiv() | ast.Mod() | ast.Pow())
                | ast.AugAssign(op=ast.Div() | ast.FloorDiv() | ast.Mod() | ast.Pow())
            ):
                found.append(ast.unparse(node))
            case ast.Attribute(attr=name) | ast.Name(id=name) if name in FORBIDDEN:
                found.append(ast.unparse(node))
            case ast.Constant(value=float()):
                found.append(ast.unparse(node))
    return found


def test_no_source_divides_or_leaves_the_integers(watched: tuple[Watch, str]) -> None:
    watch, _ = watched
    seen = 0
    for module, code in watch.codes:
        generated = code.co_filename.startswith("<") or code.co_name.startswith("<")
        if module in GEOMETRY or (module, code.co_name) in BLOCKING or generated:
            continue
        seen += 1
        assert problems(inspect.getsource(code)) == [], f"{module}.{code.co_qualname}"
    assert seen > 30


def test_the_watch_sees_what_it_must() -> None:
    for text in ("x / 2", "x // 2", "x % y", "x ** 2", "np.sqrt(x)", "x * 0.5", "x.mean()",
                 "x.astype(np.float32)", "float(x)"):  # fmt: skip
        assert problems(f"def f(x, y):\n    return {text}\n"), text
    assert not problems("def f(x, y):\n    return (x * y + 3) >> 2\n")
    for value in (0.5, np.zeros(2), [np.float32(1)], {"a": (np.ones(1),)}):
        assert list(unfit(value)), value
    assert not list(unfit([np.zeros(2, int), np.bool_(True), 3, "text"]))


def halved(self: Any, inputs: Any) -> Any:
    """A layer that leaves the integers and comes back."""
    (value,) = inputs
    half = value.integers * 0.5
    self._mask = value.integers > 0
    return layers.Value(half.astype(np.int32), value.exponent)


def test_a_float_in_a_layer_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = FunctionType(halved.__code__, {**globals(), "__name__": "golden.elsewhere"})
    monkeypatch.setattr(layers.RectifierLayer, "forward", inside)
    watch = Watch()
    step(NETWORKS["mlp"], watch)
    assert any("half has float64" in text for text in watch.found)
    assert problems(inspect.getsource(halved)) == ["0.5"]
