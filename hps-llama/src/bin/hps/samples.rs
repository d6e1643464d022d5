//! Rows as the model reads them, with the boundary of prompt and response in colour.

use anstyle::{AnsiColor, Style};
use hps_llama::Result;
use hps_llama::chat::Chat;
use hps_llama::train::Example;

/// The word `error`.
pub const ERROR: Style = AnsiColor::Red.on_default().bold();
const PROMPT: Style = AnsiColor::Cyan.on_default();
const BEST: Style = AnsiColor::Green.on_default().bold();
const OTHER: Style = AnsiColor::Red.on_default();

/// Characters of a prompt's end and of a response's beginning that are shown.
const SHOWN: usize = 400;
/// Responses that are shown, the last of them the worst.
const RESPONSES: usize = 3;

/// Prints the first, the middle and the last row.
pub fn print(examples: &[Example], chat: &Chat) -> Result<()> {
    let mut places = vec![0, examples.len() / 2, examples.len().saturating_sub(1)];
    places.dedup();
    for (number, place) in places.iter().enumerate() {
        anstream::println!("\nsample {} of {}: {}", number + 1, places.len(), examples[*place].place);
        print_one(&examples[*place], chat)?;
    }
    Ok(())
}

fn print_one(example: &Example, chat: &Chat) -> Result<()> {
    let text = |tokens: &[u32]| Ok::<_, hps_llama::Error>(visible(&chat.tokenizer().decode(tokens, false)?));
    let prompt = text(&example.group.prompt)?;
    let cut = prompt.chars().count().saturating_sub(SHOWN);
    let shown: String = prompt.chars().skip(cut).collect();
    let before = if cut > 0 { "…" } else { "" };
    anstream::println!("  prompt, {} tokens", example.group.prompt.len());
    anstream::println!("    {PROMPT}{before}{shown}{PROMPT:#}");
    let count = example.group.responses.len();
    for (index, response) in example.group.responses.iter().enumerate() {
        if index + 1 >= RESPONSES && index + 1 < count {
            if index + 1 == RESPONSES {
                anstream::println!("  … {} more …", count - RESPONSES);
            }
            continue;
        }
        let (name, style) = if index == 0 { ("best", BEST) } else { ("response", OTHER) };
        let whole = text(response)?;
        let shown: String = whole.chars().take(SHOWN).collect();
        let after = if whole.chars().count() > SHOWN { "…" } else { "" };
        anstream::println!("  {name}, reward {}, {} tokens", example.rewards[index], response.len());
        anstream::println!("    {style}{shown}{after}{style:#}");
    }
    Ok(())
}

/// Line ends and other control characters by their escapes: a row does not steer the terminal.
pub fn visible(text: &str) -> String {
    let escaped = |letter: char| {
        let escape = letter.is_control().then(|| letter.escape_default());
        let plain = if letter.is_control() { None } else { Some(letter) };
        escape.into_iter().flatten().chain(plain)
    };
    text.chars().flat_map(escaped).collect()
}
