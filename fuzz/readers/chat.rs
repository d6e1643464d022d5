//! Any text as the messages of a conversation: no panic, and nobody but the template writes a special token.

use hps_llama::chat::{Chat, Message};
use std::cell::OnceCell;
use std::path::Path;

thread_local! {
    static CHAT: OnceCell<Chat> = const { OnceCell::new() };
}

const ROLES: [&str; 3] = ["system", "user", "assistant"];

pub fn run(data: &[u8]) {
    let Some((kinds, text)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    let contents: Vec<&str> = text.splitn(4, '\u{1e}').collect();
    let role = |index: usize| ROLES[(usize::from(*kinds) >> (2 * index)) % ROLES.len()];
    let messages: Vec<Message> =
        contents.iter().enumerate().map(|(index, content)| Message::new(role(index), *content)).collect();
    let plain: Vec<Message> = messages.iter().map(|message| Message::new(message.role.clone(), "said")).collect();
    CHAT.with(|chat| {
        let chat = chat.get_or_init(|| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/models/tiny");
            Chat::from_folder(folder).expect("the test model's template and tokenizer")
        });
        let special = |messages: &[Message]| {
            let tokens = chat.encode(messages, true).ok()?;
            Some(tokens.into_iter().filter(|id| is_special(chat, *id)).collect::<Vec<_>>())
        };
        assert_eq!(special(&messages), special(&plain), "{messages:?}");
    });
}

fn is_special(chat: &Chat, id: u32) -> bool {
    chat.tokenizer().special_tokens().iter().any(|token| token.id == id)
}
