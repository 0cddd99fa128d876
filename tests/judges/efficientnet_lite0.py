"""EfficientNet-Lite0 in PyTorch, written from its published description, to judge another implementation by.

Tensor names are those of the weights file: `_conv_stem`, `_bn0`, `_blocks.N.{_expand_conv,_bn0,_depthwise_conv,_bn1,
_project_conv,_bn2}`, `_conv_head`, `_bn1`, `_fc`. Convolutions have no bias and TensorFlow's "same" padding: the output is
ceil(input / stride) wide, and of an odd total the larger half goes to the bottom and right. Batch norm epsilon 1e-3, ReLU6
everywhere but after a block's projection; no squeeze-excitation.
"""

import torch
from torch import nn
from torch.nn import functional

EPSILON = 1e-3
# (blocks, kernel, stride of the first block, expansion, output channels) of each stage.
STAGES = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
]
STEM_CHANNELS = 32
FEATURES = 1280
CLASSES = 1000
# What the weights expect: RGB bytes to (pixel - 127) / 128, short side 256, centre crop 224.
MEAN = 127.0
SCALE = 128.0


class SameConv(nn.Conv2d):
    """A convolution without bias, padded as TensorFlow's "same"."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        (down, right), (kernel, _), (stride, _) = x.shape[2:], self.kernel_size, self.stride
        totals = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in (right, down)]
        padding = [part for total in totals for part in (total // 2, total - total // 2)]
        return super().forward(functional.pad(x, padding))


def norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=EPSILON)


class Block(nn.Module):
    """Inverted residual: expand 1x1, depthwise, project 1x1; skipped around where shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        inner = inputs * expansion
        if expansion != 1:
            self._expand_conv = SameConv(inputs, inner, 1)
            self._bn0 = norm(inner)
        self._depthwise_conv = SameConv(inner, inner, kernel, stride, groups=inner)
        self._bn1 = norm(inner)
        self._project_conv = SameConv(inner, outputs, 1)
        self._bn2 = norm(outputs)
        self.expands = expansion != 1
        self.skips = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.skips else y


class EfficientNetLite0(nn.Module):
    """`forward` maps [B, 3, H, W] to [B, 1000] logits; `stages` yields every named stage on the way."""

    def __init__(self):
        super().__init__()
        self._conv_stem = SameConv(3, STEM_CHANNELS, 3, stride=2)
        self._bn0 = norm(STEM_CHANNELS)
        self._blocks = nn.ModuleList()
        inputs = STEM_CHANNELS
        for count, kernel, first_stride, expansion, outputs in STAGES:
            for index in range(count):
                stride = first_stride if index == 0 else 1
                self._blocks.append(Block(inputs, outputs, kernel, stride, expansion))
                inputs = outputs
        self._conv_head = SameConv(inputs, FEATURES, 1)
        self._bn1 = norm(FEATURES)
        self._fc = nn.Linear(FEATURES, CLASSES)

    def stages(self, x: torch.Tensor):
        """Yields (name, activation): stem, stage1 … stage7, head, and avgpool as [B, 1280]."""
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        yield "stem", x
        blocks = iter(self._blocks)
        for number, (count, *_) in enumerate(STAGES, start=1):
            for _ in range(count):
                x = next(blocks)(x)
            yield f"stage{number}", x
        x = functional.relu6(self._bn1(self._conv_head(x)))
        yield "head", x
        yield "avgpool", x.mean((2, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = dict(self.stages(x))["avgpool"]
        return self._fc(features)


def load(path, dtype: torch.dtype = torch.float32) -> EfficientNetLite0:
    """Loads a safetensors file in whatever precision it is, ready to evaluate in `dtype`."""
    from safetensors.torch import load_file

    model = EfficientNetLite0()
    state = {name: tensor.to(dtype) for name, tensor in load_file(path).items()}
    missing, unexpected = model.to(dtype).load_state_dict(state, strict=False)
    wrong = [name for name in missing if not name.endswith("num_batches_tracked")] + unexpected
    if wrong:
        raise SystemExit(f"{path}: missing or unexpected tensors: {', '.join(wrong)}")
    return model.eval()
