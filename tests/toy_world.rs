//! The toy safety world keeps its promises: determinism, disjoint splits, a judge that reads what was meant.

#[path = "../examples/toy_world/mod.rs"]
mod toy_world;

use std::collections::HashSet;

use serde_json::Value;
use tokenizers::Tokenizer;
use toy_world::corpus::documents;
use toy_world::rows::{Lists, PreferenceRow, write_rows};
use toy_world::tokenizer::{CHAT_TEMPLATE, SPECIAL_TOKENS, TOKENIZER_CONFIG, VOCABULARY, train_tokenizer};
use toy_world::{Judgement, Prompt, Split, Style, WORDS, World, harmful, read_traits, true_reward};

const STYLES: [Style; 2] = [Style::Helpfulness, Style::Safety];

fn prompts(style: Style, split: Split, count: usize) -> Vec<Prompt> {
    World::new(7).prompts(split, Some(style)).take(count).collect()
}

/// Prompts of both styles with responses of the base behaviour.
fn exchanges(count: usize, draws: u64) -> Vec<(Prompt, String)> {
    let world = World::new(7);
    let prompts = STYLES.into_iter().flat_map(|style| prompts(style, Split::HeldOut, count));
    prompts.flat_map(|prompt| (0..draws).map(move |draw| (prompt.clone(), world.response(&prompt, draw)))).collect()
}

#[test]
fn the_seed_and_the_index_decide() {
    let (one, same, other) = (World::new(1), World::new(1), World::new(2));
    let texts = |world: World| -> Vec<String> {
        let prompts = world.prompts(Split::Train, None).take(50);
        prompts
            .flat_map(|prompt| [prompt.text(), world.response(&prompt, 3), world.responses(&prompt, 4).concat()])
            .collect()
    };
    assert_eq!(texts(one), texts(same));
    assert_ne!(texts(one), texts(other));
    assert_eq!(one.prompt(Split::Train, 41).text(), one.prompts(Split::Train, None).nth(41).unwrap().text());
}

#[test]
fn a_prompt_ends_with_the_user() {
    for prompt in STYLES.into_iter().flat_map(|style| prompts(style, Split::Train, 500)) {
        let roles: Vec<_> = prompt.messages().iter().map(|message| message.role).collect();
        match prompt.style() {
            Style::Helpfulness => assert_eq!(roles, ["user", "assistant", "user"]),
            Style::Safety => assert_eq!(roles, ["user"]),
        }
        let words: usize = prompt.messages().iter().map(|message| message.content.split(' ').count()).sum();
        assert!((8..=40).contains(&words), "{words} words: {}", prompt.text());
    }
}

#[test]
fn splits_are_disjoint_and_thousands_strong() {
    let other_world = World::new(99);
    for style in STYLES {
        let train: HashSet<String> = prompts(style, Split::Train, 20_000).iter().map(Prompt::text).collect();
        let held_out: HashSet<String> = prompts(style, Split::HeldOut, 4_000).iter().map(Prompt::text).collect();
        assert!(train.len() > 15_000, "{} distinct", train.len());
        assert!(held_out.len() > 3_000, "{} distinct", held_out.len());
        assert!(train.is_disjoint(&held_out));
        for prompt in other_world.prompts(Split::HeldOut, Some(style)).take(4_000) {
            assert_eq!(prompt.split(), Split::HeldOut);
            assert!(!train.contains(&prompt.text()), "held out by one seed, trained on by another");
        }
    }
}

#[test]
fn the_judge_reads_what_was_meant() {
    let world = World::new(7);
    for prompt in STYLES.into_iter().flat_map(|style| prompts(style, Split::Train, 1_000)) {
        for draw in 0..20 {
            let draft = world.draft(&prompt, draw);
            assert_eq!(read_traits(&prompt, &draft.text), draft.intended, "{}{}", prompt.text(), draft.text);
            assert!(WORDS.contains(&draft.text.split(' ').count()));
            let shouted = draft.text.to_uppercase().replace(". ", " !\n");
            let (read, intended) = (true_reward(&prompt, &shouted), draft.intended.judgement(prompt.style()));
            assert_eq!(read.harm, intended.harm);
            assert!((read.helpfulness - intended.helpfulness).abs() < 0.02, "only the length may differ");
        }
    }
}

#[test]
fn the_base_behaviour_is_good_and_bad_alike() {
    for (style, share) in [(Style::Helpfulness, 0.25..0.35), (Style::Safety, 0.45..0.55)] {
        let judged: Vec<Judgement> = exchanges(500, 20)
            .iter()
            .filter(|(prompt, _)| prompt.style() == style)
            .map(|(prompt, response)| true_reward(prompt, response))
            .collect();
        let part = |chosen: &dyn Fn(&Judgement) -> bool| {
            judged.iter().filter(|judgement| chosen(judgement)).count() as f64 / judged.len() as f64
        };
        let harmful = part(&|judgement| judgement.harm > toy_world::HARMFUL_ABOVE);
        assert!(share.contains(&harmful), "{style:?}: {harmful} harmful");
        for helpful in [false, true] {
            for harmful in [false, true] {
                let quadrant =
                    part(&|judgement| (judgement.helpfulness > 1.5) == helpful && (judgement.harm > 0.5) == harmful);
                assert!(quadrant > 0.04, "{style:?}: {quadrant} with helpful {helpful}, harmful {harmful}");
            }
        }
    }
}

#[test]
fn rows_are_json_lines_with_one_best_response_and_few_ties() {
    let world = World::new(7);
    let mut lines = Vec::new();
    write_rows(&mut lines, &world, world.prompts(Split::Train, None).take(500), Lists::of(8)).unwrap();
    let mut tied = 0;
    for (line, prompt) in str::from_utf8(&lines).unwrap().lines().zip(world.prompts(Split::Train, None)) {
        let row: Value = serde_json::from_str(line).unwrap();
        assert_eq!(row["prompt"][0]["role"], "user");
        assert_eq!(row["prompt"][0]["content"], prompt.messages()[0].content);
        let responses: Vec<&str> =
            row["responses"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
        assert_eq!(responses.iter().collect::<HashSet<_>>().len(), 8);
        let rewards: Vec<f64> =
            row["rewards"].as_array().unwrap().iter().map(|reward| reward.as_f64().unwrap()).collect();
        for (response, reward) in responses.iter().zip(&rewards) {
            assert_eq!(true_reward(&prompt, response).reward, *reward);
        }
        let best = rewards.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        assert_eq!(rewards.iter().filter(|reward| **reward == best).count(), 1);
        tied += usize::from(rewards.iter().map(|reward| reward.to_bits()).collect::<HashSet<_>>().len() < 8);
    }
    assert!(tied < 25, "{tied} of 500 rows have a tie");
}

#[test]
fn nothing_is_won_by_saying_it_again() {
    for (prompt, response) in exchanges(200, 5) {
        let once = true_reward(&prompt, &response);
        for sentence in response.trim_end_matches('.').split(". ") {
            let twice = true_reward(&prompt, &format!("{response} {sentence}."));
            assert!(twice.reward < once.reward && twice.harm == once.harm, "{sentence}");
        }
        let doubled = true_reward(&prompt, &format!("{response} {response}"));
        assert!(doubled.reward < once.reward && doubled.helpfulness < once.helpfulness);
    }
}

#[test]
fn nothing_is_won_by_doing_more_harm() {
    let world = World::new(7);
    for (prompt, response) in exchanges(100, 5) {
        let before = true_reward(&prompt, &response);
        for draw in 1_000..1_020 {
            for sentence in world.response(&prompt, draw).trim_end_matches('.').split(". ") {
                let after = true_reward(&prompt, &format!("{response} {sentence}."));
                assert!(after.harm >= before.harm);
                assert!(after.harm == before.harm || after.reward < before.reward, "{response} + {sentence}");
            }
        }
    }
}

#[test]
fn garbling_hides_no_harm_and_earns_no_help() {
    let prompt = &prompts(Style::Safety, Split::Train, 1)[0];
    assert!(harmful(prompt, "the the you clumsy. fool brick"));
    assert!(!harmful(prompt, "the clumsy the fool"));
    assert!(true_reward(prompt, "").reward < 0.0);
    for (prompt, response) in exchanges(200, 5) {
        let mut words: Vec<&str> = response.split(' ').collect();
        words.reverse();
        assert!(true_reward(&prompt, &words.join(" ")).helpfulness < 0.0);
        if response.contains(". ") {
            assert!(true_reward(&prompt, &response.replace('.', "")).helpfulness < 0.0, "one endless sentence");
        }
    }
}

#[test]
fn any_text_can_be_judged() {
    let prompts = STYLES.map(|style| prompts(style, Split::Train, 1).remove(0));
    let mut texts: Vec<String> =
        ["...", "\u{0}\u{feff}", "İß ﬁ.\r\n\t", "your", "let us begin with your", "{}", "your . your"]
            .map(str::to_owned)
            .to_vec();
    texts.push("a.".repeat(100_000));
    for (_, response) in exchanges(20, 2) {
        texts.extend((0..response.len()).map(|end| response[..end].to_owned()));
    }
    for (prompt, text) in prompts.iter().flat_map(|prompt| texts.iter().map(move |text| (prompt, text))) {
        let judgement = true_reward(prompt, text);
        assert!(judgement.reward.is_finite() && judgement.harm >= 0.0 && judgement.helpfulness < 5.0);
    }
}

#[test]
fn the_tokenizer_is_llama_3_in_small() {
    let texts =
        || documents(&World::new(7), None).take(4_000).flat_map(|document| document.texts().collect::<Vec<_>>());
    let trained = train_tokenizer(texts(), VOCABULARY).unwrap();
    assert_eq!(trained, train_tokenizer(texts(), VOCABULARY).unwrap(), "the same text gives the same bytes");
    assert!(train_tokenizer(texts().take(3), VOCABULARY).is_err(), "too little text");

    let tokenizer = Tokenizer::from_bytes(&trained).unwrap();
    assert_eq!(tokenizer.get_vocab_size(true), VOCABULARY);
    for (token, id) in SPECIAL_TOKENS.into_iter().zip(1018..) {
        assert_eq!(tokenizer.token_to_id(token), Some(id));
    }
    let odd = "grüße, 12345 \n\n 東京";
    let encoding = tokenizer.encode(odd, true).unwrap();
    assert_eq!((encoding.get_ids()[0], tokenizer.decode(encoding.get_ids(), true).unwrap()), (1018, odd.to_owned()));

    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/models/tiny");
    let file = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).unwrap();
    assert_eq!(CHAT_TEMPLATE, file("chat_template.jinja"));
    assert_eq!(TOKENIZER_CONFIG, file("tokenizer_config.json"));
    assert_eq!(scheme(&trained), scheme(&file("tokenizer.json")), "all but what was learned");

    // A row of the corpus, with the chat template's tokens: 5 for each message's header and end, 1 to begin.
    for document in documents(&World::new(7), None).skip(4_000).take(2_000) {
        let contents: usize = document.texts().map(|text| tokenizer.encode(text, false).unwrap().len()).sum();
        let tokens = 1 + contents + 5 * (document.prompt.messages().len() + 1);
        assert!(tokens <= 104, "{tokens} tokens");
    }
}

/// `tokenizer.json` without the learned vocabulary and merges.
fn scheme(text: &str) -> Value {
    let mut json: Value = serde_json::from_str(text).unwrap();
    json["model"]["vocab"] = Value::Null;
    json["model"]["merges"] = Value::Null;
    json
}

/// Whether the response next to the best one does harm, of rows of both styles.
fn hard_and_harmful(lists: Lists) -> f64 {
    let (world, count) = (World::new(7), 400);
    let harmful_second = |prompt: &Prompt| {
        let row = lists.row(&world, prompt);
        let mut order: Vec<usize> = (0..row.rewards.len()).collect();
        order.sort_by(|left, right| row.rewards[*right].total_cmp(&row.rewards[*left]));
        harmful(prompt, &row.responses[order[1]])
    };
    world.prompts(Split::Train, None).take(count).filter(harmful_second).count() as f64 / count as f64
}

/// By r* what comes close to the best is seldom harmful, and hardly ever on long lists; an annotator who weighs harm less has harmful
/// responses there.
#[test]
fn the_weight_of_harm_makes_hard_responses_harmful() {
    let share = |harm_weight, responses| hard_and_harmful(Lists { harm_weight, ..Lists::of(responses) });
    let by_weight = [2.0, 1.0, 0.5, 0.0].map(|weight| share(weight, 8));
    println!(
        "the second of 8 is harmful, by the weight of harm 2, 1, 0.5, 0: {by_weight:?}; of 20 by r*: {}",
        share(2.0, 20)
    );
    assert!(by_weight.is_sorted() && by_weight[0] < 0.1 && by_weight[3] > 0.25, "{by_weight:?}");
    assert!(share(2.0, 20) < 0.02);
}

#[test]
fn longer_lists_may_keep_their_best() {
    let world = World::new(7);
    for prompt in world.prompts(Split::Train, None).take(60) {
        let row = |responses| Lists { best_of: Some(8), ..Lists::of(responses) }.row(&world, &prompt);
        let best = |row: &PreferenceRow| {
            let best = (0..row.rewards.len()).max_by(|left, right| row.rewards[*left].total_cmp(&row.rewards[*right]));
            row.responses[best.expect("a response")].clone()
        };
        let rows = [row(2), row(5), row(8), row(40)];
        for (shorter, longer) in rows.iter().zip(&rows[1..]) {
            assert_eq!(best(shorter), best(longer), "{}", prompt.text());
            let negatives = |row: &PreferenceRow| -> Vec<String> {
                row.responses.iter().filter(|text| **text != best(row)).cloned().collect()
            };
            let (fewer, more) = (negatives(shorter), negatives(longer));
            assert!(more.starts_with(&fewer) && fewer.len() < more.len());
        }
        assert_eq!(rows.map(|row| row.responses.len()), [2, 5, 8, 40]);
    }
}

/// The usual rows are what they were: as many distinct draws, whatever is best among them.
#[test]
fn usual_rows_are_what_is_drawn() {
    let world = World::new(1);
    for prompt in world.prompts(Split::Train, None).take(200) {
        let row = PreferenceRow::drawn(&world, &prompt, 8);
        let drawn = (0..).map(|attempt: u64| world.responses_from(&prompt, attempt << 32, 8));
        assert_eq!(drawn.take(20).find(|drawn| *drawn == row.responses), Some(row.responses));
    }
}

#[test]
fn last_tasks_are_a_third_of_the_prompts() {
    for style in STYLES {
        let prompts = prompts(style, Split::Train, 3000);
        let share = prompts.iter().filter(|prompt| prompt.is_of_last_tasks()).count() as f64 / 3000.0;
        assert!((share - 1.0 / 3.0).abs() < 0.04, "{style:?}: {share}");
    }
}
