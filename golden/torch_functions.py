"""PyTorch's int8 product for compiled loops: functions of its C interface, by address.

Source: torch/csrc/inductor/aoti_torch/c/shim.h, an interface that PyTorch keeps stable for programs
compiled against it.
"""

import ctypes
from functools import cache
from pathlib import Path

__all__ = ["Functions", "torch_functions"]

Functions = tuple[int, int, int, int, int]
"""Addresses of what makes a tensor, lets go of it and multiplies; numbers of int8 and int32."""


@cache
def torch_functions() -> Functions | None:
    """Return them; None where PyTorch is not installed or has not all of them."""
    try:
        import torch

        (path,) = Path(torch.__file__).parent.glob("lib/libtorch_cpu.*")
        library = ctypes.CDLL(str(path))
        make, drop, multiply = (
            ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0
            for name in (
                "aoti_torch_create_tensor_from_blob",
                "aoti_torch_delete_tensor_object",
                "aoti_torch_cpu__int_mm_out",
            )
        )
        return (
            make,
            drop,
            multiply,
            library.aoti_torch_dtype_int8(),
            library.aoti_torch_dtype_int32(),
        )
    except (ImportError, OSError, ValueError, AttributeError):
        return None
