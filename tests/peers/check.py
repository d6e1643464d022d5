"""Compares what `hps log-probs` and `hps score` say with transformers and PEFT. Called by run.sh.

check.py MODEL WORK
"""

import json
import sys
from pathlib import Path

import nltk.translate.bleu_score
import peft
import sacrebleu
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


def compare_rewards(name, folder, lines):
    """The greatest difference of a response's score over all rows, by our files alone."""
    model, report = transformers.AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    assert type(model).__name__ == "LlamaForSequenceClassification" and model.config.num_labels == 1
    assert not report["missing_keys"] and not report["unexpected_keys"], report
    model.eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    worst, scores = 0.0, []
    for line in map(json.loads, Path(lines).read_text().splitlines()):
        for response, ours in zip(line["responses"], line["rewards"]):
            turns = line["prompt"] + response
            ids = tokenizer.apply_chat_template(turns, tokenize=True, return_tensors="pt", return_dict=True)["input_ids"]
            with torch.no_grad():
                theirs = model(ids).logits[0, 0].item()
            worst = max(worst, abs(ours - theirs))
            scores.append(theirs)
    spread = max(scores) - min(scores)
    print(f"{name}: {len(scores)} scores over {spread:.2f}, within {worst:.1e}")
    assert worst <= ALLOWED and spread > 100 * ALLOWED, f"{name}: {worst} is more than {ALLOWED}"


def compare_bleu(path):
    """That the values our tests are held to are those of these versions."""
    data = json.loads(Path(path).read_text())
    hypotheses = [case["hypothesis"] for case in data["cases"]]
    references = [case["reference"] for case in data["cases"]]
    worst = abs(sacrebleu.corpus_bleu(hypotheses, [references]).score - data["sacrebleu_corpus"])
    for case, hypothesis, reference in zip(data["cases"], hypotheses, references):
        theirs = sacrebleu.sentence_bleu(hypothesis, [reference]).score
        characters = [list(hypothesis.strip()), list(reference.strip())]
        of_characters = nltk.translate.bleu_score.sentence_bleu([characters[1]], characters[0])
        worst = max(worst, abs(theirs - case["sacrebleu"]), abs(of_characters - case["nltk_char"]))
    print(f"BLEU, {len(hypotheses)} pairs: sacrebleu and nltk within {worst:.1e} of tests/data/bleu.json")
    assert worst <= 1e-9


def load(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def main():
    base, work = sys.argv[1], Path(sys.argv[2])
    for package in (torch, transformers, peft, safetensors, sacrebleu):
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
    for kind in ("full", "lora"):
        compare_rewards(f"our reward model, {kind}, transformers", work / f"reward-{kind}", work / f"reward-{kind}.jsonl")
    compare_bleu("tests/data/bleu.json")


if __name__ == "__main__":
    main()
