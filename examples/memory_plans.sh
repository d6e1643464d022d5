#!/bin/sh
# What training takes, as planned: models of 1B, 3B, 8B and 70B by their config.json alone, in bfloat16 and in nf4 (doubly
# quantised), on the CPU, CUDA and WGPU, within 8, 12, 24 and 80 GB. Prints a table in Markdown; nothing is trained or
# downloaded.
#
#     cargo build --release -p hps-llama --all-features && HPS=target/release/hps examples/memory_plans.sh
set -eu
hps=${HPS:-hps}
out=${OUT:-out/memory_plans}
rm -rf "$out"
mkdir -p "$out"

# Pairs of a prompt of about 512 tokens and responses of about 256, in the embedded tokenizer.
words() { awk -v count="$1" -v word="$2" 'BEGIN { for (i = 0; i < count; i++) printf "%s ", word; print "." }'; }
for row in 1 2 3 4; do
    printf '{"prompt": "%s", "chosen": "%s", "rejected": "%s"}\n' "$(words 500 the)" "$(words 250 a)" "$(words 250 of)"
done >"$out/rows.jsonl"

# hidden, intermediate, blocks, heads, key heads, head width, tied
model() {
    name=$1
    mkdir -p "$out/$name"
    for file in tokenizer.json tokenizer_config.json chat_template.jinja; do
        [ ! -e "assets/tiny-llama3/$file" ] || cp "assets/tiny-llama3/$file" "$out/$name/"
    done
    cat >"$out/$name/config.json" <<END
{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "rms_norm_eps": 1e-5, "vocab_size": 128256,
 "hidden_size": $2, "intermediate_size": $3, "num_hidden_layers": $4, "num_attention_heads": $5, "num_key_value_heads": $6,
 "head_dim": $7, "tie_word_embeddings": $8, "max_position_embeddings": 131072, "rope_theta": 500000.0,
 "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "bfloat16"}
END
}
model 1B 2048 8192 16 32 8 64 true
model 3B 3072 8192 28 24 8 128 true
model 8B 4096 14336 32 32 8 128 false
model 70B 8192 28672 80 64 8 128 false

echo '| model | base | backend | 8 GB | 12 GB | 24 GB | 80 GB |'
echo '|---|---|---|---|---|---|---|'
for name in 1B 3B 8B 70B; do
    for base in bfloat16 nf4; do
        for backend in cpu cuda wgpu; do
            flags="--backend $backend"
            [ $backend != cuda ] || flags="$flags --dtype bfloat16"
            [ $base != nf4 ] || flags="$flags --load_in_4bit --bnb_4bit_use_double_quant"
            line="| $name | $base | $backend |"
            for budget in 8GB 12GB 24GB 80GB; do
                # shellcheck disable=SC2086
                plan=$("$hps" train --dry_run --model_name_or_path "$out/$name" --data "$out/rows.jsonl" \
                    --output_dir "$out/run" --memory_budget "$budget" $flags 2>&1) || true
                fits=$(echo "$plan" | sed -n 's/^memory *about \([0-9.]* [KMGT]iB\) of [^:]*: a list of 2 responses \(.*\)$/\1, \2/p' |
                    sed 's/ (one pass.*//; s/, in one pass, activations kept//; s/, in one pass, activations/,/')
                least=$(echo "$plan" | sed -n 's/.*take about \([0-9.]* [KMGT]iB\) at the least.*/no: \1/p')
                if [ -z "$fits$least" ]; then
                    echo "$plan" >&2
                    exit 1
                fi
                line="$line $fits$least |"
            done
            echo "$line"
        done
    done
done
