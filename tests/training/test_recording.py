"""Work that is done again and again, recorded and not."""

from itertools import count, islice

import pytest
import torch

from tests.gpu import gpu
from tests.training.recorded import Recorded, Watched
from unetsearch.data.load import load_data
from unetsearch.space.recipe import Recipe
from unetsearch.space.settings import DataSettings
from unetsearch.training.batches import TOGETHER, batches, beside
from unetsearch.training.device_data import on_device
from unetsearch.training.recording import GRAPHS, WARM_UP, CudaGraphs, Repeated, recorder

CPU = torch.device("cpu")
CALLS = WARM_UP + 4


@pytest.mark.parametrize("record", [None, Recorded(), Recorded(waits=True)], ids=["never", "recorded", "waits"])
def test_repeated_work_gives_what_the_function_gives(record):
    repeated = Repeated(CPU, record)
    for number in range(CALLS):
        given = repeated(lambda one, other: one + 2 * other, torch.full((3,), float(number)), torch.ones(3))
        assert given.tolist() == [number + 2.0] * 3
    if record is not None:
        assert (record.warmed, record.recorded) == (WARM_UP, 1), "never tried twice"
        assert record.replays == (0 if record.waits else CALLS - WARM_UP - 1)


def test_recorded_work_reads_where_it_read_before():
    places = []
    repeated = Repeated(CPU, Recorded())
    for _ in range(CALLS):
        repeated(lambda tensor: places.append(tensor.data_ptr()), torch.ones(3))
    assert len(places) == CALLS
    assert len(set(places)) == 1


def test_what_a_recording_would_give_is_not_given_before_it_is_replayed():
    """As on CUDA: the work is done while it is watched, then recorded without being done, and then replayed."""

    class Captured(Recorded):
        def record(self, work):
            work()
            work()
            return lambda: None

    numbers = count()
    repeated = Repeated(CPU, Captured())
    given = [repeated(lambda _: next(numbers), torch.ones(3)) for _ in range(WARM_UP + 3)]
    assert given == [*range(WARM_UP + 1), WARM_UP + 1, WARM_UP + 1]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("set it to 0")])
def test_what_cannot_be_recorded_ends_the_work(error):
    """After that a device may be in no state to go on."""

    class Failing(Recorded):
        def record(self, _):
            raise error

    repeated = Repeated(CPU, Failing())
    for _ in range(WARM_UP):
        repeated(torch.clone, torch.ones(3))
    with pytest.raises(type(error), match=str(error)):
        repeated(torch.clone, torch.ones(3))


def test_work_is_recorded_on_cuda_where_that_is_not_switched_off(monkeypatch):
    assert recorder(CPU) is None
    monkeypatch.setenv(GRAPHS, "0")
    assert recorder(torch.device("cuda")) is None
    if torch.cuda.is_available():
        monkeypatch.delenv(GRAPHS)
        assert isinstance(recorder(torch.device("cuda")), CudaGraphs)


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("strength", [0.0, 1.0])
@pytest.mark.parametrize("place", ["cpu", pytest.param("cuda", marks=[pytest.mark.cuda, gpu])])
def test_recorded_batches_are_those_that_are_not(place, strength, stored):
    device = torch.device(place)
    data = on_device(load_data(DataSettings(path="cells")), device, limit=0 if stored else 1e9)
    recipe = Recipe(crop=32, batch_size=4, augmentation=strength, weight_map=True)
    record = Recorded() if place == "cpu" else Watched(device)
    made, plain = (batches(data.separated, recipe, 1, 3, record=each) for each in (record, None))
    for one, other in islice(zip(made, plain, strict=True), TOGETHER * CALLS):
        torch.testing.assert_close(one.images, other.images, atol=1e-4, rtol=1e-4)
        assert torch.equal(one.masks, other.masks)
        assert torch.equal(one.weights, other.weights)
    assert record.recorded == (0 if stored and not strength else 1), "else there is nothing to be done on the device"


@pytest.mark.cuda
@gpu
@pytest.mark.parametrize("graphs", ["0", "1"])
def test_batches_made_beside_the_steps_are_the_same(graphs, monkeypatch):
    """However long a step takes that reads them."""
    monkeypatch.setenv(GRAPHS, graphs)
    device = torch.device("cuda")
    source = on_device(load_data(DataSettings(path="cells")), device).train
    recipe = Recipe(crop=32, batch_size=4, augmentation=1.0)
    made = beside(batches(source, recipe, 1, record=recorder(device)), device)
    step: Repeated[torch.Tensor] = Repeated(device, recorder(device))
    read = []
    for batch in islice(made, 2 * TOGETHER * CALLS):
        torch.cuda._sleep(10**7)
        read.append(step(torch.clone, batch.images).clone())
    for images, batch in zip(read, batches(source, recipe, 1), strict=False):
        torch.testing.assert_close(images, batch.images, atol=1e-4, rtol=1e-4)


@pytest.mark.cuda
@gpu
@pytest.mark.parametrize(
    "waiting", [lambda x: x * x.sum().item(), lambda x: x[x > 0], lambda x: x + torch.ones(4).cuda()]
)
def test_work_that_waits_for_a_gpu_is_not_recorded_and_the_next_one_is(waiting):
    device = torch.device("cuda")
    for function, replayed in ((waiting, False), (lambda x: x * 2, True)):
        record = Watched(device)
        repeated = Repeated(device, record)
        for number in range(CALLS):
            tensor = torch.full((4,), 1.0 + number)
            torch.testing.assert_close(repeated(function, tensor), function(tensor.cuda()))
        assert (record.recorded, record.given_up) == (int(replayed), int(not replayed))
