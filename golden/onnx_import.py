"""A `Network` from an ONNX file, with every shape confirmed by ONNX's own shape inference."""

from pathlib import Path
from typing import Any

import onnx

from golden.errors import InputError
from golden.network import Network, Shape, check_shape
from golden.onnx_builder import Builder, Data
from golden.onnx_constants import (
    Constant,
    constant_of_input,
    constant_of_tensor,
    evaluate,
    shape_values,
)
from golden.onnx_graph import Graph, Node, quoted, read_graph, shape_of_type, static
from golden.onnx_operators import OPERATORS

__all__ = ["import_onnx"]

# Operators that have data in any place; all others have it in the first, and weights behind.
_SYMMETRIC = {"Add", "Sum", "Mul", "Concat"}

_DATA_TYPES = {
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
    onnx.TensorProto.DOUBLE,
}


def _data_input(graph: Graph) -> str:
    """Return the graph input that is data: weights may be graph inputs too."""
    candidates = graph.consumed_inputs
    if len(candidates) > 1:
        first = {
            name
            for node in graph.nodes
            for index, name in enumerate(node.inputs)
            if index == 0 or node.op in _SYMMETRIC
        }
        candidates = [name for name in candidates if name in first]
    if len(candidates) != 1:
        names = ", ".join(quoted(name) for name in candidates[:4])
        raise ValueError(
            f"must have exactly one graph input that is data, not {len(candidates)}"
            + (f": {names}" if names else "")
        )
    return candidates[0]


def _batch_and_shape(graph: Graph, name: str) -> tuple[int, Shape]:
    """Return the data input's batch, 1 if symbolic, and the shape of one sample."""
    info = graph.inputs[name]
    where = f"graph input {quoted(name)}"
    if info.type.tensor_type.elem_type not in _DATA_TYPES:
        raise ValueError(f"{where} must be a floating-point tensor, and is not")
    dims = shape_of_type(info)
    if dims is None or len(dims) < 2:
        raise ValueError(f"{where} must have a shape of the batch and at least one dimension")
    sample = static(dims[1:])
    if sample is None:
        got = [d if d is not None else "?" for d in dims[:9]]
        raise ValueError(f"{where} must be static but for the batch, not {got}")
    batch = 1 if dims[0] is None else dims[0]
    try:
        check_shape((batch, *sample))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    return batch, sample


def _step(builder: Builder, node: Node) -> None:
    """Work out one node's value."""
    operands = [builder.values[name] if name else None for name in node.inputs]
    constants = [o for o in operands if o is None or isinstance(o, Constant)]
    unread = [name for name in node.outputs[1:] if name and builder.uses.get(name)]
    if unread:
        raise ValueError(f"only the first output may be read, and so is {quoted(unread[0])}")
    value: Any
    if len(constants) == len(operands):
        value = evaluate(node, constants)
    elif node.op == "Shape":
        value = shape_values(node, (builder.batch, *builder.data(node).shape))
    elif node.op in OPERATORS:
        value = OPERATORS[node.op](builder, node)
    else:
        raise ValueError(f"the operator must be one that docs/onnx.md lists, not {quoted(node.op)}")
    builder.set(node, value)


def _build(graph: Graph, name: str) -> tuple[Builder, Network]:
    source = _data_input(graph)
    batch, shape = _batch_and_shape(graph, source)
    builder = Builder(batch, graph.opset, dict(graph.uses))
    for tensor_name, tensor in graph.initializers.items():
        builder.values[tensor_name] = constant_of_tensor(tensor)
    for input_name in graph.consumed_inputs:
        if input_name != source:
            info = graph.inputs[input_name]
            builder.values[input_name] = constant_of_input(info, input_name)
    builder.values[source] = Data("input", shape)
    for node in graph.nodes:
        try:
            _step(builder, node)
        except ValueError as error:
            raise ValueError(f"{node}: {error}") from error
    output = builder.values[graph.output]
    if not isinstance(output, Data):
        raise ValueError(f"graph output {quoted(graph.output)} must be computed from the data")
    network = builder.network(name, shape, output)
    if not network.layers:
        raise ValueError("must have at least one layer, and passes its input on")
    return builder, network


def _without_weights(graph: Graph, builder: Builder, source: str) -> Any:
    """Return the model with weights as graph inputs: inference needs shapes, not megabytes."""
    slim = onnx.GraphProto(name="shapes")
    slim.node.extend(node.source for node in graph.nodes)
    for name, tensor in graph.initializers.items():
        if not graph.uses.get(name):
            continue
        value = builder.values[name]
        if isinstance(value, Constant) and value.content is not None:
            slim.initializer.append(tensor)
        slim.input.append(
            onnx.helper.make_tensor_value_info(name, tensor.data_type, list(tensor.dims))
        )
    for name in graph.consumed_inputs:
        slim.input.append(graph.inputs[name])
        if name == source:
            slim.input[-1].type.tensor_type.shape.dim[0].dim_value = builder.batch
    for node in graph.nodes:
        for name in node.outputs:
            if name in graph.value_infos and name != graph.output:
                slim.value_info.append(graph.value_infos[name])
    slim.output.append(graph.output_info)
    model = onnx.ModelProto(ir_version=8)
    model.opset_import.extend(graph.model.opset_import)
    model.graph.CopyFrom(slim)
    return model


def _confirm(graph: Graph, builder: Builder) -> None:
    """Compare every layer's shape with ONNX's own inference."""
    model = _without_weights(graph, builder, _data_input(graph))
    try:
        model = onnx.shape_inference.infer_shapes(
            model, check_type=True, strict_mode=True, data_prop=True
        )
    except Exception as error:
        # The inference is C++ and raises whatever it likes; all of it is about the file.
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(f"ONNX's shape inference refuses it: {quoted(lines[0], 240)}") from error
    inferred = {v.name: shape_of_type(v) for v in [*model.graph.value_info, *model.graph.output]}
    for node in graph.nodes:
        value, theirs = builder.values[node.outputs[0]], inferred.get(node.outputs[0])
        if isinstance(value, Constant) or theirs is None:
            continue
        ours = (builder.batch, *value.shape)
        if len(ours) != len(theirs) or any(
            b is not None and a != b for a, b in zip(ours, theirs, strict=True)
        ):
            raise ValueError(
                f"{node}: the output's shape must be ONNX's, {list(theirs)}, not {list(ours)}"
            )


def import_onnx(path: str | Path) -> Network:
    """Return the network that an ONNX file describes.

    The batch is dimension 0 and is dropped; it may be symbolic, and no other dimension may.

    Raises
    ------
    InputError
        When the file is missing, broken, too large, or no network this project knows. The one
        line names the file and, where there is one, the node.
    """
    path = Path(path)
    graph = read_graph(path)
    try:
        builder, network = _build(graph, path.stem)
        _confirm(graph, builder)
    except ValueError as error:
        raise InputError(f"{quoted(path, 200)}: {error}") from error
    return network
