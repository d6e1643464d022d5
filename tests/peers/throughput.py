"""Tokens a second of a LoRA DPO step by transformers and PEFT, at the shape of `hps bench --parts throughput`.

Four pairs of 175 prompt and 175 response tokens, LoRA r 8 on q and v, the reference's log-probs known: what TRL computes
(both rows of a pair in full, logits of response tokens), without its trainer around it. float32, random weights.

throughput.py [STEPS]
"""

import statistics
import sys
import time

import peft
import torch
import transformers

PAIRS, PROMPT, RESPONSE, BETA = 4, 175, 175, 0.1


def main():
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=32000, hidden_size=512, intermediate_size=1408, num_hidden_layers=8, num_attention_heads=8,
        num_key_value_heads=4, max_position_embeddings=2048, rope_theta=500000.0, tie_word_embeddings=False,
    )
    model = transformers.LlamaForCausalLM(config)
    model = peft.get_peft_model(model, peft.LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"]))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-7)
    prompts = torch.randint(config.vocab_size, (PAIRS, PROMPT)).repeat(2, 1)
    rows = torch.cat([prompts, torch.randint(config.vocab_size, (2 * PAIRS, RESPONSE))], dim=1)
    reference = torch.zeros(2 * PAIRS)
    seconds = []
    for _ in range(steps + 1):
        start = time.perf_counter()
        logits = model(rows, logits_to_keep=RESPONSE + 1).logits[:, :-1]
        chosen = torch.log_softmax(logits, dim=-1).gather(2, rows[:, PROMPT:, None])[..., 0].sum(1)
        h = BETA * (chosen - reference)
        loss = -torch.nn.functional.logsigmoid(h[:PAIRS] - h[PAIRS:]).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds[1:])
    tokens = 2 * PAIRS * (PROMPT + RESPONSE)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {steps} steps: {median:.3f} s, {tokens / median:.0f} tokens/s")


if __name__ == "__main__":
    main()
