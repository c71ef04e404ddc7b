"""Does it fit? Against the footprint, batch by batch."""

import pytest

from golden import zoo
from golden.schemes import SCHEMES
from hwmodel.conventions import DEFAULT, Conventions
from hwmodel.cost import cost
from hwmodel.fit import BATCH_MAX, fit
from hwmodel.footprint import candidate_segments, footprint, peak, walk
from hwmodel.step import Step


def fits(network, scheme, batch, room):
    return peak(footprint(Step(network, scheme, batch))).total <= room


def fits_cut(network, scheme, batch, room):
    """Some cut that is tried holds the batch."""
    step = Step(network, scheme, batch, Conventions(recompute="segments"))
    return any(peak(walk(step, cut)).total <= room for cut in candidate_segments(step))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["mlp", "lenet5", "resnet8"])
@pytest.mark.parametrize("room", [30_001, 1 << 19, 3_000_017])
def test_the_largest_batch_fits_and_the_next_does_not(name, scheme, room):
    network, way = zoo.BUILT_IN[name](), SCHEMES[scheme]
    found = fit(network, way, 4, DEFAULT, room)
    assert found.fits == fits(network, way, 4, room)
    assert found.fits == (found.largest_batch >= 4)
    assert found.fits_recomputing == (found.largest_batch_recomputing >= 4)
    most = found.largest_batch
    assert not fits(network, way, most + 1, room)
    assert not most or fits(network, way, most, room)
    again = found.largest_batch_recomputing
    assert again >= most
    assert not again or fits_cut(network, way, again, room)
    assert not fits_cut(network, way, again + 1, room)


def test_there_is_an_end():
    assert fit(zoo.mlp(), SCHEMES["eoq"], 1, DEFAULT, 1 << 44).largest_batch == BATCH_MAX


def test_the_question_of_512_kib_has_an_answer():
    values = cost(zoo.resnet8(), "eoq").as_dict()["fit"]
    assert (values["memory"], values["bytes"], values["fits"]) == ("buffer", 1 << 19, True)
    assert cost(zoo.resnet8(), "fp32-bn").as_dict()["fit"]["fits"] is False
    assert cost(zoo.resnet18(), "eoq").as_dict()["fit"]["largest_batch_recomputing"] == 0
