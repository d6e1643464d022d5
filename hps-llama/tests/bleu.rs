//! BLEU against sacrebleu and nltk: their numbers of the reference pairs, and what has to hold of any.

use hps_llama::evaluate::Bleu;
use serde_json::Value;

/// The same f64 formula in another order, of numbers up to 100.
const BLEU: f64 = 1e-9;

fn json(name: &str) -> Value {
    let path = format!("{}/../tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).expect("a file")).expect("JSON")
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().expect("text")
}

fn pairs(cases: &Value) -> Vec<(&str, &str)> {
    let cases = cases.as_array().expect("cases");
    cases.iter().map(|case| (text(case, "hypothesis"), text(case, "reference"))).collect()
}

#[track_caller]
fn assert_agrees(bleu: Bleu, (response, reference): (&str, &str), expected: &Value) {
    let (ours, theirs) = (bleu.sentence(response, reference), expected.as_f64().expect("a number"));
    assert!((ours - theirs).abs() < BLEU, "{bleu} of {response:?} against {reference:?}: {ours}, not {theirs}");
}

#[test]
fn sacrebleu_agrees_on_the_reference_pairs() {
    let reference = &json("hf.json")["bleu"];
    let cases = reference["pairs"].as_array().expect("cases");
    for (pair, case) in pairs(&reference["pairs"]).into_iter().zip(cases) {
        assert_agrees(Bleu::Sacrebleu, pair, &case["sentence_bleu"]);
    }
    let (ours, theirs) =
        (Bleu::Sacrebleu.corpus(pairs(&reference["pairs"])), reference["corpus"].as_f64().expect("a number"));
    assert!(cases.len() > 20 && (ours - theirs).abs() < BLEU, "{ours} {theirs}");
}

/// Numbers, entities, line ends, brackets, white space of other scripts, empty texts.
#[test]
fn both_agree_on_what_tokenisers_trip_over() {
    let reference = json("bleu.json");
    let cases = reference["cases"].as_array().expect("cases");
    let mut sum = 0.0;
    for (pair, case) in pairs(&reference["cases"]).into_iter().zip(cases) {
        assert_agrees(Bleu::Sacrebleu, pair, &case["sacrebleu"]);
        assert_agrees(Bleu::NltkChar, pair, &case["nltk_char"]);
        sum += case["nltk_char"].as_f64().expect("a number");
    }
    let ours = Bleu::Sacrebleu.corpus(pairs(&reference["cases"]));
    assert!((ours - reference["sacrebleu_corpus"].as_f64().expect("a number")).abs() < BLEU, "{ours}");
    let ours = Bleu::NltkChar.corpus(pairs(&reference["cases"]));
    assert!((ours - sum / cases.len() as f64).abs() < BLEU, "the script's mean over sentences: {ours}");
}

#[test]
fn a_corpus_is_not_the_mean_of_its_sentences() {
    let pairs = [("one two three four five", "one two three four five"), ("six", "seven eight nine")];
    let (corpus, mean) = (Bleu::Sacrebleu.corpus(pairs), 50.0);
    // All counts together: 5 of 6 words, all longer n-grams; 6 words for 8.
    let expected = 100.0 * (1.0f64 - 8.0 / 6.0).exp() * (5.0f64 / 6.0).powf(0.25);
    assert!((corpus - expected).abs() < BLEU && (corpus - mean).abs() > 10.0, "{corpus} {expected}");
    // No pair has an n-gram of four words, so the corpus has no BLEU; a sentence goes as far as its n-grams.
    assert_eq!(Bleu::Sacrebleu.corpus([("a b", "a b")]), 0.0);
    assert!((Bleu::Sacrebleu.sentence("a b", "a b") - 100.0).abs() < BLEU);
    assert!(Bleu::Sacrebleu.corpus([]).is_nan() && Bleu::NltkChar.corpus([]).is_nan());
}

#[test]
fn names_are_read_and_printed() {
    for bleu in [Bleu::Sacrebleu, Bleu::NltkChar] {
        assert_eq!(bleu.to_string().parse::<Bleu>().expect("its own name"), bleu);
    }
    let message = "rouge".parse::<Bleu>().expect_err("another measure").to_string();
    assert_eq!(message, "`bleu` is \"rouge\"; there are `sacrebleu` and `nltk-char`");
}
