//! ArmoRM's numbers, where its gate reads, and what is refused.

use crate::gated_folder::{Folder, OBJECTIVES};
use crate::{SCORE, SHARED, answers, asked, llama_f64};
use hps_llama::Digest;
use hps_llama::backend::cpu::Cpu;
use hps_llama::data::{Message, Prompt, Response};
use hps_llama::pack::Group;
use hps_llama::reward_model::{ArmoScore, GatedRewardModel, Scorer};
use hps_llama::score::ScoreOptions;

/// `<|eot_id|><|start_header_id|>`, with which the header begins.
const HEADER: [u32; 2] = [1022, 1020];

fn scorer(folder: &Folder, score: ArmoScore) -> Scorer<Cpu> {
    Scorer::from_folder(Cpu, folder.path(), Some(score)).expect("the model loads")
}

/// Two prompts with three and two answers.
fn groups(scorer: &Scorer<Cpu>) -> Vec<Group> {
    let group = |row, prompt: &str, texts: &[&str]| scorer.group(row, &asked(prompt), &answers(texts)).expect("tokens");
    vec![
        group(0, "may the passport answer again?", &["the onion", "form, to the garden of the neighbour", "no"]),
        group(1, "water", &["kettle and kettle", "a ladder"]),
    ]
}

/// The last token that the assistant's header begins at, found in the whole conversation.
fn gate(tokens: &[u32]) -> usize {
    (0..tokens.len()).rev().find(|at| tokens[*at..].starts_with(&HEADER)).expect("a header")
}

#[test]
fn numbers_are_those_of_the_formula_in_f64() {
    let folder = Folder::new();
    let groups = groups(&scorer(&folder, ArmoScore::Gated));
    let [gated, mean] = [ArmoScore::Gated, ArmoScore::Mean]
        .map(|score| scorer(&folder, score).rewards(&groups, 8192).expect("rewards"));
    let model = GatedRewardModel::from_folder(Cpu, folder.path()).expect("the model loads");
    assert_eq!(model.objectives(), OBJECTIVES);
    let rated = model.rate(&groups).expect("ratings");
    let (mut worst, mut scores) = (0.0f64, Vec::new());
    for (index, group) in groups.iter().enumerate() {
        for (response, rated) in rated[index].iter().enumerate() {
            let tokens = [&group.prompt[..], &group.responses[response]].concat();
            let (rewards, shares, score) = llama_f64::armo(&folder.numbers, &tokens, gate(&tokens));
            for (ours, theirs) in rated.rewards.iter().zip(&rewards).chain(rated.shares.iter().zip(&shares)) {
                worst = worst.max((ours - theirs).abs());
            }
            let expected_mean = rewards.iter().sum::<f64>() / OBJECTIVES as f64;
            for (ours, theirs) in
                [(rated.score, score), (gated[index][response], score), (mean[index][response], expected_mean)]
            {
                worst = worst.max((ours - theirs).abs());
            }
            assert!((shares.iter().sum::<f64>() - 0.7).abs() < 1e-6, "the scale is the shares' sum");
            let [most, least] = [f64::max, f64::min].map(|pick| shares.iter().copied().reduce(pick).expect("shares"));
            assert!(most > 1.3 * least, "the gate has no say: {least} … {most}");
            assert!((score - expected_mean).abs() > 20.0 * SCORE, "the two scores are one");
            scores.push(score);
        }
    }
    println!("within {worst:.1e}, scores {scores:.4?}");
    assert!(worst < SCORE, "{worst:e}");
    assert!(scores.iter().all(|score| scores.iter().filter(|other| (*other - score).abs() < SCORE).count() == 1));
}

#[test]
fn a_score_does_not_depend_on_its_batch() {
    let folder = Folder::new();
    for score in [ArmoScore::Gated, ArmoScore::Mean] {
        let scorer = scorer(&folder, score);
        let groups = groups(&scorer);
        let together = scorer.rewards(&groups, 8192).expect("rewards");
        // A response a pass, a group a pass, two passes; and a group by itself.
        for max_tokens in [1, 60, 80] {
            assert_eq!(scorer.rewards(&groups, max_tokens).expect("rewards"), together, "{max_tokens} tokens a pass");
        }
        assert_eq!(scorer.rewards(&groups[1..], 8192).expect("rewards"), together[1..]);
        // Each response with a prompt of its own.
        for (group, together) in groups.iter().zip(&together) {
            for (response, together) in group.responses.iter().zip(together) {
                let alone = Group { responses: vec![response.clone()], ..group.clone() };
                let alone = scorer.rewards(&[alone], 8192).expect("rewards")[0][0];
                assert!((alone - together).abs() < SHARED, "{alone} {together}");
            }
        }
    }
}

/// Of an answer of three turns the gate reads the header of the last.
#[test]
fn the_gate_reads_the_last_header() {
    let folder = Folder::new();
    let scorer = scorer(&folder, ArmoScore::Gated);
    let turns = vec![Message::assistant("the kettle"), Message::user("a ladder?"), Message::assistant("the onion")];
    let responses = [Response::Messages(turns), Response::Text("garden".into())];
    let group = scorer.group(0, &asked("water"), &responses).expect("tokens");
    let rewards = scorer.rewards(std::slice::from_ref(&group), 8192).expect("rewards");
    for (response, reward) in group.responses.iter().zip(&rewards[0]) {
        let tokens = [&group.prompt[..], response].concat();
        let at = gate(&tokens);
        assert_eq!(at >= group.prompt.len(), response.len() > 20, "the longer one's header is its own");
        let expected = llama_f64::armo(&folder.numbers, &tokens, at).2;
        assert!((reward - expected).abs() < SCORE, "{reward} {expected}");
    }
}

/// `hps score`'s file by either number, and which it is.
#[test]
fn a_file_is_rated_by_either_number() {
    let (folder, files) = (Folder::new(), tempfile::tempdir().expect("a folder"));
    let data = files.path().join("rows.jsonl");
    let row = r#"{"prompt": [{"role": "user", "content": "water"}], "responses": ["kettle and kettle", "a ladder"]}"#;
    std::fs::write(&data, row).expect("a file");
    let mut found = Vec::new();
    for score in [ArmoScore::Gated, ArmoScore::Mean] {
        let scorer = scorer(&folder, score);
        let output = files.path().join(format!("{score}.jsonl"));
        let options = ScoreOptions {
            chat: false,
            data: data.clone(),
            output: output.clone(),
            overwrite: false,
            overwrite_rewards: false,
            max_num_batched_tokens: 8192,
        };
        let model = Digest::of_folder(folder.path()).expect("a digest");
        let mut seen = Vec::new();
        hps_llama::score::score(&scorer, model, &options, |done, total| seen.push((done, total))).expect("rated");
        assert_eq!(seen, [(0, 1), (1, 1)]);
        let text = std::fs::read_to_string(&output).expect("the output");
        let row: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(row["reward_model"], scorer.label());
        let rewards: Vec<f64> = serde_json::from_value(row["rewards"].clone()).expect("rewards");
        assert_eq!(rewards, scorer.rewards(&groups(&scorer)[1..], 8192).expect("rewards")[0]);
        found.push(rewards);
    }
    assert_ne!(found[0], found[1]);
}

#[test]
fn labels_say_which_number_it_is() {
    let folder = Folder::new();
    let name = folder.path().display();
    assert_eq!(scorer(&folder, ArmoScore::Gated).label(), format!("{name}, gated score"));
    assert_eq!(scorer(&folder, ArmoScore::Mean).label(), format!("{name}, mean of 19 objectives"));
    let unset: Scorer<Cpu> = Scorer::from_folder(Cpu, folder.path(), None).expect("the model loads");
    assert_eq!(unset.label(), format!("{name}, gated score"));
}

fn refused(folder: &Folder) -> String {
    Scorer::from_folder(Cpu, folder.path(), None).expect_err("refused").to_string()
}

#[test]
fn what_does_not_fit_is_refused() {
    let folder = Folder::new();
    for name in ["regression_layer.weight", "reward_transform_matrix", "gating.layers.3.bias", "gating.logit_scale"] {
        let place = folder.write(|other| other != name);
        assert_eq!(refused(&folder), format!("{}: `{name}` is missing", place.display()));
    }
    let place = folder.write(|_| true);
    // A hidden layer less: its tensors would be left unread.
    folder.configure(|config| config["gating_n_hidden"] = 2.into());
    let message =
        "`gating.layers.3.bias` has no place in the model that config.json describes, and would be left unread";
    assert_eq!(refused(&folder), format!("{}: {message}", place.display()));
    folder.configure(|config| config["gating_hidden_dim"] = 16.into());
    let message = "`gating.layers.0.weight` has shape [24, 32] but the model needs [16, 32]";
    assert_eq!(refused(&folder), format!("{}: {message}", place.display()));
    let config = folder.configure(|config| config["gating_temperature"] = 0.into());
    assert_eq!(refused(&folder), format!("{}: `gating_temperature` is 0, not a positive number", config.display()));
    folder.configure(|_| ());

    let scorer = scorer(&folder, ArmoScore::Gated);
    // No conversation, so no header.
    let group = scorer.group(0, &Prompt::Text("2 + 2 =".into()), &answers(&[" 4"])).expect("tokens");
    let message = scorer.rewards(&[group], 8192).expect_err("no header").to_string();
    assert!(message.starts_with("response 0: its conversation has no \"<|eot_id|>"), "{message}");

    let tokenizer = folder.path().join("tokenizer.json");
    let text = std::fs::read_to_string(&tokenizer).expect("a file").replace("<|eot_id|>", "<|end_of_turn|>");
    std::fs::write(&tokenizer, text).expect("a file");
    let named = folder.path().join("tokenizer_config.json");
    let text = std::fs::read_to_string(&named).expect("a file").replace("<|eot_id|>", "<|end_of_turn|>");
    std::fs::write(&named, text).expect("a file");
    let message = "the tokenizer has no special token `<|eot_id|>`, which the gate looks for";
    assert_eq!(refused(&folder), format!("{}: {message}", folder.path().display()));
}
