"""Writes the reference values beside itself; README.md says with which versions, and what they are.

    make.py SmolLM2-135M-Instruct.Q4_1.gguf
"""

import hashlib
import io
import json
import pathlib
import struct
import sys

import gguf
import numpy as np
import sentencepiece
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers.integrations.gguf.gguf_tokenizer_mapping import convert_gguf_tokenizer
from transformers.models.gpt2.tokenization_gpt2 import GPT2Tokenizer
from transformers.models.llama.tokenization_llama import LlamaTokenizer
from transformers.tokenization_utils_base import generate_merges

HERE = pathlib.Path(__file__).parent
PIECES = json.loads((HERE / "pieces.json").read_text())
MASK = (1 << 64) - 1
BLOCK = 500


class Random:
    """splitmix64."""

    def __init__(self, seed):
        self.state = seed & MASK

    def below(self, count):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        mixed = self.state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & MASK
        return (mixed ^ (mixed >> 31)) % count


def line(seed, number):
    """Pieces, one after the other; each fifth is a character of one of the ranges."""
    random = Random((seed << 32) + number)
    text = ""
    for _ in range(1 + random.below(30)):
        if random.below(5) == 0:
            first, last = PIECES["ranges"][random.below(len(PIECES["ranges"]))]
            text += chr(first + random.below(last - first + 1))
        else:
            kind = PIECES["kinds"][random.below(len(PIECES["kinds"]))]
            text += kind[random.below(len(kind))]
    return text


def digests(ids):
    """SHA-256 of each block of lines: for each line its number of tokens and their ids, as u32."""
    blocks = [ids[start : start + BLOCK] for start in range(0, len(ids), BLOCK)]
    words = [b"".join(struct.pack(f"<{1 + len(line)}I", len(line), *line) for line in block) for block in blocks]
    return [hashlib.sha256(block).hexdigest() for block in words]


def encode(tokenizer, lines, plain=False):
    tokenizer.encode_special_tokens = plain
    return [encoding.ids for encoding in tokenizer.encode_batch(lines, add_special_tokens=False)]


def save(name, value):
    path = HERE / name
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(path.name, path.stat().st_size)


def digits_first():
    """How SmolLM2's own tokenizer.json cuts."""
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )


def smollm2(path):
    fields = gguf.GGUFReader(path).fields
    value = lambda key: fields[f"tokenizer.ggml.{key}"].contents()
    read = {
        "tokenizer_type": value("model"),
        "pre_tokenizer_type": value("pre"),
        "tokens": value("tokens"),
        "token_type": value("token_type"),
        "merges": value("merges"),
    }
    lines = [line(1, number) for number in range(10_000)]
    tokenizer, _ = convert_gguf_tokenizer("llama", read)
    transformers = encode(tokenizer, lines)
    tokenizer.pre_tokenizer = digits_first()
    ids = encode(tokenizer, lines)
    other = [number for number in range(len(lines)) if ids[number] != transformers[number]]
    print("lines of other tokens with transformers:", len(other), [lines[number] for number in other[:3]])
    alike = [transformers[number] for number in range(len(lines)) if number not in set(other)]
    save(
        "smollm2.json",
        {
            "sha256_of_file": hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest(),
            "text": "".join(lines[0]),
            "tokens": sum(map(len, ids)),
            "digests": digests(ids),
            "plain": digests(encode(tokenizer, lines, plain=True)),
            "otherwise_in_transformers": other,
            "transformers": digests(alike),
        },
    )


LLAMA = [
    ("context_length", 64),
    ("embedding_length", 64),
    ("block_count", 2),
    ("feed_forward_length", 96),
    ("attention.head_count", 4),
    ("attention.head_count_kv", 2),
]


def spm():
    lines = [line(2, number).replace("\n", " ").replace("\r", " ") for number in range(4000)]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        model_type="bpe",
        vocab_size=1400,
        character_coverage=0.98,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        user_defined_symbols=["<tool>"],
        control_symbols=["<|im_start|>", "<|im_end|>"],
        minloglevel=2,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    types, count = [], pieces.get_piece_size()
    for piece in range(count):
        kinds = [pieces.is_unknown, pieces.is_control, pieces.is_byte, pieces.is_unused]
        kind = next((number for number, is_kind in zip((2, 3, 6, 5), kinds) if is_kind(piece)), 1)
        types.append(4 if pieces.id_to_piece(piece) == "<tool>" else kind)
    tokens = [pieces.id_to_piece(piece) for piece in range(count)]
    scores = [pieces.get_score(piece) for piece in range(count)]
    writer = gguf.GGUFWriter(HERE / "spm.gguf", "llama")
    for key, number in LLAMA:
        writer.add_uint32(f"llama.{key}", number)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_eot_token_id(tokens.index("<|im_end|>"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    print("spm.gguf", (HERE / "spm.gguf").stat().st_size)

    read = {"tokenizer_type": "llama", "tokens": tokens, "scores": scores, "token_type": types}
    tokenizer, _ = convert_gguf_tokenizer("llama", read)
    texts = [line(3, number) for number in range(2000)]
    ids = encode(tokenizer, texts)
    alike = sum(ids[number] == pieces.encode(text) for number, text in enumerate(texts))
    print("texts of the same ids with sentencepiece:", alike, "of", len(texts))
    vocab = {token: index for index, token in enumerate(tokens)}
    merges = generate_merges(vocab, dict(zip(tokens, scores)))
    never = LlamaTokenizer(vocab=vocab, merges=merges, add_prefix_space=False)
    control = [token for token, kind in zip(tokens, types) if kind == 3]
    never.add_special_tokens({"additional_special_tokens": control}, replace_extra_special_tokens=False)
    never.add_tokens(["<tool>"])
    save(
        "spm.json",
        {
            "texts": texts[:20],
            "ids": ids[:20],
            "digests": digests(ids),
            "never": digests(encode(never.backend_tokenizer, texts)),
        },
    )


DEFAULT = [
    r"[\p{P}\$\+<=>\^~\|]+",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",
    r"\p{N}+",
    r"[0-9][0-9][0-9]",
]

CUT = ["Ġ Ġ", "1 2", "12 3", "123 4", "Ġ 1", "! !", "+ =", "Ġ +"]


def cuts():
    tiny = json.loads((HERE / "../../../../assets/tiny-llama3/tokenizer.json").read_text())["model"]
    texts = [line(4, number) for number in range(2000)]
    # The last tokens, of the last merges, become some of which the ways to cut make different use.
    merges = [tuple(merge) for merge in tiny["merges"][: -len(CUT)]] + [tuple(merge.split(" ")) for merge in CUT]
    tokens = sorted(tiny["vocab"], key=tiny["vocab"].get)[: -len(CUT)] + [merge.replace(" ", "") for merge in CUT]
    vocab = {token: index for index, token in enumerate(tokens)}
    assert len(vocab) == len(tiny["vocab"])
    gpt2 = GPT2Tokenizer(vocab=vocab, merges=merges).backend_tokenizer
    found = {"gpt-2": digests(encode(gpt2, texts, plain=True))}
    gpt2.pre_tokenizer = digits_first()
    found["smollm"] = digests(encode(gpt2, texts, plain=True))
    other = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    splits = [pre_tokenizers.Split(Regex(pattern), behavior="isolated") for pattern in DEFAULT]
    bytes_last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    other.pre_tokenizer = pre_tokenizers.Sequence([*splits, bytes_last])
    found["default"] = digests(encode(other, texts))
    save("cuts.json", found)


def factors(head_dim, theta, factor, low, high, positions):
    """What llama.cpp's converter writes into rope_freqs.weight, in f32."""
    one = np.float32
    exponents = np.arange(0, head_dim, 2, dtype=one) / one(head_dim)
    found = []
    for frequency in one(1) / np.power(one(theta), exponents):
        wavelength = one(2 * np.pi) / frequency
        if wavelength < positions / high:
            found.append(one(1))
        elif wavelength > positions / low:
            found.append(one(factor))
        else:
            smooth = (one(positions) / wavelength - one(low)) / one(high - low)
            found.append(one(1) / ((one(1) - smooth) / one(factor) + smooth))
    return [float(str(number)) for number in found]


def rope():
    cases = [
        (128, 5e5, 8, 1, 4, 8192, True),
        (64, 5e5, 32, 1, 4, 8192, True),
        (128, 5e5, 32, 1, 4, 8192, True),
        (16, 5e5, 8, 1, 4, 8192, False),
        (96, 5e5, 8, 1, 4, 8192, True),
        (128, 1e4, 4, 1, 4, 4096, True),
        (128, 1e6, 8, 1, 2.5, 6000, True),
        (128, 5e5, 10, 1, 8, 10_000, True),
        (128, 5e5, 8, 2, 8, 16_384, False),
        (128, 5e5, 20, 3, 7, 12_345, False),
    ]
    names = ["head_dim", "theta", "factor", "low", "high", "positions", "exact"]
    save("rope.json", [dict(zip(names, case)) | {"factors": factors(*case[:-1])} for case in cases])


smollm2(sys.argv[1])
spm()
cuts()
rope()
