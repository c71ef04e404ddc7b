"""Files that cannot be used, and the one entry to all networks."""

import os
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from golden.errors import InputError
from golden.networks import load
from golden.onnx_import import import_onnx
from golden.zoo import BUILT_IN

Write = Callable[..., Path]
Refused = Callable[[Path], str]
node = helper.make_node
X = {"x": (1, 4, 8, 8)}
CONV = [node("Conv", ["x", "w"], ["y"], name="c")]
W = {"w": (6, 4, 3, 3)}


def _clear_opsets(model: Any) -> None:
    del model.opset_import[:]


def _old_opset(model: Any) -> None:
    model.opset_import[0].version = 6


def _two_outputs(model: Any) -> None:
    model.graph.output.append(model.graph.input[0])


def _short_data(model: Any) -> None:
    model.graph.initializer[0].raw_data = b"\0" * 10


def _negative(model: Any) -> None:
    model.graph.initializer[0].dims[0] = -6


def _twice(model: Any) -> None:
    model.graph.initializer.append(model.graph.initializer[0])


def _sparse(model: Any) -> None:
    model.graph.sparse_initializer.add()


def _integers(model: Any) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT8


def _declared(model: Any) -> None:
    model.graph.output[0].CopyFrom(
        helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 6, 6, 7))
    )


def _declared_inside(model: Any) -> None:
    model.graph.node.append(node("Relu", ["y"], ["z"]))
    model.graph.output[0].name = "z"
    model.graph.value_info.append(
        helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 6, 6, 7))
    )


def _external(location: str) -> Callable[[Any], None]:
    def edit(model: Any) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_clear_opsets, "must import the operator set of ONNX, and does not"),
        (_old_opset, f"must use operator set 7 to {onnx.defs.onnx_opset_version()}, not 6"),
        (_two_outputs, "must have exactly one graph output, not 2"),
        (
            _short_data,
            "initializer 'w': its dimensions require 864 bytes of data, and there are 10",
        ),
        (_negative, "initializer 'w': dimensions must be at least 0"),
        (_twice, "initializer 'w' must be defined once, and is twice"),
        (_sparse, "initializers must be dense, and some are sparse"),
        (_integers, "graph input 'x' must be a floating-point tensor, and is not"),
        (_declared, "ONNX's shape inference refuses it: "),
        (_declared_inside, "ONNX's shape inference refuses it: "),
        (_external("../w.bin"), "initializer 'w': external data must lie in the file's folder, "),
        (_external("/w.bin"), "initializer 'w': external data must lie in the file's folder, "),
        (_external("C:\\w.bin"), "initializer 'w': external data must lie in the file's folder, "),
    ],
)
def test_file(
    edit: Callable[[Any], None], message: str, write_onnx: Write, refused: Refused
) -> None:
    assert refused(write_onnx(CONV, X, W, edit=edit)).startswith(message)


def test_external_data_is_not_opened(write_onnx: Write) -> None:
    path = write_onnx(CONV, X, W, edit=_external("there is no such file"))
    assert import_onnx(path).parameter_count == 6 * 4 * 9


def test_names_that_are_not_text(tmp_path: Path, write_onnx: Write, refused: Refused) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(
        write_onnx([node("Relu", ["x"], ["y"], name="NAME")])
        .read_bytes()
        .replace(b"NAME", b"\xff" * 4)
    )
    assert refused(path).startswith("names must be UTF-8, not ")


def test_paths(tmp_path: Path, refused: Refused) -> None:
    assert refused(tmp_path / "a.onnx") == "must be a readable file: No such file or directory"
    assert refused(tmp_path) == "must be a regular file, and is not"
    (tmp_path / "empty.onnx").touch()
    assert refused(tmp_path / "empty.onnx") == "must have 1 to 2147483647 bytes, and has 0"
    os.mkfifo(tmp_path / "pipe.onnx")
    assert refused(tmp_path / "pipe.onnx") == "must be a regular file, and is not"
    with (tmp_path / "huge.onnx").open("wb") as file:
        file.truncate(1 << 33)
    assert refused(tmp_path / "huge.onnx").endswith("and has 8589934592")
    assert refused(Path("/dev/zero")) == "must be a regular file, and is not"
    assert refused(tmp_path / "line\nbreak.onnx").startswith("must be a readable file")
    assert refused(tmp_path / "\0.onnx") == "must be a path without null characters"


@pytest.mark.parametrize("content", [b"garbage", b"\0" * 1000, b"<html></html>", b"\xff" * 50])
def test_garbage(content: bytes, tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(content)
    assert re.match(r"must be an? (complete )?ONNX file, and is ", refused(path))


def test_every_truncation(tmp_path: Path, write_onnx: Write, refused: Refused) -> None:
    whole = write_onnx(CONV, X, W).read_bytes()
    path = tmp_path / "a.onnx"
    for length in range(1, len(whole), 7):
        path.write_bytes(whole[:length])
        assert refused(path)


def test_too_many_parts_are_refused_before_parsing(tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "a.onnx"
    nodes = b"\x0a\x00" * 5_000_000
    length = len(nodes)
    path.write_bytes(
        b"\x3a" + bytes([length & 127 | 128, length >> 7 & 127 | 128, length >> 14 & 127 | 128,
                         length >> 21]) + nodes
    )  # fmt: skip
    start = time.perf_counter()
    assert refused(path) == "must have at most 100000 nodes, and has more"
    assert time.perf_counter() - start < 2


def test_mutated_bytes_are_refused_or_read(tmp_path: Path, write_onnx: Write) -> None:
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"], name="c", pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["c", "b", "b", "b", "b"], ["n"], name="n"),
        node("Relu", ["n"], ["r"], name="r"),
        node("MaxPool", ["r"], ["p"], name="p", kernel_shape=[3, 3], ceil_mode=1),
        node("Shape", ["p"], ["s"], name="s"),
        node("Slice", ["s", "zero", "one"], ["k"], name="k"),
        node("Concat", ["k", "rest"], ["t"], name="t", axis=0),
        node("Reshape", ["p", "t"], ["f"], name="f"),
        node("Gemm", ["f", "m"], ["y"], name="g"),
    ]
    weights = {
        "w": (2, 1, 3, 3),
        "b": (2,),
        "zero": np.array([0]),
        "one": np.array([1]),
        "rest": np.array([-1]),
        "m": (32, 3),
    }
    valid = write_onnx(nodes, {"x": (1, 1, 6, 6)}, weights).read_bytes()
    path = tmp_path / "a.onnx"
    choose = random.Random(1)  # noqa: S311
    start, read = time.perf_counter(), 0
    for _ in range(600):
        data = bytearray(valid)
        for _ in range(choose.choice((1, 1, 1, 4))):
            at = choose.randrange(len(data))
            kind = choose.randrange(4)
            if kind == 0:
                data[at] = choose.randrange(256)
            elif kind == 1:
                data[at] ^= 1 << choose.randrange(8)
            elif kind == 2:
                del data[at : at + choose.randrange(1, 9)]
            else:
                data[at:at] = data[at : at + choose.randrange(1, 40)]
        path.write_bytes(data)
        message = ""
        try:
            import_onnx(path)
            read += 1
        except InputError as error:
            message = str(error)
        assert message.isprintable()
    assert 0 < read < 600
    assert time.perf_counter() - start < 30


def test_load_gives_both_kinds(write_onnx: Write) -> None:
    assert load("resnet8", input_shape=(1, 8, 8), classes=3).input_shape == (1, 8, 8)
    assert load("mlp").parameter_count == BUILT_IN["mlp"]().parameter_count
    path = write_onnx([node("Flatten", ["x"], ["y"])])
    assert load(str(path)).shape_of("Flatten_0") == (256,)
    assert load(path, input_shape=(4, 8, 8), classes=256).name == path.stem


def test_load_refuses_in_one_line(write_onnx: Write) -> None:
    with pytest.raises(InputError, match=r"^network must be one of mlp, lenet5, resnet8, .*, alexnet or a path that ends in \.onnx, not 'resnet1\\n8'$"):  # noqa: E501  # fmt: skip
        load("resnet1\n8")
    path = write_onnx([node("Flatten", ["x"], ["y"])])
    with pytest.raises(InputError, match=r" must take samples of shape \(1, 8, 8\), not \(4, 8, 8\)$"):  # noqa: E501  # fmt: skip
        load(path, input_shape=(1, 8, 8))
    with pytest.raises(InputError, match=r" must have 10 outputs, not 256$"):
        load(path, classes=10)
