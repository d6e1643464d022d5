//! Rows as the model reads them, with the boundary of prompt and response in colour.

use crate::terminal::{say, styled};
use anstyle::{AnsiColor, Style};
use hps_llama::Result;
use hps_llama::chat::Chat;
use hps_llama::train::Example;
use hps_llama::visible;

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
        say!("\nsample {} of {}: {}", number + 1, places.len(), visible(&examples[*place].place));
        print_one(&examples[*place], chat)?;
    }
    Ok(())
}

fn print_one(example: &Example, chat: &Chat) -> Result<()> {
    let text =
        |tokens: &[u32]| Ok::<_, hps_llama::Error>(visible(&chat.tokenizer().decode(tokens, false)?).into_owned());
    let prompt = text(&example.group.prompt)?;
    let cut = prompt.chars().count().saturating_sub(SHOWN);
    let shown: String = prompt.chars().skip(cut).collect();
    let before = if cut > 0 { "…" } else { "" };
    say!("  prompt, {} tokens", example.group.prompt.len());
    styled(PROMPT, &format!("{before}{shown}"));
    let count = example.group.responses.len();
    for (index, response) in example.group.responses.iter().enumerate() {
        if index + 1 >= RESPONSES && index + 1 < count {
            if index + 1 == RESPONSES {
                say!("  … {} more …", count - RESPONSES);
            }
            continue;
        }
        let (name, style) = if index == 0 { ("best", BEST) } else { ("response", OTHER) };
        let whole = text(response)?;
        let shown: String = whole.chars().take(SHOWN).collect();
        let after = if whole.chars().count() > SHOWN { "…" } else { "" };
        say!("  {name}, reward {}, {} tokens", example.rewards[index], response.len());
        styled(style, &format!("{shown}{after}"));
    }
    Ok(())
}
