"""Numbers made by formula, so that two languages get the same f32 values, bit for bit, without exchanging a file.

A stream of a name is splitmix64 seeded with FNV-1a (64 bit) of the name's UTF-8 bytes. With wrapping u64 arithmetic:

    seed = 0xcbf29ce484222325; for byte in name: seed = (seed ^ byte) * 0x100000001b3
    next():  state += 0x9e3779b97f4a7c15 (state starts as the seed)
             z = state
             z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
             z = (z ^ (z >> 27)) * 0x94d049bb133111eb
             return z ^ (z >> 31)
    u = (next() >> 11) as f64 * 2^-53 * 2 - 1        uniform in [-1, 1), exact in f64

Element i of a tensor (row-major) is the i-th `u` of the stream of the tensor's name put through one expression in f64 and
rounded once to f32. `fan_in` is the product of all dimensions but the first:

    rank 4 (convolution)            u * sqrt(6 / fan_in)
    rank 2 (classifier)             u * sqrt(1 / fan_in)
    `*.running_mean`                0.1 * u
    `*.running_var`                 1.0 + 0.5 * u
    rank 1, `*.bias`                0.1 * u
    rank 1, `*.weight`              1.0 + 0.2 * u
    the same, listed as `halved`    0.5 * (1.0 + 0.2 * u)

`halved` are the weights of the last batch norm of each residual block; without it activations grow from block to block.
An input of shape [1, 3, H, W] is `2 * u` of the stream `input`. A picture is, for each byte of its interleaved rows,
`next() >> 56` of the stream `image WxH`.
"""

import math

import numpy as np

GAMMA = np.uint64(0x9E3779B97F4A7C15)


def fnv1a64(name: str) -> int:
    """FNV-1a, 64 bit, of the UTF-8 bytes."""
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def splitmix64(name: str, count: int) -> np.ndarray:
    """The first `count` numbers of a name's stream, u64."""
    with np.errstate(over="ignore"):
        z = np.uint64(fnv1a64(name)) + GAMMA * np.arange(1, count + 1, dtype=np.uint64)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def uniform(name: str, count: int) -> np.ndarray:
    """The first `count` numbers of a name's stream as f64 in [-1, 1)."""
    return (splitmix64(name, count) >> np.uint64(11)).astype(np.float64) * 2.0**-53 * 2.0 - 1.0


def weight(name: str, shape: tuple[int, ...], halved: set[str]) -> np.ndarray:
    """The f32 tensor `name`; see the module's text for the expressions."""
    u = uniform(name, math.prod(shape))
    fan_in = math.prod(shape[1:])
    if len(shape) == 4:
        values = u * math.sqrt(6.0 / fan_in)
    elif len(shape) == 2:
        values = u * math.sqrt(1.0 / fan_in)
    elif name.endswith("running_var"):
        values = 1.0 + 0.5 * u
    elif name.endswith(("running_mean", "bias")):
        values = 0.1 * u
    else:
        values = 1.0 + 0.2 * u
        if name in halved:
            values = 0.5 * values
    return values.astype(np.float32).reshape(shape)


def network_input(height: int, width: int) -> np.ndarray:
    """A [1, 3, height, width] f32 input in [-2, 2)."""
    values = 2.0 * uniform("input", 3 * height * width)
    return values.astype(np.float32).reshape(1, 3, height, width)


def picture(width: int, height: int) -> np.ndarray:
    """A [height, width, 3] u8 picture of noise, which shows every difference between resize filters."""
    values = splitmix64(f"image {width}x{height}", height * width * 3) >> np.uint64(56)
    return values.astype(np.uint8).reshape(height, width, 3)
