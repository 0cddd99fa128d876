"""The judges' networks under this project's backbone names, with the same named stages.

Stages are `stem` (for ResNets with the max-pool), `layer1` … `layer4` (ResNets) or `stage1` … `stage7` and `head`
(mobile networks), and `avgpool` as [B, D].
"""

from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import nn

import efficientnet_lite0
import formula

DATA = Path(__file__).resolve().parents[2] / "data"
EMBEDDED_WEIGHTS = DATA / "weights" / "efficientnet-lite0.safetensors"
RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
SHORT_SIDE = 256
CROP = 224
STATISTICS_BATCHES = 4
STATISTICS_BATCH = 16
SEED = 1
# torchvision's MobileNetV2: first and last entry of `features` in each of its seven groups.
MOBILENET_V2_STAGES = [(1, 1), (2, 3), (4, 6), (7, 10), (11, 13), (14, 16), (17, 17)]


def build(name: str) -> nn.Module:
    """A network in evaluation mode with whatever weights its constructor gives it."""
    if name == "efficientnet-lite0":
        return efficientnet_lite0.EfficientNetLite0().eval()
    return getattr(torchvision.models, name.replace("-", "_"))(weights=None).eval()


def stages(name: str, model: nn.Module, x: torch.Tensor):
    """Yields (stage, activation) for a [B, 3, H, W] input."""
    if name == "efficientnet-lite0":
        yield from model.stages(x)
        return
    if name in RESNETS:
        x = model.maxpool(model.relu(model.bn1(model.conv1(x))))
        yield "stem", x
        for layer in ("layer1", "layer2", "layer3", "layer4"):
            x = getattr(model, layer)(x)
            yield layer, x
    else:
        x = model.features[0](x)
        yield "stem", x
        for number, (first, last) in enumerate(MOBILENET_V2_STAGES, start=1):
            x = model.features[first : last + 1](x)
            yield f"stage{number}", x
        x = model.features[18](x)
        yield "head", x
    yield "avgpool", x.mean((2, 3))


def features(name: str, model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The `avgpool` features, [B, D]."""
    return dict(stages(name, model, x))["avgpool"]


def halved_norms(model: nn.Module) -> list[str]:
    """Names of the scale of each residual block's last batch norm."""
    blocks = torchvision.models.resnet.BasicBlock, torchvision.models.resnet.Bottleneck
    names = []
    for prefix, module in model.named_modules():
        if isinstance(module, blocks):
            last = "bn2" if isinstance(module, torchvision.models.resnet.BasicBlock) else "bn3"
            names.append(f"{prefix}.{last}.weight")
        elif isinstance(module, torchvision.models.mobilenetv2.InvertedResidual) and module.use_res_connect:
            names.append(f"{prefix}.conv.{len(module.conv) - 1}.weight")
    return names


def fill_by_formula(model: nn.Module) -> dict[str, np.ndarray]:
    """Fills every tensor by `formula.weight`; returns name → f32 values."""
    halved = set(halved_norms(model))
    names = {n: tuple(t.shape) for n, t in model.state_dict().items() if not n.endswith("num_batches_tracked")}
    values = {name: formula.weight(name, shape, halved) for name, shape in names.items()}
    model.load_state_dict({name: torch.from_numpy(value) for name, value in values.items()}, strict=False)
    return values


def lived_in(name: str, pictures: list) -> torch.nn.Module:
    """Random weights; batch norm scales, shifts and statistics as a trained network has them."""
    torch.manual_seed(SEED)
    model = build(name)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.2)
            # The plain average of all batches, so that few are enough.
            module.momentum = None
    crop = torchvision.transforms.RandomResizedCrop(CROP, scale=(0.2, 1.0))
    model.train()
    with torch.no_grad():
        for _ in range(STATISTICS_BATCHES):
            chosen = torch.randint(len(pictures), (STATISTICS_BATCH,)).tolist()
            batch = [normalise(name, np.asarray(crop(pictures[index]))) for index in chosen]
            model(torch.stack(batch))
    return model.eval()


def normalise(name: str, pixels: np.ndarray) -> torch.Tensor:
    """[H, W, 3] u8 pixels to the [3, H, W] f32 input that the backbone's weights expect."""
    scaled = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)
    if name == "efficientnet-lite0":
        return (scaled - efficientnet_lite0.MEAN) / efficientnet_lite0.SCALE
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (scaled / 255.0 - mean) / std


def preprocess(name: str, picture) -> torch.Tensor:
    """A Pillow RGB picture to [3, 224, 224]: short side 256, centre crop, normalised."""
    transforms = torchvision.transforms
    pixels = transforms.CenterCrop(CROP)(transforms.Resize(SHORT_SIDE)(picture))
    return normalise(name, np.asarray(pixels))
