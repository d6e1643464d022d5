"""Writes log_probs.json beside itself; README.md says with which versions.

    make.py SmolLM2-135M-Instruct.Q4_1.gguf HPS

HPS is the program `hps`; only the tokens are taken of what it prints.
"""

import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from transformers import AutoModelForCausalLM

from chats import chats

HERE = pathlib.Path(__file__).parent


def tokens(file, program):
    """Prompt and responses of each chat, as ids."""
    with tempfile.TemporaryDirectory() as folder:
        rows = pathlib.Path(folder) / "chats.jsonl"
        rows.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in chats()))
        command = [program, "log-probs", "--model_name_or_path", file, "--data", rows]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    lines = [json.loads(line) for line in printed.splitlines()]
    return [(line["prompt_ids"], [response["ids"] for response in line["responses"]]) for line in lines]


def log_probs(model, prompt, response):
    """log p of each token of a response, in nats."""
    ids = torch.tensor([prompt + response])
    with torch.no_grad():
        logits = model(ids).logits[0, len(prompt) - 1 : -1].double()
    picked = torch.log_softmax(logits, dim=-1)[torch.arange(len(response)), torch.tensor(response)]
    return [float(f"{value:.7g}") for value in picked.tolist()]


def main(file, program):
    file = pathlib.Path(file).resolve()
    model = AutoModelForCausalLM.from_pretrained(str(file.parent), gguf_file=file.name, dtype=torch.float32).eval()
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    print(model.config)
    lines = []
    for prompt, responses in tokens(file, program):
        scored = [{"ids": ids, "log_probs": log_probs(model, prompt, ids)} for ids in responses]
        lines.append(json.dumps({"prompt": prompt, "responses": scored}, separators=(",", ":")))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    text = '{"sha256_of_file":"' + digest + '","chats":[\n' + ",\n".join(lines) + "\n]}\n"
    (HERE / "log_probs.json").write_text(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
