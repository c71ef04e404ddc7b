"""The nine architectures that the onnx wheel ships, beside an independent counter."""

from pathlib import Path

import onnx
import pytest

from golden.networks import load
from golden.schemes import SCHEMES
from hwmodel.cost import cost
from hwmodel.ledger import macs_by_phase

MODELS = sorted((Path(onnx.__file__).parent / "backend/test/data/light").glob("*.onnx"))


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_every_model_is_priced_under_every_scheme(path):
    network = load(path)
    for scheme in SCHEMES:
        values = cost(network, scheme, 2).as_dict()
        assert values["macs"]["total"] > 0
        assert values["energy_j"]["nominal"] > 0
        if scheme == "eoq":
            assert values["normalization"]["sqrt"] == values["normalization"]["div"] == 0
            assert values["cycles"] > 0


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_forward_macs_are_those_of_onnx_tool(path):
    """onnx-tool counts one MAC more for each output that has a bias; we count an addition."""
    # Imported here: it takes a second, and no other test needs it.
    import onnx_tool

    graph = onnx_tool.Model(str(path)).graph
    graph.shape_infer()
    graph.profile()
    products = (node for node in graph.nodemap.values() if node.op_type in ("Conv", "Gemm"))
    theirs = sum(int(node.macs[0]) for node in products)

    rows = cost(load(path), "fp32-bn").rows
    weighted = {row.layer for row in rows if row.op == "mac"}
    biases = sum(
        row.count
        for row in rows
        if row.layer in weighted and (row.phase, row.op) == ("forward", "add")
    )
    assert theirs == macs_by_phase(rows)["forward"] + biases


def test_there_are_nine():
    assert len(MODELS) == 9
