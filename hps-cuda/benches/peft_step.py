"""A DPO step of Llama-3-8B's shape by PyTorch, transformers and PEFT: bfloat16, SDPA, LoRA r 8 on q and v, one pair.

python3 hps-cuda/benches/peft_step.py [--tokens PROMPT,RESPONSE] [--steps N] [--json FILE]

As TRL does it: both rows with their prompt, in one batch of two; log-probs of the responses' tokens from the whole rows'
logits; the reference by the same model with its adapter off, or known beforehand; gradient checkpointing on and off.
Prints the median of the steps' seconds and the peak of the device's memory for each; `--json` writes them to a file as well,
anew after each. Ends with status 3 where PyTorch, transformers, PEFT or a GPU is missing.
"""

import argparse
import json
import os
import statistics
import sys
import time

try:
    import torch
    import torch.nn.functional as F
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM
except ImportError as error:
    print(f"SKIPPED, as {error}")
    sys.exit(3)

SHAPE = dict(
    vocab_size=128256,
    hidden_size=4096,
    intermediate_size=14336,
    num_hidden_layers=32,
    num_attention_heads=32,
    num_key_value_heads=8,
    max_position_embeddings=8192,
    rms_norm_eps=1e-5,
    rope_theta=500000.0,
)


def model_on(device, shape):
    torch.manual_seed(0)
    with torch.device(device):
        torch.set_default_dtype(torch.bfloat16)
        config = LlamaConfig(**shape, attn_implementation="sdpa")
        model = LlamaForCausalLM(config)
        torch.set_default_dtype(torch.float32)
    lora = LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    return get_peft_model(model, lora)


def log_probs(model, rows, prompt):
    logits = model(input_ids=rows).logits[:, prompt - 1 : -1]
    return -F.cross_entropy(logits.float().transpose(1, 2), rows[:, prompt:], reduction="none").sum(1)


def step(model, optimizer, rows, prompt, reference):
    if reference is None:
        with torch.no_grad(), model.disable_adapter():
            reference = log_probs(model, rows, prompt)
    policy = log_probs(model, rows, prompt)
    chosen, rejected = 0.1 * (policy - reference)
    loss = -F.logsigmoid(chosen - rejected)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


def write(figures, path):
    if path:
        with open(path + ".part", "w") as file:
            json.dump(figures, file)
        os.replace(path + ".part", path)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", default="1,2047")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--tiny", action="store_true", help="a small shape: whether it runs")
    arguments = parser.parse_args()
    prompt, response = map(int, arguments.tokens.split(","))
    shape = SHAPE
    if arguments.tiny:
        small = dict(vocab_size=512, hidden_size=64, intermediate_size=176, num_hidden_layers=2)
        shape = SHAPE | small | dict(num_attention_heads=4, num_key_value_heads=2)
    on_gpu = arguments.device == "cuda"
    if on_gpu and not torch.cuda.is_available():
        print("SKIPPED, as PyTorch finds no GPU")
        sys.exit(3)
    wait = torch.cuda.synchronize if on_gpu else lambda: None
    model = model_on(arguments.device, shape)
    adapter = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(adapter, lr=1e-4, weight_decay=0.0)
    rows = torch.randint(shape["vocab_size"], (2, prompt + response), device=arguments.device)
    rows[1, :prompt] = rows[0, :prompt]
    name = torch.cuda.get_device_name() if on_gpu else "a processor"
    print(f"{name}, PyTorch {torch.__version__}, prompt {prompt}, responses {response}")
    figures = {"device": name, "torch": torch.__version__, "tokens": [prompt, response], "lines": []}
    for checkpointing in (False, True):
        if checkpointing:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
            model.enable_input_require_grads()
        model.train()
        for known in (True, False):
            reference = torch.zeros(2, device=arguments.device) if known else None
            if on_gpu:
                torch.cuda.reset_peak_memory_stats()
            seconds = []
            try:
                for index in range(arguments.steps + 3):
                    wait()
                    start = time.perf_counter()
                    step(model, optimizer, rows, prompt, reference)
                    wait()
                    if index >= 3:
                        seconds.append(time.perf_counter() - start)
                median = statistics.median(seconds)
            except torch.OutOfMemoryError:
                optimizer.zero_grad()
                median = None
            result = "out of memory" if median is None else f"{1000 * median:.1f} ms"
            mebibytes = torch.cuda.max_memory_allocated() >> 20 if on_gpu else None
            peak = f", peak {mebibytes} MiB" if on_gpu else ""
            print(f"checkpointing {checkpointing}, reference {'known' if known else 'by adapter off'}: {result}{peak}")
            line = {"checkpointing": checkpointing, "reference_known": known, "seconds": median, "peak_mib": mebibytes}
            figures["lines"].append(line)
            figures["complete"] = len(figures["lines"]) == 4
            write(figures, arguments.json)


if __name__ == "__main__":
    main()
