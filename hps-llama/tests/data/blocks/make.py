"""Writes blocks.safetensors beside itself: blocks and what gguf-py and bitsandbytes make of them. See README.md."""

import json
import pathlib
import struct

import bitsandbytes
import bitsandbytes.functional as four_bit
import gguf
import numpy as np
import torch

random = np.random.default_rng(20261130)
tensors = {}


def keep(name, array):
    tensors[name] = np.ascontiguousarray(array)


# --- ggml's blocks -----------------------------------------------------------------------------------------------------

# f16 by their bits: zeros, subnormals, the smallest normal one, the largest, each with both signs.
SPECIAL = [0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x83FF, 0x0400, 0x7BFF, 0xFBFF, 0x3C00, 0xBC00]
# Where the f16 of a block lie.
HALVES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
}  # fmt: skip

for name, places in HALVES.items():
    kind = gguf.GGMLQuantizationType[name]
    length, size = gguf.GGML_QUANT_SIZES[kind]
    count = 32 if length == 32 else 13
    blocks = random.integers(0, 256, (count, size), dtype=np.uint8)
    for place in places:
        scales = random.integers(0, 1 << 16, count, dtype=np.uint16)
        scales[scales & 0x7C00 == 0x7C00] ^= 0x4000
        special = random.permutation(SPECIAL)
        scales[: len(special)] = special
        blocks[:, place : place + 2] = scales[:, None].view(np.uint8)
    # Where all codes are the least, and the greatest.
    codes = [i for i in range(size) if all(i not in (place, place + 1) for place in places)]
    blocks[-2, codes] = 0
    blocks[-1, codes] = 255
    keep(f"{name.lower()}.blocks", blocks)
    keep(f"{name.lower()}.numbers", gguf.quants.dequantize(blocks, kind))

numbers = random.standard_normal((60, 32)).astype(np.float32)
numbers[:20] *= np.float32(10) ** random.integers(-6, 6, (20, 1)).astype(np.float32)
numbers[20] = 0
numbers[21] = -0.0
# The largest is 127, so the scale is 1 and halves are ties.
numbers[22] = np.arange(32, dtype=np.float32) * 4 - 60.5
numbers[22, 5] = 127
numbers[23] = -numbers[22]
# Just beside a half, where adding a half rounds up in f32.
numbers[24] = np.nextafter(np.float32(0.5), np.float32(0))
numbers[24, 0] = 127
# Scales that are subnormal as f16, round to 0 as f16, and are subnormal as f32.
numbers[25] *= 1e-5 / np.abs(numbers[25]).max()
numbers[26] *= 1e-7 / np.abs(numbers[26]).max()
numbers[27] *= 1e-36 / np.abs(numbers[27]).max()
numbers[28] *= 8e6 / np.abs(numbers[28]).max()
keep("q8_0.quantised_of", numbers)
keep("q8_0.quantised", gguf.quants.quantize(numbers, gguf.GGMLQuantizationType.Q8_0))

# --- bitsandbytes' 4-bit types -----------------------------------------------------------------------------------------

weights = random.standard_normal(1317).astype(np.float32) * np.float32(0.02)
weights[64:128] = 0
weights[128:192] *= 1e-37
weights[192:256] *= 1e-42 / 0.02
for kind, at in [("nf4", 256), ("fp4", 320)]:
    # A block whose largest is 1, with the middles between all neighbours and what lies beside them.
    book = np.sort(four_bit.get_4bit_type(kind, device="cpu").numpy())
    middles = (book[1:] + book[:-1]) / np.float32(2)
    beside = [np.nextafter(middles, np.float32(side)) for side in (-2, 2)]
    block = np.concatenate([middles, *beside, book])
    weights[at : at + len(block)] = block
weights[400] = -0.0
keep("four_bit.weights", weights)
many = random.standard_normal(9637).astype(np.float32) * np.float32(0.02)
# Rounded to bf16 towards zero, as weights are stored.
many = (many.view(np.uint32) & 0xFFFF0000).view(np.float32)
many[:256] *= 64
keep("four_bit.many", (many.view(np.uint32) >> 16).astype(np.uint16))


def numpy(tensor):
    return tensor.contiguous().numpy().copy()


def decoded(packed, state):
    return numpy(four_bit.dequantize_4bit(packed, state)).reshape(-1)


for kind in ("nf4", "fp4"):
    keep(f"{kind}.code_book", numpy(four_bit.get_4bit_type(kind, device="cpu")))
    for block_size in (32, 64, 128, 4096):
        packed, state = four_bit.quantize_4bit(torch.tensor(weights), blocksize=block_size, quant_type=kind)
        keep(f"{kind}.{block_size}.packed", numpy(packed).reshape(-1))
        keep(f"{kind}.{block_size}.absmax", numpy(state.absmax))
        if block_size <= 64:
            keep(f"{kind}.{block_size}.decoded", decoded(packed, state))
    packed, state = four_bit.quantize_4bit(
        torch.tensor(many), blocksize=32, quant_type=kind, compress_statistics=True
    )
    keep(f"{kind}.double.packed", numpy(packed).reshape(-1))
    keep(f"{kind}.double.absmax", numpy(state.absmax))
    keep(f"{kind}.double.nested_absmax", numpy(state.state2.absmax))
    keep(f"{kind}.double.nested_quant_map", numpy(state.state2.code))
    keep(f"{kind}.double.nested_offset", numpy(state.offset).reshape(1))
    assert (state.blocksize, state.state2.blocksize) == (32, 256)
    keep(f"{kind}.double.decoded_from_9000", decoded(packed, state)[9000:])
    # All bytes there are, in blocks of other scales.
    state.absmax, state.nested, state.state2 = torch.tensor([0.1, -0.7, 1e-39, 3e38] * 4), False, None
    state.shape = torch.Size([512])
    keep(f"{kind}.all", decoded(torch.arange(256, dtype=torch.uint8).reshape(-1, 1), state))

# --- written -----------------------------------------------------------------------------------------------------------

NAMES = {np.dtype(np.uint8): "U8", np.dtype(np.uint16): "BF16", np.dtype(np.float32): "F32"}
versions = {"gguf": "0.19.0", "bitsandbytes": bitsandbytes.__version__, "torch": torch.__version__}
versions |= {"numpy": np.__version__, "cpu": torch.backends.cpu.get_cpu_capability()}
header, offset = {"__metadata__": versions}, 0
for name, array in sorted(tensors.items()):
    header[name] = {"dtype": NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
    offset += array.nbytes
text = json.dumps(header, separators=(",", ":")).encode()
text += b" " * (-len(text) % 8)
path = pathlib.Path(__file__).with_name("blocks.safetensors")
path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(array.tobytes() for _, array in sorted(tensors.items())))
print(path, path.stat().st_size, versions)
