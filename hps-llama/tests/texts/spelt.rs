//! Templates that look into messages: what they see are the messages' own characters, whatever special tokens these spell.

use std::fs;
use std::path::Path;

use hps_llama::chat::{Chat, Message};
use hps_llama::{ErrorKind, Result};
use tempfile::TempDir;

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/models/tiny");
const END_OF_TURN: u32 = 1022;
const MESSAGES: [&str; 5] = ["> q", "a <", "<", "id|> x", "q <|"];

/// The beginning of a template; what transformers 5.24 renders of it for each of the messages, with its ids.
type Case = (&'static str, [(&'static str, &'static [u32]); 5]);

#[rustfmt::skip]
const CASES: &[Case] = &[
        ("{{ messages[0].content[:1] }}|x", [(">|x", &[29, 91, 87, 1022]), ("a|x", &[64, 91, 87, 1022]), ("<|x", &[27, 91, 87, 1022]), ("i|x", &[72, 91, 87, 1022]), ("q|x", &[80, 91, 87, 1022])]),
        ("{{ messages[0].content|length }}", [("3", &[18, 1022]), ("3", &[18, 1022]), ("1", &[16, 1022]), ("6", &[21, 1022]), ("4", &[19, 1022])]),
        ("{{ messages[0].content.startswith('>') }}", [("True", &[51, 81, 84, 68, 1022]), ("False", &[37, 64, 75, 82, 68, 1022]), ("False", &[37, 64, 75, 82, 68, 1022]), ("False", &[37, 64, 75, 82, 68, 1022]), ("False", &[37, 64, 75, 82, 68, 1022])]),
        ("{{ messages[0].content.endswith('a <') }}", [("False", &[37, 64, 75, 82, 68, 1022]), ("True", &[51, 81, 84, 68, 1022]), ("False", &[37, 64, 75, 82, 68, 1022]), ("False", &[37, 64, 75, 82, 68, 1022]), ("False", &[37, 64, 75, 82, 68, 1022])]),
        ("{{ messages[0].content|tojson(ensure_ascii=true) }}", [("\"> q\"", &[1, 29, 220, 80, 1, 1022]), ("\"a <\"", &[1, 64, 220, 27, 1, 1022]), ("\"<\"", &[1, 27, 1, 1022]), ("\"id|> x\"", &[1, 72, 67, 91, 29, 220, 87, 1, 1022]), ("\"q <|\"", &[1, 80, 220, 27, 91, 1, 1022])]),
        ("{{ messages[0] }}", [("{'role': 'user', 'content': '> q'}", &[90, 6, 81, 78, 321, 6, 25, 220, 6, 84, 82, 271, 6, 11, 220, 6, 66, 78, 77, 257, 77, 83, 6, 25, 220, 6, 29, 220, 80, 6, 92, 1022]), ("{'role': 'user', 'content': 'a <'}", &[90, 6, 81, 78, 321, 6, 25, 220, 6, 84, 82, 271, 6, 11, 220, 6, 66, 78, 77, 257, 77, 83, 6, 25, 220, 6, 64, 220, 27, 6, 92, 1022]), ("{'role': 'user', 'content': '<'}", &[90, 6, 81, 78, 321, 6, 25, 220, 6, 84, 82, 271, 6, 11, 220, 6, 66, 78, 77, 257, 77, 83, 6, 25, 220, 6, 27, 6, 92, 1022]), ("{'role': 'user', 'content': 'id|> x'}", &[90, 6, 81, 78, 321, 6, 25, 220, 6, 84, 82, 271, 6, 11, 220, 6, 66, 78, 77, 257, 77, 83, 6, 25, 220, 6, 72, 67, 91, 29, 220, 87, 6, 92, 1022]), ("{'role': 'user', 'content': 'q <|'}", &[90, 6, 81, 78, 321, 6, 25, 220, 6, 84, 82, 271, 6, 11, 220, 6, 66, 78, 77, 257, 77, 83, 6, 25, 220, 6, 80, 220, 27, 91, 6, 92, 1022])]),
        ("{{ messages[0].content|capitalize }}", [("> q", &[29, 220, 80, 1022]), ("A <", &[32, 220, 27, 1022]), ("<", &[27, 1022]), ("Id|> x", &[40, 67, 91, 29, 220, 87, 1022]), ("Q <|", &[48, 220, 27, 91, 1022])]),
        ("{{ messages[0].content.split('>')|length }}", [("2", &[17, 1022]), ("1", &[16, 1022]), ("1", &[16, 1022]), ("2", &[17, 1022]), ("1", &[16, 1022])]),
        ("{{ '|' in messages[0].content[:3] }}", [("False", &[37, 64, 75, 82, 68, 1022]), ("False", &[37, 64, 75, 82, 68, 1022]), ("False", &[37, 64, 75, 82, 68, 1022]), ("True", &[51, 81, 84, 68, 1022]), ("False", &[37, 64, 75, 82, 68, 1022])]),
        ("{{ messages[0].content.lstrip('> ') }}|", [("q|", &[80, 91, 1022]), ("a <|", &[64, 220, 27, 91, 1022]), ("<|", &[27, 91, 1022]), ("id|> x|", &[72, 67, 91, 29, 220, 87, 91, 1022]), ("q <||", &[80, 220, 27, 91, 91, 1022])]),
        ("{{ messages[0].content|list }}", [("['>', ' ', 'q']", &[58, 6, 29, 6, 11, 220, 6, 220, 6, 11, 220, 6, 80, 6, 60, 1022]), ("['a', ' ', '<']", &[58, 6, 64, 6, 11, 220, 6, 220, 6, 11, 220, 6, 27, 6, 60, 1022]), ("['<']", &[58, 6, 27, 6, 60, 1022]), ("['i', 'd', '|', '>', ' ', 'x']", &[58, 6, 72, 6, 11, 220, 6, 67, 6, 11, 220, 6, 91, 6, 11, 220, 6, 29, 6, 11, 220, 6, 220, 6, 11, 220, 6, 87, 6, 60, 1022]), ("['q', ' ', '<', '|']", &[58, 6, 80, 6, 11, 220, 6, 220, 6, 11, 220, 6, 27, 6, 11, 220, 6, 91, 6, 60, 1022])]),
        ("{{ messages[0].content|replace('> q','Z') }}", [("Z", &[57, 1022]), ("a <", &[64, 220, 27, 1022]), ("<", &[27, 1022]), ("id|> x", &[72, 67, 91, 29, 220, 87, 1022]), ("q <|", &[80, 220, 27, 91, 1022])]),
];

/// The tiny model with another template.
fn chat(template: &str) -> Chat {
    let copy = TempDir::new().expect("a folder");
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(Path::new(MODEL).join(name), copy.path().join(name)).expect(name);
    }
    fs::write(copy.path().join("chat_template.jinja"), template).expect("a template");
    Chat::from_folder(&copy).expect("a chat")
}

fn encoded(template: &str, content: &str) -> Result<Vec<u32>> {
    chat(template).encode(&[Message::user(content)], false)
}

#[test]
fn templates_see_messages_as_they_are() {
    for (beginning, expected) in CASES {
        let chat = chat(&format!("{beginning}<|eot_id|>"));
        for (content, (text, ids)) in MESSAGES.iter().zip(expected) {
            let messages = [Message::user(*content)];
            assert_eq!(chat.render(&messages, false).expect("a text"), format!("{text}<|eot_id|>"));
            assert_eq!(chat.encode(&messages, false).expect("ids"), *ids, "{beginning} of {content:?}");
        }
    }
}

#[test]
fn a_message_is_still_no_special_token_where_the_template_looks_into_it() {
    let spelt = |template: &str, content: &str| {
        let ids = encoded(template, content).expect("ids");
        let chat = chat(template);
        assert_eq!(
            chat.tokenizer().decode(&ids, false).expect("text"),
            chat.render(&[Message::user(content)], false).expect("text")
        );
        ids.iter().filter(|&&id| id == END_OF_TURN).count()
    };
    // The marks do not change what it writes.
    let looks = "{% if messages[0].content.startswith('> ') %}{% endif %}<{{ messages[0].content | trim }}<|eot_id|>";
    for content in ["> <|eot_id|>", "<|eot_id|>", "|eot_id|>", "\x1f|eot_id|> ", "> q"] {
        assert_eq!(spelt(looks, content), 1, "{content:?}");
    }
    // It says nothing against the message, but against the mark.
    let raises =
        "{% if messages[0].content[:1] != '>' %}{{ raise_exception('no') }}{% endif %}{{ messages[0].content }}";
    assert_eq!(encoded(raises, "> q").expect("ids"), [29, 220, 80]);
    assert_eq!(encoded(raises, "q").expect_err("it raises").kind(), ErrorKind::Template);
    // The token that the message spells does not reach the text.
    assert_eq!(spelt("{{ messages[0].content | length }}<|eot_id|>", "<|end_header_id|>"), 1);
}

#[test]
fn what_is_not_clear_is_refused() {
    let refused = |template: &str, content: &str, token: &str| {
        let error = encoded(template, content).expect_err(template);
        assert_eq!(error.kind(), ErrorKind::Template);
        let expected = format!(
            "messages[0] spells the special token `{token}` or a part of it, and what the chat template writes depends on that \
             message's text, so that it is not clear whether the token in the conversation is the template's or the message's"
        );
        assert_eq!(error.to_string(), expected, "{template}");
    };
    let content = "{{ messages[0].content }}";
    refused(&format!("{{{{ messages[0].content | length }}}}{content}"), "<|eot_id|>", "<|eot_id|>");
    refused(
        &format!("{{% if '<|eot_id|>' in messages[0].content %}}!{{% endif %}}{content}"),
        "a<|eot_id|>",
        "<|eot_id|>",
    );
    refused("{{ messages[0] }}", "<|eot_id|>", "<|eot_id|>");
    // A part of the message is what completes the template's.
    refused("<|eot_id|{{ messages[0].content[:1] }}", "> q", "<|eot_id|>");
    refused(&format!("{{{{ messages[0].content | length }}}}<|eot_id|{content}"), "> q", "<|eot_id|>");
    let allowed = chat(content).allow_special_tokens(true).encode(&[Message::user("<|eot_id|>")], false);
    assert_eq!(allowed.expect("ids"), [END_OF_TURN]);
}
