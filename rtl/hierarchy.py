"""One module instantiated many times: as a submodule for the simulator, as an Instance for Verilog.

Amaranth writes a module for every submodule object, so an 8x8 array would become 64 copies of one
processing element and take minutes to synthesise; its simulator, on the other hand, cannot run an
Instance. `place` chooses by the platform, and `rtl.verilog` emits each placed kind once.
"""

from typing import Any, ClassVar

from amaranth.hdl import ClockSignal, Instance, Module, Value
from amaranth.lib import wiring

__all__ = ["Emission", "SharedComponent", "place"]


class SharedComponent(wiring.Component):
    """A component that is emitted as one Verilog module however often it is placed.

    It must not reset anything: its registers are datapath, with ``reset_less=True``, and its module
    has no reset port. Its ports are plain values, not streams.

    Attributes
    ----------
    module_name:
        Name of the Verilog module. One design has one set of parameters for each name.
    clocked:
        Whether the module has a `clk` port.
    """

    module_name: ClassVar[str]
    clocked: ClassVar[bool] = True


class Emission:
    """Platform of a Verilog emission: collects the shared modules that were placed.

    Attributes
    ----------
    modules:
        One component for each module name, in the order of first use.
    """

    def __init__(self) -> None:
        self.modules: dict[str, SharedComponent] = {}
        self._parameters: dict[str, dict[str, Any]] = {}

    def share(self, kind: type[SharedComponent], parameters: dict[str, Any]) -> SharedComponent:
        """Return the one component to emit for this kind.

        Raises
        ------
        ValueError
            If its module name already stands for other parameters.
        """
        name = parameters.get("module_name") or kind.module_name
        if name not in self.modules:
            self.modules[name] = kind(**parameters)
            self._parameters[name] = parameters
        if self._parameters[name] != parameters:
            raise ValueError(
                f"{name} must have the parameters {self._parameters[name]!r} everywhere in a "
                f"design, not {parameters!r}"
            )
        return self.modules[name]


def place(
    m: Module, platform: object, name: str, kind: type[SharedComponent], **parameters: Any
) -> Any:
    """Add a `kind(**parameters)` to `m` under `name`; return what has its ports as attributes."""
    if not isinstance(platform, Emission):
        m.submodules[name] = component = kind(**parameters)
        return component
    shared = platform.share(kind, parameters)
    ports = shared.signature.create(path=(name,))
    connections: dict[str, Any] = {}
    for path, member, value in shared.signature.flatten(ports):
        direction = "i" if member.flow == wiring.In else "o"
        connections[f"{direction}_{'__'.join(map(str, path))}"] = Value.cast(value)
    if shared.clocked:
        connections["i_clk"] = ClockSignal()
    m.submodules[name] = Instance(shared.module_name, **connections)
    return ports
