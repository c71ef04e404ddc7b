"""A network by what the user typed: the name of a built-in one or the path of an ONNX file."""

from collections.abc import Sequence
from pathlib import Path

from golden.errors import InputError
from golden.network import Network
from golden.zoo import BUILT_IN

__all__ = ["load"]


def load(
    network: str | Path, *, input_shape: Sequence[int] | None = None, classes: int | None = None
) -> Network:
    """Return a built-in network, or the one an .onnx file describes.

    Parameters
    ----------
    network:
        A name of `golden.zoo.BUILT_IN`, or a path that ends in ".onnx".
    input_shape, classes:
        Shape of one sample and number of outputs. A built-in network is made for them, with its
        own defaults for what is None; a file must already agree.

    Raises
    ------
    InputError
        One line: the name is unknown, or the file cannot be used.
    """
    if isinstance(network, str) and network in BUILT_IN:
        options = {"input_shape": input_shape and tuple(input_shape), "classes": classes}
        return BUILT_IN[network](**{k: v for k, v in options.items() if v is not None})
    if Path(network).suffix.lower() != ".onnx":
        raise InputError(
            f"network must be one of {', '.join(BUILT_IN)} or a path that ends in .onnx, "
            f"not {str(network)[:200]!r}"
        )
    # Only files need onnx, which takes longer to import than all built-in networks to make.
    from golden.onnx_import import import_onnx

    result = import_onnx(network)
    if input_shape is not None and result.input_shape != tuple(input_shape):
        raise InputError(
            f"network {str(network)[:200]!r} must take samples of shape {tuple(input_shape)}, "
            f"not {result.input_shape}"
        )
    outputs = result.shape_of(result.output)
    if classes is not None and outputs[0] != classes:
        raise InputError(
            f"network {str(network)[:200]!r} must have {classes} outputs, not {outputs[0]}"
        )
    return result
