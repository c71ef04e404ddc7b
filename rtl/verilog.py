"""Verilog of any component, and of a block with the files that go with it; the same bytes every
time.

Neither paths nor dates are written. Each kind of `rtl.hierarchy.SharedComponent` is one module.
"""

import itertools
import re
from collections.abc import Mapping
from pathlib import Path

from amaranth._toolchain.yosys import find_yosys  # the one that amaranth.back.verilog uses
from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, Const, Fragment, Value
from amaranth.lib import wiring

from golden.files import write_whole
from rtl.block_waivers import waivers
from rtl.blocks import make
from rtl.config import CoreConfig
from rtl.hierarchy import Emission, SharedComponent

__all__ = ["convert", "convert_modules", "emit_block", "write"]


def emit_block(block: str, config: CoreConfig) -> dict[str, str]:
    """Text of every file of one of `rtl.blocks.BLOCKS`: Verilog, file list, waivers.

    Raises
    ------
    InputError
        If there is no block of that name.
    """
    component = make(block, config)
    top = component.module_name if isinstance(component, SharedComponent) else f"eoq_{block}"
    return {
        f"{top}.v": convert(component, top),
        "files.f": f"{top}.vlt\n{top}.v\n",
        f"{top}.vlt": waivers(top),
    }


def write(texts: Mapping[str, str], directory: Path) -> list[Path]:
    """Write such texts into `directory`, made if need be; return the files.

    Each file appears whole or not at all.

    Raises
    ------
    OSError
        If the directory cannot be made or written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_whole(directory / name, text)
    return [directory / name for name in texts]


def convert(component: wiring.Component, name: str, *, separator: str = "__") -> str:
    """Verilog of any component as module `name`, with the shared modules it places.

    A `SharedComponent` keeps its own module name, and has no reset port. `separator` stands between
    the parts of a port's name.
    """
    return convert_modules(component, name, separator=separator)[0]


def convert_modules(
    component: wiring.Component, name: str, *, separator: str = "__"
) -> tuple[str, Mapping[str, SharedComponent]]:
    """As `convert`; with the shared modules by their names."""
    emission = Emission()
    if isinstance(component, SharedComponent):
        emission.modules[component.module_name] = component
        texts = []
    else:
        ports = {port: (value, None) for port, value in _ports(component, separator).items()}
        texts = [
            rtlil.convert(component, name=name, platform=emission, ports=ports, emit_src=False)
        ]
    # Emitting a shared component may bring in others (the element its multiplier).
    emitted: set[str] = set()
    while waiting := [name for name in emission.modules if name not in emitted]:
        for name in waiting:
            texts.append(_shared(emission, name))
            emitted.add(name)
    return _tidy(_to_verilog(_plain_names("\n".join(texts)))), emission.modules


def _shared(emission: Emission, name: str) -> str:
    """RTLIL of one shared module. Its clock domain has no reset, and so it has no `rst` port."""
    component = emission.modules[name]
    fragment = Fragment.get(component, emission)
    ports: dict[str, tuple[Value, None]] = {}
    if component.clocked:
        domain = ClockDomain("sync", reset_less=True)
        fragment.add_domains(domain)
        ports["clk"] = (domain.clk, None)
    ports |= {port: (value, None) for port, value in _ports(component).items()}
    return rtlil.convert_fragment(fragment, ports, name, emit_src=False)[0]


def _ports(component: wiring.Component, separator: str = "__") -> dict[str, Value]:
    """Ports by name. A stream that is always ready has no `ready`: it is a constant."""
    members = (
        (separator.join(map(str, path)), Value.cast(value))
        for path, _, value in component.signature.flatten(component)
    )
    return {name: value for name, value in members if not isinstance(value, Const)}


def _plain_names(text: str) -> str:
    """`text` with hierarchical module names in plain identifiers: eoq_core_controller."""
    dotted = re.compile(r"^(module|(?:  )*cell) \\([\w.]+)", re.MULTILINE)
    return dotted.sub(lambda match: f"{match[1]} \\{match[2].replace('.', '_')}", text)


def _to_verilog(text: str) -> str:
    yosys = find_yosys(lambda version: version >= (0, 40))
    script = [
        f"read_rtlil <<rtlil\n{text}\nrtlil",
        # Multiplexers, not processes: then opt_clean can drop the many names of one net, and no
        # simulator has to settle an `always @*` at time 0.
        "proc -norom",
        # Amaranth writes an expression out wherever it is used.
        "opt_merge",
        "opt_clean -purge",
        "memory_collect",
        # -noattr: attributes would carry source paths.
        "write_verilog -norename -noattr",
    ]
    # Warnings: Yosys always says that not every process can be written as Verilog; these can.
    return yosys.run(["-q", "-"], "\n".join(script), ignore_warnings=True)


def _tidy(text: str) -> str:
    """`text` with our first line, multiplexers in plain names, and the multiplier to be kept."""
    body = re.sub(r"\A/\*.*?\*/\s*", "", text, flags=re.DOTALL)
    body = re.sub(r"^module eoq_multiplier\b", "(* keep_hierarchy *)\n\\g<0>", body, flags=re.M)
    # Icarus takes a function whose name begins with $ for a system function, though it is escaped.
    body = re.sub(r"\\\$procmux\$(\w+) ", r"procmux_\1 ", body)
    body = _CONCATENATION.sub(_replication, _ZEROS.sub(_zero_loop, body))
    return f"// Generated by eoq rtl; do not edit.\n\n{body}"


_ZEROS = re.compile(
    r"^(  reg [^;\n]* (\w+) \[(\d+):0\];\n)"
    r"  initial begin\n(?:    \2\[\d+\] = \d+'[hd]0+;\n)+  end\n",
    flags=re.MULTILINE,
)
"""A memory of zeros, a line a word."""


_CONCATENATION = re.compile(r"\{ ([^{}]+) \}")


def _replication(match: re.Match[str]) -> str:
    """Repeated parts of a concatenation, which are most of a wide one, as {n{part}}."""
    parts = []
    for part, group in itertools.groupby(match[1].split(", ")):
        count = len(list(group))
        written = ", ".join([part] * count)
        shorter = f"{{{count}{{{part}}}}}"
        parts.append(shorter if len(shorter) < len(written) else written)
    return f"{{ {', '.join(parts)} }}"


def _zero_loop(match: re.Match[str]) -> str:
    declaration, name, last = match.groups()
    loop = f"  initial for (zero = 0; zero <= {last}; zero = zero + 1) {name}[zero] = 0;\n"
    return f"{declaration}  integer zero;\n{loop}"
