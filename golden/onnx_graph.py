"""An ONNX file as a list of nodes in order, read with bounds and never trusted.

Nothing in the file is run and no second file is opened: weights kept outside the file stay there,
because only their shapes matter here.
"""

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from golden.errors import InputError
from golden.network import MAX_ELEMENTS, Shape

__all__ = [
    "DOMAINS",
    "MAX_FILE_BYTES",
    "MAX_NODES",
    "MAX_TENSORS",
    "Graph",
    "Node",
    "quoted",
    "read_graph",
    "shape_of_type",
    "static",
]

MAX_FILE_BYTES = (1 << 31) - 1
"""Protocol buffers cannot be larger."""

MAX_NODES = 100_000
MAX_TENSORS = 1_000_000
"""Initializers, graph inputs, outputs and declared shapes together."""

MAX_NAME = 200
"""A layer's name is cut to this many characters; a value's name only in messages."""

MAX_LIST = 64
"""No attribute that matters here has more entries."""

DOMAINS = ("", "ai.onnx")
MINIMUM_OPSET = 7
"""Since this version two operands of different shapes are spread as NumPy does it."""


def quoted(text: object, limit: int = 80) -> str:
    """Return text from outside on one line: escaped, in quotes, and cut to `limit` characters."""
    text = text if isinstance(text, str) else str(text)
    return repr(text if len(text) <= limit else text[: limit - 3] + "...")


def _text(value: Any) -> str:
    """Return a string field. The protobuf parser gives bytes where they are not UTF-8."""
    if not isinstance(value, str):
        raise ValueError(f"names must be UTF-8, not {quoted(value)}")
    return value


@dataclass(frozen=True)
class Node:
    """One node. The getters refuse attributes of another type than asked for."""

    index: int
    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(repr=False)
    source: Any = field(repr=False)

    def __str__(self) -> str:
        return f"node {quoted(self.name)} ({quoted(self.op)[1:-1]})"

    def attribute(self, name: str, kind: str) -> Any:
        """Return the protobuf attribute of a kind ("INT", "FLOATS", ...); None without it."""
        found = self.attributes.get(name)
        if found is None:
            return None
        names = onnx.AttributeProto.AttributeType
        if found.type != names.Value(kind):
            got = names.Name(found.type) if found.type in names.values() else found.type
            raise ValueError(f"attribute {name} must be {kind}, not {got}")
        return found

    def integer(self, name: str, default: int) -> int:
        """Return an INT attribute."""
        found = self.attribute(name, "INT")
        return default if found is None else found.i

    def number(self, name: str, default: float) -> float:
        """Return a FLOAT attribute."""
        found = self.attribute(name, "FLOAT")
        return default if found is None else found.f

    def text(self, name: str, default: str) -> str:
        """Return a STRING attribute."""
        found = self.attribute(name, "STRING")
        return default if found is None else found.s.decode("utf-8", "replace")

    def integers(self, name: str) -> tuple[int, ...] | None:
        """Return an INTS attribute; None without it."""
        found = self.attribute(name, "INTS")
        if found is None:
            return None
        if len(found.ints) > MAX_LIST:
            raise ValueError(f"attribute {name} must have at most {MAX_LIST} entries")
        return tuple(found.ints)


@dataclass(frozen=True)
class Graph:
    """What a file holds, as far as its one output depends on it.

    Members
    -------
    nodes:
        In the file's order, in which each comes after its inputs.
    uses:
        How often each value is read; being the output counts as once.
    """

    nodes: list[Node]
    initializers: Mapping[str, Any]
    inputs: Mapping[str, Any]
    output: str
    output_info: Any
    value_infos: Mapping[str, Any]
    uses: Mapping[str, int]
    opset: int
    model: Any

    @property
    def consumed_inputs(self) -> list[str]:
        """Inputs that some node reads and that no initializer provides."""
        return [n for n in self.inputs if n not in self.initializers and self.uses.get(n)]


def _read_bytes(path: Path) -> bytes:
    if "\0" in str(path):
        raise ValueError("must be a path without null characters")
    try:
        status = path.stat()
        # A pipe or a device may never end.
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("must be a regular file, and is not")
        if not 0 < status.st_size <= MAX_FILE_BYTES:
            raise ValueError(f"must have 1 to {MAX_FILE_BYTES} bytes, and has {status.st_size}")
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ValueError(f"must be a readable file: {reason}") from error
    except MemoryError as error:
        raise ValueError("must fit the memory, and does not") from error


def _fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield (number, start, end) of the length-delimited fields of a protobuf message."""

    def varint(at: int) -> tuple[int, int]:
        value = 0
        for shift in range(0, 70, 7):
            if at >= end:
                break
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value, at
        raise ValueError("must be a complete ONNX file, and is truncated or garbage")

    while start < end:
        key, start = varint(start)
        kind = key & 7
        if kind == 2:
            length, start = varint(start)
            if length > end - start:
                raise ValueError("must be a complete ONNX file, and is truncated or garbage")
            yield key >> 3, start, start + length
            start += length
        elif kind == 0:
            _, start = varint(start)
        elif kind in (1, 5):
            start += 8 if kind == 1 else 4
        else:
            raise ValueError("must be an ONNX file, and is not")


def _check_counts(data: bytes) -> None:
    """Refuse a file of too many parts before it is parsed, which takes many times its size."""
    nodes = tensors = 0
    for number, start, end in _fields(data, 0, len(data)):
        if number != onnx.ModelProto.GRAPH_FIELD_NUMBER:
            continue
        for part, _, _ in _fields(data, start, end):
            nodes += part == onnx.GraphProto.NODE_FIELD_NUMBER
            tensors += part != onnx.GraphProto.NODE_FIELD_NUMBER
            if nodes > MAX_NODES:
                raise ValueError(f"must have at most {MAX_NODES} nodes, and has more")
            if tensors > MAX_TENSORS:
                raise ValueError(f"must have at most {MAX_TENSORS} tensors, and has more")


def _opset(model: Any) -> int:
    versions = [o.version for o in model.opset_import if o.domain in DOMAINS]
    if not versions:
        raise ValueError("must import the operator set of ONNX, and does not")
    newest = onnx.defs.onnx_opset_version()
    if not MINIMUM_OPSET <= versions[0] <= newest:
        raise ValueError(
            f"must use operator set {MINIMUM_OPSET} to {newest}, not {versions[0]}; "
            "onnx.version_converter converts"
        )
    return int(versions[0])


_ITEM_BYTES = {
    onnx.TensorProto.FLOAT: 4,
    onnx.TensorProto.FLOAT16: 2,
    onnx.TensorProto.BFLOAT16: 2,
    onnx.TensorProto.DOUBLE: 8,
    onnx.TensorProto.INT8: 1,
    onnx.TensorProto.UINT8: 1,
    onnx.TensorProto.INT32: 4,
    onnx.TensorProto.INT64: 8,
}


def _check_tensor(tensor: Any, name: str) -> None:
    """Dimensions and data must agree. A file stripped of its weights is accepted."""
    where = f"initializer {quoted(name)}"
    elements = 1
    for size in tensor.dims:
        elements *= size
        if size < 0 or elements > MAX_ELEMENTS:
            raise ValueError(
                f"{where}: dimensions must be at least 0 and at most {MAX_ELEMENTS} elements, "
                f"not {quoted(list(tensor.dims[:8]))[1:-1]}"
            )
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        for entry in tensor.external_data:
            if entry.key == "location":
                location = _text(entry.value)
                for kind in (PurePosixPath, PureWindowsPath):
                    if kind(location).anchor or ".." in kind(location).parts:
                        raise ValueError(
                            f"{where}: external data must lie in the file's folder, "
                            f"not at {quoted(location)}"
                        )
    elif tensor.raw_data and tensor.data_type in _ITEM_BYTES:
        required = elements * _ITEM_BYTES[tensor.data_type]
        if len(tensor.raw_data) != required:
            raise ValueError(
                f"{where}: its dimensions require {required} bytes of data, "
                f"and there are {len(tensor.raw_data)}"
            )


def _initializers(graph: Any) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for tensor in graph.initializer:
        name = _text(tensor.name)
        if name in result:
            raise ValueError(f"initializer {quoted(name)} must be defined once, and is twice")
        _check_tensor(tensor, name)
        result[name] = tensor
    if graph.sparse_initializer:
        raise ValueError("initializers must be dense, and some are sparse")
    return result


def _nodes(graph: Any) -> list[Node]:
    result = []
    for index, source in enumerate(graph.node):
        op = _text(source.op_type)
        domain = _text(source.domain)
        name = _text(source.name)[:MAX_NAME] or f"{op[:MAX_NAME]}_{index}"
        node = Node(
            index,
            op if domain in DOMAINS else f"{domain}.{op}",
            name,
            tuple(map(_text, source.input)),
            tuple(map(_text, source.output)),
            {_text(a.name): a for a in source.attribute},
            source,
        )
        if len(node.attributes) != len(source.attribute):
            raise ValueError(f"{node}: attributes must be given once")
        result.append(node)
    return result


def _check_order(nodes: list[Node], given: set[str]) -> None:
    """Each value has one source, which comes before its readers: so there are no cycles."""
    producers: dict[str, Node] = {}
    for node in nodes:
        for name in filter(None, node.outputs):
            if name in producers or name in given:
                other = producers.get(name, "an input or initializer")
                raise ValueError(
                    f"{node}: output {quoted(name)} must be new, and is also that of {other}"
                )
            producers[name] = node
    for node in nodes:
        for name in filter(None, node.inputs):
            if name in given:
                continue
            if name not in producers:
                raise ValueError(
                    f"{node}: input {quoted(name)} must be an initializer, a graph input or "
                    "another node's output, and is missing"
                )
            if producers[name].index >= node.index:
                raise ValueError(
                    f"{node}: input {quoted(name)} must be computed by an earlier node, "
                    f"not by {producers[name]}"
                )


def _live(nodes: list[Node], output: str) -> list[Node]:
    """Return the nodes the output depends on. They are sorted, so one sweep backwards does it."""
    needed = {output}
    result = []
    for node in reversed(nodes):
        if not needed.isdisjoint(filter(None, node.outputs)):
            needed.update(filter(None, node.inputs))
            result.append(node)
    return result[::-1]


def _parse(data: bytes) -> Graph:
    _check_counts(data)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise ValueError("must be a complete ONNX file, and is truncated or garbage") from error
    graph = model.graph
    if not graph.node:
        raise ValueError("must have at least one node, and has none")
    opset = _opset(model)
    initializers = _initializers(graph)
    inputs = {_text(i.name): i for i in graph.input}
    if len(graph.output) != 1:
        raise ValueError(f"must have exactly one graph output, not {len(graph.output)}")
    output = _text(graph.output[0].name)
    nodes = _nodes(graph)
    _check_order(nodes, initializers.keys() | inputs.keys())
    if not any(output in node.outputs for node in nodes):
        raise ValueError(f"graph output {quoted(output)} must be computed by a node, and is not")
    nodes = _live(nodes, output)
    uses: dict[str, int] = {output: 1}
    for node in nodes:
        for name in node.inputs:
            uses[name] = uses.get(name, 0) + 1
    value_infos = {_text(v.name): v for v in graph.value_info}
    return Graph(
        nodes, initializers, inputs, output, graph.output[0], value_infos, uses, opset, model
    )


def shape_of_type(info: Any) -> tuple[int | None, ...] | None:
    """Return a declared tensor's dimensions, None where not static; None if it declares none."""
    if not info.type.HasField("tensor_type") or not info.type.tensor_type.HasField("shape"):
        return None
    dims = info.type.tensor_type.shape.dim
    return tuple(d.dim_value if d.HasField("dim_value") else None for d in dims)


def static(shape: tuple[int | None, ...] | None) -> Shape | None:
    """Return the shape if all of it is known."""
    if shape is None or any(size is None for size in shape):
        return None
    return tuple(size for size in shape if size is not None)


def read_graph(path: Path) -> Graph:
    """Read a file. Raises InputError, one line that names it, when it cannot be used."""
    try:
        return _parse(_read_bytes(path))
    except ValueError as error:
        raise InputError(f"{quoted(path, 200)}: {error}") from error
