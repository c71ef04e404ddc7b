"""A `Network` from a torch.nn.Module, with every shape confirmed by torch's own.

The module is traced symbolically (torch.fx), which runs its `forward` once on stand-ins: it is the
caller's own code, and no text or file is evaluated. Weights are not read. torch is an extra
(`pip install eoqkit[torch]`); only this file and `golden.torch_operators` need it.
"""

import copy
import sys
from collections.abc import Sequence
from typing import Any

from golden.errors import InputError
from golden.network import (
    Add,
    Concat,
    Flatten,
    GlobalAveragePool,
    Multiply,
    Network,
    Operator,
    Reshape,
    Shape,
)

__all__ = ["import_torch"]

_SAMPLES = 3
"""Batch for torch's shapes: a normalisation refuses one sample, and two are a common size."""


def import_torch(module: Any, input_shape: Sequence[int], name: str = "") -> Network:
    """Return the network that a module computes.

    Parameters
    ----------
    module:
        Its `forward` takes one tensor, (batch, *input_shape), and returns one.
    input_shape:
        Of one sample: (channels, height, width) or (features,).
    name:
        By default that of the module's class.

    Raises
    ------
    InputError
        One line: it is no module, it cannot be traced, or which part of it has no operator here.
    """
    # Who has a module has imported torch: without it this is something else.
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(module, torch.nn.Module):
        extra = "" if torch else " (the extra eoqkit[torch])"
        raise InputError(
            "network must be a built-in name, a path that ends in .onnx, a Network or a "
            f"torch.nn.Module{extra}, not {type(module).__name__}"
        )
    name = name or type(module).__name__
    # Refuses a shape that no tensor can have before torch is asked for it.
    network = Network(name, input_shape)
    where = f"PyTorch module {name!r}"
    graph = _Trace(module, network.input_shape, where)
    for node in graph.nodes:
        graph.add(node, network)
    return network


class _Trace:
    """A traced module: its nodes in order, and the layer that stands for each tensor."""

    def __init__(self, module: Any, shape: Shape, where: str) -> None:
        import torch

        self._where = where
        try:
            self._graph = torch.fx.symbolic_trace(module)
        except Exception as error:  # whatever a forward of somebody's raises
            raise InputError(f"{where}: requires a forward pass that torch.fx can trace, "
                             f"got: {_line(error)}") from error  # fmt: skip
        try:
            self._shapes = _torch_shapes(self._graph, shape)
        except Exception as error:
            raise InputError(f"{where}: torch must accept samples of shape {shape}, "
                             f"got: {_line(error)}") from error  # fmt: skip
        self._modules = dict(self._graph.named_modules())
        self._called: set[str] = set()
        self._layers: dict[Any, str] = {}
        self.nodes = self._needed(shape)

    def _needed(self, shape: Shape) -> list[Any]:
        """Nodes between the one input and the one output."""
        nodes = list(self._graph.graph.nodes)
        output = nodes[-1].args[0]
        if not hasattr(output, "op"):
            raise InputError(f"{self._where}: requires one tensor as its output, got {output!r}")
        needed = {output}
        for node in reversed(nodes):
            if node in needed:
                needed.update(node.all_input_nodes)
        inputs = [node for node in nodes if node.op == "placeholder" and node in needed]
        if len(inputs) != 1:
            raise InputError(f"{self._where}: requires one input, got {len(inputs)}")
        self._layers[inputs[0]] = "input"
        return [n for n in nodes if n in needed and n.op != "placeholder" and self._shape(n)]

    def add(self, node: Any, network: Network) -> None:
        """Append the layer of one node; the message of an error names the node."""
        label = node.target if node.op == "call_module" else node.name
        what = f"{self._where}, {label!r}"
        try:
            operators, sources = self._operators(node)
            layer = sources[0]
            for operator in operators:
                layer = network.add(_fresh(network, str(label)), operator, *sources)
                sources = [layer]
        except ValueError as error:
            raise InputError(f"{what}: {_line(error)}") from error
        found, wanted = network.shape_of(layer), self._shape(node)
        if (_SAMPLES, *found) != wanted:
            raise InputError(f"{what}: torch has the shape {wanted[1:]} a sample (batch "
                             f"{wanted[0]} of {_SAMPLES}), and the network {found}")  # fmt: skip
        self._layers[node] = layer

    def _operators(self, node: Any) -> tuple[list[Operator], list[str]]:
        """Return a node's operators, one behind the other, and the layers that it reads."""
        from golden import torch_operators as table

        if node.op == "call_module":
            return self._module(node, self._modules[node.target])
        if node.op == "get_attr":
            raise ValueError("a tensor of the module's own must belong to a layer that is known")
        target, (first, *rest) = node.target, node.args or (None,)
        if target in table.CONCATENATIONS:
            axis = rest[0] if rest else node.kwargs.get("dim", 0)
            operands = first if first is not None else node.kwargs["tensors"]
            sources = [self._layer(operand) for operand in operands]
            axis %= len(self._shape(operands[0]))
            if not axis:
                raise ValueError("tensors must not be joined along the batch")
            return [Concat(axis - 1)], sources
        if target in table.ADDITIONS or target in table.PRODUCTS:
            if set(node.kwargs) - {"other"} or len(node.args) > 2:
                raise ValueError("a sum must have no factor (alpha)")
            other = rest[0] if rest else node.kwargs.get("other")
            kind = Add() if target in table.ADDITIONS else Multiply()
            return [kind], [self._layer(first), self._layer(other)]
        source = [self._layer(first)]
        if target in table.FUNCTIONS:
            module = table.as_module(target, tuple(rest), node.kwargs)
            return _some(table.MODULES[type(module)](module, self._shape(first)[1:])), source
        if target in table.RESHAPES:
            return _some(_reshape(self._shape(first), self._shape(node))), source
        if target in table.MEANS:
            return self._mean(node, first), source
        if target in table.PASSED:
            return [], source
        raise ValueError(_unknown("function", getattr(target, "__name__", str(target))))

    def _module(self, node: Any, module: Any) -> tuple[list[Operator], list[str]]:
        from golden.torch_operators import MODULES

        if type(module) not in MODULES:
            raise ValueError(_unknown("module", type(module).__name__))
        if any(True for _ in module.parameters()):
            if node.target in self._called:
                raise ValueError("a layer with weights must be called once; sharing has no cost")
            self._called.add(node.target)
        source = node.args[0] if node.args else next(iter(node.kwargs.values()))
        layer = self._layer(source)
        return _some(MODULES[type(module)](module, self._shape(source)[1:])), [layer]

    def _mean(self, node: Any, source: Any) -> list[Operator]:
        """Of the whole plane; without keepdim what is left is a vector."""
        dims = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
        rank = len(self._shape(source))
        axes = sorted(d % rank for d in dims) if isinstance(dims, tuple | list) else []
        if axes != [2, 3] or rank != 4:
            raise ValueError(f"a mean must be of height and width, not of {dims}")
        return [GlobalAveragePool(), *([] if len(self._shape(node)) == 4 else [Flatten()])]

    def _shape(self, node: Any) -> Shape:
        """Shape that torch gives a node, with the batch; () where it is no tensor."""
        return self._shapes.get(node, ())

    def _layer(self, operand: Any) -> str:
        try:
            return self._layers[operand]
        except (KeyError, TypeError):
            raise ValueError(
                f"every operand must depend on the network's input, and {str(operand)[:40]} does "
                "not"
            ) from None


def _torch_shapes(graph: Any, shape: Shape) -> dict[Any, Shape]:
    """Shape that torch gives each node that is a tensor, with the batch; nothing is computed."""
    import torch

    shapes: dict[Any, Shape] = {}

    class Shapes(torch.fx.Interpreter):
        def run_node(self, n: Any) -> Any:
            result = super().run_node(n)
            if isinstance(result, torch.Tensor):
                shapes[n] = tuple(result.shape)
            return result

    # A copy whose tensors have shapes and no values: neither memory nor the module's own changes.
    hollow: dict[int, Any] = {}
    for tensor in (*graph.parameters(), *graph.buffers()):
        empty = torch.empty_like(tensor, device="meta")
        if isinstance(tensor, torch.nn.Parameter):
            empty = torch.nn.Parameter(empty, requires_grad=tensor.requires_grad)
        hollow[id(tensor)] = empty
    twin = copy.deepcopy(graph, hollow)
    with torch.no_grad():
        Shapes(twin).run(torch.empty(_SAMPLES, *shape, device="meta"))
    names = {node.name: found for node, found in shapes.items()}
    return {node: names[node.name] for node in graph.graph.nodes if node.name in names}


def _some(operator: Operator | None) -> list[Operator]:
    return [] if operator is None else [operator]


def _reshape(source: Shape, target: Shape) -> Operator | None:
    if target[0] != source[0]:
        raise ValueError(f"the batch must stay dimension 0, and {source} becomes {target}")
    if target == source:
        return None
    return Flatten() if len(target) == 2 else Reshape(target[1:])


def _unknown(kind: str, name: str) -> str:
    return f"requires an operator of golden.network, got the {kind} {name}"


def _line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return (text[0] if text else type(error).__name__)[:200]


def _fresh(network: Network, name: str) -> str:
    """Return the name, or with a number behind it if it is taken."""
    wanted, count = name, 1
    while name == "input" or name in network.layers:
        count += 1
        name = f"{wanted}_{count}"
    return name
