"""Peers that run a backbone on tensors in memory: each function returns a measurement, seconds → images a second."""

import io
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "judges"))
import efficientnet_lite0
import networks

Measure = Callable[[float], float]

TORCH_BATCH = 32
# OpenVINO is given the batch that is the fastest in a short trial.
OPENVINO_BATCHES = (1, 4, 16)
TRIAL_SECONDS = 1.5
CALIBRATION_IMAGES = 32


class Pooled(torch.nn.Module):
    """A backbone up to its pooled features: random weights (embedded ones for EfficientNet-Lite0)."""

    def __init__(self, backbone: str):
        super().__init__()
        torch.manual_seed(networks.SEED)
        self.backbone = backbone
        if backbone == "efficientnet-lite0":
            self.model = efficientnet_lite0.load(networks.EMBEDDED_WEIGHTS)
        else:
            self.model = networks.build(backbone)
        self.eval()

    def forward(self, x):
        return networks.features(self.backbone, self.model, x)


def write_weights(backbone: str, path: Path) -> None:
    """Writes the weights of `Pooled` as our own program reads them."""
    save_file(Pooled(backbone).model.state_dict(), path)


def pixels(batch: int) -> np.ndarray:
    generator = np.random.default_rng(networks.SEED)
    return generator.standard_normal((batch, 3, networks.CROP, networks.CROP), dtype=np.float32)


def repeat(step: Callable[[], None], images: int, seconds: float) -> float:
    """Images a second of a step that takes so many."""
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        step()
        done += images
    return done / (time.perf_counter() - started)


def pytorch(backbone: str, threads: int) -> Measure:
    """Eager, channels last, as users write it."""
    torch.set_num_threads(threads)
    model = Pooled(backbone).to(memory_format=torch.channels_last)
    batch = torch.from_numpy(pixels(TORCH_BATCH)).to(memory_format=torch.channels_last)

    def step():
        with torch.inference_mode():
            model(batch)

    return lambda seconds: repeat(step, TORCH_BATCH, seconds)


def onnx_runtime(backbone: str, threads: int) -> Measure:
    """All graph optimisations, one session on all threads."""
    import onnxruntime

    file = io.BytesIO()
    torch.onnx.export(Pooled(backbone), torch.from_numpy(pixels(TORCH_BATCH)), file, input_names=["x"], dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    batch = pixels(TORCH_BATCH)
    return lambda seconds: repeat(lambda: session.run(None, {"x": batch}), TORCH_BATCH, seconds)


def openvino_model(backbone: str, precision: str):
    """The backbone for OpenVINO, any batch; int8 by NNCF with its default preset."""
    import nncf
    import openvino

    shape = [-1, 3, networks.CROP, networks.CROP]
    model = openvino.convert_model(Pooled(backbone), example_input=torch.from_numpy(pixels(1)), input=[shape])
    if precision == "int8":
        logging.getLogger("nncf").setLevel(logging.ERROR)
        sample = [image[None] for image in pixels(CALIBRATION_IMAGES)]
        model = nncf.quantize(model, nncf.Dataset(sample), subset_size=len(sample))
    return model


def write_openvino(backbone: str, precision: str, path: Path) -> None:
    """Writes what `openvino_model` gives, numbers as they are."""
    import openvino

    openvino.save_model(openvino_model(backbone, precision), path, compress_to_fp16=False)


def openvino_settings(threads: int) -> dict:
    """Throughput, every thread a stream of its own."""
    return {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
    }


def openvino(backbone: str, threads: int, precision: str) -> Measure:
    """Asynchronous requests on as many streams as threads."""
    import openvino as ov

    model = openvino_model(backbone, precision)

    def prepared(batch: int) -> Measure:
        model.reshape([batch, 3, networks.CROP, networks.CROP])
        compiled = ov.Core().compile_model(model, "CPU", openvino_settings(threads))
        queue = ov.AsyncInferQueue(compiled, 2 * threads)
        data = pixels(batch)

        def measure(seconds: float) -> float:
            done, started = 0, time.perf_counter()
            while time.perf_counter() - started < seconds:
                queue.start_async({0: data}, share_inputs=True)
                done += batch
            queue.wait_all()
            return done / (time.perf_counter() - started)

        return measure

    candidates = [prepared(batch) for batch in OPENVINO_BATCHES]
    for measure in candidates:
        measure(TRIAL_SECONDS)
    return max(candidates, key=lambda measure: measure(TRIAL_SECONDS))
