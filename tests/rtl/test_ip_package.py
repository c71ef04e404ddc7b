"""The core's files: pinned, reproducible, clean on every tool, and what they say is so."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cosim import tools
from rtl.config import CoreConfig
from rtl.instructions import Unit
from rtl.ip_package import package, ports
from rtl.register_map import REGISTERS
from rtl.verilog import write
from rtl.word_pages import words_markdown

PORTS_3X2 = """\
input clk
input rst
output irq
output m_axi_arvalid
input m_axi_arready
output m_axi_arid
output [39:0] m_axi_araddr
output [7:0] m_axi_arlen
output [2:0] m_axi_arsize
output [1:0] m_axi_arburst
input m_axi_rvalid
output m_axi_rready
input m_axi_rid
input [31:0] m_axi_rdata
input [1:0] m_axi_rresp
input m_axi_rlast
output m_axi_awvalid
input m_axi_awready
output m_axi_awid
output [39:0] m_axi_awaddr
output [7:0] m_axi_awlen
output [2:0] m_axi_awsize
output [1:0] m_axi_awburst
output m_axi_wvalid
input m_axi_wready
output [31:0] m_axi_wdata
output [3:0] m_axi_wstrb
output m_axi_wlast
input m_axi_bvalid
output m_axi_bready
input m_axi_bid
input [1:0] m_axi_bresp
input s_axil_awvalid
output s_axil_awready
input [7:0] s_axil_awaddr
input s_axil_wvalid
output s_axil_wready
input [31:0] s_axil_wdata
input [3:0] s_axil_wstrb
output s_axil_bvalid
input s_axil_bready
output [1:0] s_axil_bresp
input s_axil_arvalid
output s_axil_arready
input [7:0] s_axil_araddr
output s_axil_rvalid
input s_axil_rready
output [31:0] s_axil_rdata
output [1:0] s_axil_rresp
"""

SMALL = {"rows": 3, "columns": 2, "scratchpad_page_bytes": 1024, "results_page_depth": 64}


@pytest.fixture(scope="module")
def small() -> dict[str, str]:
    return package(CoreConfig(**SMALL))


def need(command: str) -> str:
    return str(tools.find(command).path)


def test_ports_of_the_top_are_pinned(small: dict[str, str]) -> None:
    top = re.search(r"^module eoq_core\(.*?^endmodule", small["eoq_core.v"], re.DOTALL | re.M)
    assert top
    found = re.findall(r"^  ((?:in|out)put .*);$", top[0], re.M)
    assert sorted(found) == sorted(PORTS_3X2.splitlines())


def test_the_port_map_lists_the_same_ports(small: dict[str, str]) -> None:
    table = [
        f"{direction} {name}" if bits == 1 else f"{direction} [{bits - 1}:0] {name}"
        for name, direction, bits, _ in ports(CoreConfig(**SMALL))
    ]
    assert sorted(table) == sorted(PORTS_3X2.splitlines())
    for line in table:
        assert f"| `{line.split()[-1]}` |" in small["ports.md"]


def test_there_is_one_module_of_each_kind(small: dict[str, str]) -> None:
    text = small["eoq_core.v"]
    for name in ("eoq_pe", "eoq_multiplier", "eoq_vector_lane", "eoq_results_column",
                 "eoq_scratchpad_page"):  # fmt: skip
        assert len(re.findall(rf"^module {name}\(", text, re.M)) == 1, name
    assert len(re.findall(r"^  eoq_pe \S+ \($", text, re.M)) == 6
    assert len(re.findall(r"^  eoq_vector_lane \S+ \($", text, re.M)) == 2
    assert "(* keep_hierarchy *)\nmodule eoq_multiplier(" in text
    modules = re.findall(r"^module (\S+) ?\(", text, re.M)
    assert len(modules) == len(set(modules))


@pytest.mark.parametrize("name", ["eoq_pe", "eoq_vector_lane", "eoq_results_column"])
def test_data_paths_have_no_reset(name: str, small: dict[str, str]) -> None:
    module = re.search(rf"^module {name}\(.*?^endmodule", small["eoq_core.v"], re.DOTALL | re.M)
    assert module
    assert "rst" not in module[0]


def test_memories_are_in_a_file_of_their_own_and_counted(small: dict[str, str]) -> None:
    kinds = {
        # 4 pages of 4 banks; 2 pages of 2 columns.
        "eoq_scratchpad_bank": (1024 // 4, 8, 16),
        "eoq_results_bank": (64, 32, 4),
        "eoq_scalar_file": (256, 48, 1),
        "eoq_loss_buffer": (64, 16, 1),
        "eoq_word_queue": (8, 152, 3),
        "eoq_program_queue": (32, 129, 1),
        "eoq_line_queue": (8, 32, 1),
    }
    assert sorted(re.findall(r"^module (\w+)\(", small["eoq_memories.v"], re.M)) == sorted(kinds)
    for name, (depth, width, instances) in kinds.items():
        assert f"module {name}(" not in small["eoq_core.v"]
        assert f"| `{name}` | {depth} | {width} | {instances} |" in small["memories.md"]
        assert re.search(rf"reg \[{width - 1}:0\] \w+ \[{depth - 1}:0\]", small["eoq_memories.v"])


@pytest.mark.slow
def test_emission_is_reproducible_in_another_process(small: dict[str, str], tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from rtl.config import CoreConfig;"
        "from rtl.ip_package import package; from rtl.verilog import write;"
        f"write(package(CoreConfig(**{SMALL!r})), Path(sys.argv[1]))"
    )
    environment = os.environ | {"PYTHONHASHSEED": "12345"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, env=environment)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == small


def test_no_path_and_no_date_is_written(small: dict[str, str]) -> None:
    for name, text in small.items():
        assert not re.search(r"\.py\b|/home|/usr|/tmp|site-packages|\b20\d\d-", text), name
        assert str(Path.cwd()) not in text, name


@pytest.mark.parametrize(
    "sizes",
    [
        SMALL,
        pytest.param({"rows": 1, "columns": 1}, marks=pytest.mark.slow),
        pytest.param(
            {"rows": 1, "columns": 5, "scratchpad_pages": 2, "scratchpad_page_bytes": 64,
             "results_pages": 4, "results_page_depth": 2, "loss_classes": 2},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"rows": 16, "columns": 16, "activation_bits": 9, "accumulator_bits": 24,
             "scratchpad_pages": 16, "scratchpad_page_bytes": 1 << 20},
            marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
def test_verilator_and_icarus_accept_it(sizes: dict[str, int], tmp_path: Path) -> None:
    verilator, iverilog = need("verilator"), need("iverilog")
    write(package(CoreConfig(**sizes)), tmp_path)
    for command in (
        [verilator, "--lint-only", "-Wall", "--quiet", "-F", "files.f"],
        [iverilog, "-g2012", "-Wall", "-Wno-timescale", "-t", "null", "eoq_core.v",
         "eoq_memories.v"],
    ):  # fmt: skip
        result = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
        )
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.slow
def test_every_waiver_is_needed_somewhere(tmp_path: Path) -> None:
    """Without one of them Verilator complains, on one of two cores."""
    verilator = need("verilator")
    folders = []
    for k, sizes in enumerate((SMALL, {"rows": 1, "columns": 1, "scratchpad_page_bytes": 1 << 20})):
        folders.append(tmp_path / str(k))
        write(package(CoreConfig(**sizes)), folders[-1])
    lines = (folders[0] / "eoq_core.vlt").read_text().splitlines()
    waivers = [k for k, line in enumerate(lines) if line.startswith("lint_off")]
    assert len(waivers) > 20

    def complaints(without: int) -> bool:
        for folder in folders:
            kept = [line for k, line in enumerate(lines) if k != without]
            (folder / "eoq_core.vlt").write_text("\n".join(kept) + "\n")
            done = subprocess.run(
                [verilator, "--lint-only", "-Wall", "--quiet", "-F", "files.f"],
                cwd=folder, capture_output=True, check=False,
            )  # fmt: skip
            if done.returncode:
                return True
        return False

    assert not complaints(-1)
    assert [lines[k] for k in waivers if not complaints(k)] == []


def test_yosys_accepts_it(small: dict[str, str], tmp_path: Path) -> None:
    write(small, tmp_path)
    code = (
        "from pyosys import libyosys as y; d = y.Design();"
        "y.run_pass('read_verilog eoq_core.v eoq_memories.v', d);"
        "y.run_pass('hierarchy -check -top eoq_core', d); y.run_pass('proc', d);"
        "y.run_pass('check -assert', d)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)


@pytest.mark.slow
def test_the_largest_core_is_less_than_a_megabyte() -> None:
    texts = package(CoreConfig(rows=32, columns=32))
    assert sum(len(text) for name, text in texts.items() if name.endswith(".v")) < 1_000_000


def test_registers_and_words_are_on_their_pages(small: dict[str, str]) -> None:
    assert all(f"`{name}`" in small["registers.md"] for name in REGISTERS)
    page = small["instructions.md"]
    assert page == words_markdown()
    for heading in ("2.1 Multiply", "3.1 Pass", "3.8 Loss", "4.2 Store", "1.1 End"):
        assert f"### {heading}\n" in page
    assert all(f"## {unit.name}\n" in page for unit in Unit)
    assert "| `a_base` | 47:24 | signed 24 | Address of byte 0 of line " in page
    assert "| 13 | CLAMP | golden.formats.clamp_exponent(a). |" in page
    # Every row of a table has as many cells as its head.
    for table in re.findall(r"(?:^\|.*\n)+", page, re.M):
        cells = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(cells) == 1, table


def test_the_documentation_has_the_same_page() -> None:
    page = Path(__file__).parents[2] / "docs" / "instructions.md"
    assert page.read_text() == words_markdown()
