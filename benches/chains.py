"""Peers that go from JPEG files to features. Each chain is made from a model and a number of threads; then it maps a folder to
an array. As a program, from its start to the array on disk:

    python benches/chains.py data_loader BACKBONE THREADS FOLDER OUT.npy
    python benches/chains.py decode_and_openvino MODEL.xml THREADS FOLDER OUT.npy
"""

import concurrent.futures
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torchvision.datasets import ImageFolder
from torchvision.io import ImageReadMode, decode_jpeg, read_file
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

import backbones
from backbones import networks

Features = Callable[[Path], np.ndarray]

BATCH = 32


def timed(features: Features, folder: Path) -> float:
    """Images a second of one pass over the files of a folder, features written."""
    started = time.perf_counter()
    values = features(folder)
    with tempfile.TemporaryFile() as file:
        np.save(file, values)
    return len(values) / (time.perf_counter() - started)


def data_loader(backbone: str, threads: int) -> Features:
    """PyTorch's DataLoader on an ImageFolder with the usual recipe, and the backbone in channels-last."""
    torch.set_num_threads(threads)
    model = backbones.Pooled(backbone).to(memory_format=torch.channels_last)
    steps = [v2.Resize(networks.SHORT_SIDE), v2.CenterCrop(networks.CROP), v2.PILToTensor()]
    steps += [v2.ToDtype(torch.float32, scale=True), v2.Normalize(networks.IMAGENET_MEAN, networks.IMAGENET_STD)]

    def features(folder: Path) -> np.ndarray:
        images = ImageFolder(folder, v2.Compose(steps))
        loader = torch.utils.data.DataLoader(images, batch_size=BATCH, num_workers=threads)
        with torch.inference_mode():
            batches = [model(batch.to(memory_format=torch.channels_last)) for batch, _ in loader]
        return torch.cat(batches).numpy()

    return features


def decode_and_openvino(model: str, threads: int) -> Features:
    """torchvision's `decode_jpeg` and tensor transforms, then OpenVINO; every thread takes its own files through both."""
    import openvino as ov
    from openvino.preprocess import PrePostProcessor

    # Each thread's own work is serial already.
    torch.set_num_threads(1)
    model = ov.Core().read_model(model)
    model.reshape([1, 3, networks.CROP, networks.CROP])
    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NCHW"))
    scale = [255 * value for value in networks.IMAGENET_STD]
    mean = [255 * value for value in networks.IMAGENET_MEAN]
    steps.input().preprocess().convert_element_type(ov.Type.f32).mean(mean).scale(scale)
    compiled = ov.Core().compile_model(steps.build(), "CPU", backbones.openvino_settings(threads))
    local = threading.local()

    def feature(path: Path) -> np.ndarray:
        if not hasattr(local, "request"):
            local.request = compiled.create_infer_request()
        image = decode_jpeg(read_file(str(path)), ImageReadMode.RGB)
        image = functional.resize(image, networks.SHORT_SIDE, antialias=True)
        image = functional.center_crop(image, networks.CROP)
        return local.request.infer({0: image[None].numpy()}, share_inputs=True)[0][0].copy()

    pool = concurrent.futures.ThreadPoolExecutor(threads)

    def features(folder: Path) -> np.ndarray:
        return np.stack(list(pool.map(feature, sorted(folder.rglob("*.jpg")))))

    return features


CHAINS = {chain.__name__: chain for chain in (data_loader, decode_and_openvino)}


def warm(chain: str, model: str, threads: int) -> Callable[[Path], float]:
    """A measurement, folder → images a second, of a chain that is ready."""
    return partial(timed, CHAINS[chain](model, threads))


def main() -> int:
    chain, model, threads, folder, out = sys.argv[1:]
    np.save(out, CHAINS[chain](model, int(threads))(Path(folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
