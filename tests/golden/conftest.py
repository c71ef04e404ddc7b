"""What several tests of golden share."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from golden.errors import InputError
from golden.onnx_import import import_onnx

Shape = Sequence[int | str | None]


def make_model(
    nodes: Sequence[Any],
    inputs: Mapping[str, Shape],
    weights: Mapping[str, Any],
    output: str = "y",
    opset: int = 17,
) -> Any:
    """Return an ONNX model; a weight is an array, or the shape of one as a tuple."""
    arrays = {
        name: np.zeros(w, np.float32) if isinstance(w, tuple) else np.asarray(w)
        for name, w in weights.items()
    }
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(a, n) for n, a in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


# For a whole session, so that hypothesis may use it; every call writes a file of its own.
@pytest.fixture(scope="session")
def write_onnx(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that writes a small ONNX file and gives its path.

    It takes `make_model`'s arguments and `edit`, a function that changes the model first.
    """
    folder = tmp_path_factory.mktemp("onnx")
    numbers = itertools.count()

    def write(
        nodes: Sequence[Any],
        inputs: Mapping[str, Shape] | None = None,
        weights: Mapping[str, Any] | None = None,
        *,
        edit: Callable[[Any], object] | None = None,
        **options: Any,
    ) -> Path:
        model = make_model(nodes, inputs or {"x": (1, 4, 8, 8)}, weights or {}, **options)
        if edit is not None:
            edit(model)
        path = folder / f"small{next(numbers)}.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return write


@pytest.fixture(scope="session")
def refused() -> Callable[[Path], str]:
    """Return a function that imports a file and gives what is said against it.

    The message must be one short printable line. It begins with the file's name, which is left out.
    """

    def refuse(path: Path) -> str:
        with pytest.raises(InputError) as caught:
            import_onnx(path)
        message = str(caught.value)
        assert message.isprintable()
        assert len(message) < 800
        start = f"{str(path)!r}: "
        assert message.startswith(start)
        return message[len(start) :]

    return refuse
