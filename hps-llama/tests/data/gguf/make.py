"""Writes small.gguf beside itself: a file of gguf-py with values of all types and tensors of all types. See README.md."""

import pathlib

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import GGUFValueType as Value

random = np.random.default_rng(20261130)
path = pathlib.Path(__file__).with_name("small.gguf")
writer = gguf.GGUFWriter(path, "llama")
writer.add_uint8("a.u8", 200)
writer.add_int8("a.i8", -100)
writer.add_uint16("a.u16", 60_000)
writer.add_int16("a.i16", -30_000)
writer.add_uint32("a.u32", 4_000_000_000)
writer.add_int32("a.i32", -2_000_000_000)
writer.add_uint64("a.u64", 1 << 63)
writer.add_key_value("a.i64", -(1 << 62), Value.INT64)
writer.add_float32("a.f32", 0.1)
writer.add_float64("a.f64", 0.1)
writer.add_bool("a.bool", True)
writer.add_string("a.string", "übel 美 \n")
writer.add_array("a.strings", ["Ġa", "", "<|im_end|>"])
writer.add_array("a.f32s", [0.5, -1.0])
writer.add_array("a.i32s", [1, -1, 3])
for kind in ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]:
    length, size = gguf.GGML_QUANT_SIZES[Type[kind]]
    blocks = 3 if length == 1 else 1
    data = random.integers(0, 256, (2, blocks * size), dtype=np.uint8)
    writer.add_tensor(f"blk.0.{kind.lower()}.weight", data, raw_dtype=Type[kind])
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
print(path, path.stat().st_size)
