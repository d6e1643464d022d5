"""Compares log-probs of `hps log-probs` with those of transformers and PEFT. Called by run.sh.

check.py MODEL WORK [REWARD MODEL]
"""

import json
import sys
from pathlib import Path

import peft
import safetensors
import torch
import transformers

# Two f32 programs that sum in different orders; a wrong scale of the adapter shows at 1e-1.
ALLOWED = 2e-5


def log_probs(model, prompt, response):
    """Of the response's tokens, in nats."""
    ids = torch.tensor([prompt + response])
    with torch.no_grad():
        logits = model(ids).logits[0, len(prompt) - 1 : -1].float()
    return torch.log_softmax(logits, dim=-1).gather(1, ids[0, len(prompt) :, None])[:, 0].tolist()


def compare(name, model, lines):
    """The greatest difference of a token's log-prob over all rows."""
    model.eval()
    worst, tokens = 0.0, 0
    for line in map(json.loads, Path(lines).read_text().splitlines()):
        for response in line["responses"]:
            theirs = log_probs(model, line["prompt_ids"], response["ids"])
            ours = response["log_probs"]
            assert len(ours) == len(theirs)
            worst = max([worst] + [abs(one - other) for one, other in zip(ours, theirs)])
            tokens += len(ours)
    print(f"{name}: {tokens} tokens, log-probs within {worst:.1e} nats")
    assert worst <= ALLOWED, f"{name}: {worst} is more than {ALLOWED}"


def load(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def main():
    base, work = sys.argv[1], Path(sys.argv[2])
    for package in (torch, transformers, peft, safetensors):
        print(package.__name__, package.__version__)
    torch.manual_seed(0)
    compare("base, transformers", load(base), work / "base.jsonl")
    adapted = peft.PeftModel.from_pretrained(load(base), work / "run")
    compare("our adapter, PEFT", adapted, work / "adapted.jsonl")
    compare("our adapter, merged by PEFT", adapted.merge_and_unload(), work / "merged.jsonl")
    compare("our merged shards, transformers", load(work / "merged"), work / "merged.jsonl")
    moved = [Path(work / name).read_text() for name in ("base.jsonl", "adapted.jsonl")]
    assert moved[0] != moved[1], "the adapter changes nothing, so nothing was compared"
    transformers.AutoTokenizer.from_pretrained(work / "merged")
    if len(sys.argv) > 3:
        folder = sys.argv[3]
        model, report = transformers.AutoModelForSequenceClassification.from_pretrained(
            folder, dtype=torch.float32, output_loading_info=True
        )
        assert type(model).__name__ == "LlamaForSequenceClassification" and model.config.num_labels == 1
        assert not report["missing_keys"] and not report["unexpected_keys"], report
        print(f"reward model {folder}: loaded whole; its scores are not compared yet")


if __name__ == "__main__":
    main()
