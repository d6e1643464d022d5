//! Conversations to tokens: the model's chat template, then its tokenizer.
//!
//! A template writes special tokens; a message cannot. The template is rendered with the messages as they are, and this is the
//! text. It is rendered again with a character inserted in what a message spells like a special token: where this gives the same
//! text but for that character, the special tokens that are still whole are the template's, and the rest is plain text. Where
//! the template looks into the message so that it gives another text, the first one counts, and a row is refused if a special
//! token in it may be the message's. [`Chat::allow_special_tokens`] turns this off. A template may still spell a token *around*
//! a role, as `<|user|>` of `<|`, the role, `|>`.
//!
//! No token is added that the template does not write, BOS among them, as with transformers' `apply_chat_template`.

use std::path::Path;

use crate::beside;
pub use crate::data::{Message, Prompt, Response};
use crate::hub::expect_model_here;
use crate::pack::Group;
use crate::tokens::{Tokenizer, read_json};
use crate::{Error, ErrorKind, Result};

mod date;
mod spelt;
mod template;

pub use date::TemplateDate;
pub use template::ChatTemplate;

/// A chat template, where the model has one, and a tokenizer.
#[derive(Debug)]
pub struct Chat {
    template: Option<ChatTemplate>,
    tokenizer: Tokenizer,
    allow_special_tokens: bool,
    positions: Option<usize>,
    date: Option<TemplateDate>,
}

impl Chat {
    /// Reads a model folder's tokenizer and its template; without a template only text prompts can be encoded. The
    /// metadata of a GGUF file is read as the folder's files.
    pub fn from_folder(folder: impl AsRef<Path>) -> Result<Self> {
        expect_model_here(folder.as_ref())?;
        let template = ChatTemplate::from_folder(&folder)?;
        let config = read_json(folder.as_ref(), "config.json")?.unwrap_or_default();
        let positions = match &config["max_position_embeddings"] {
            serde_json::Value::Null => None,
            other => Some(other.as_u64().ok_or_else(|| {
                let message = format!("`max_position_embeddings` is {other}, not a number of positions");
                Error::new(ErrorKind::Config, message).at(beside::place(folder.as_ref(), "config.json"))
            })?),
        };
        let positions = positions.map(|positions| usize::try_from(positions).unwrap_or(usize::MAX));
        Ok(Chat {
            template,
            tokenizer: Tokenizer::from_folder(folder)?,
            allow_special_tokens: false,
            positions,
            date: None,
        })
    }

    /// The day that a template's `strftime_now` writes; without it a template that needs one is refused.
    #[must_use]
    pub fn template_date(mut self, date: Option<TemplateDate>) -> Self {
        if let Some(date) = date {
            self.template = self.template.map(|template| template.with_date(date));
            self.date = Some(date);
        }
        self
    }

    /// The day that its template writes, if one was given.
    pub fn date(&self) -> Option<TemplateDate> {
        self.date
    }

    /// Whether sequences of more tokens than the model has positions pass [`expect_positions`](Self::expect_positions).
    #[must_use]
    pub fn allow_long_positions(mut self, allow: bool) -> Self {
        if allow {
            self.positions = None;
        }
        self
    }

    /// Whether they pass; also where the folder's `config.json` says nothing of positions.
    pub fn allows_long_positions(&self) -> bool {
        self.positions.is_none()
    }

    /// Refuses a group with a sequence of more tokens than the model has positions (`max_position_embeddings` of the
    /// folder's `config.json`): beyond them a model computes numbers that it was never trained to.
    ///
    /// # Errors
    /// There is one; without a place, the row's is the caller's to add.
    pub fn expect_positions(&self, group: &Group) -> Result<()> {
        let Some(positions) = self.positions else { return Ok(()) };
        let tokens = |response: &Vec<u32>| group.prompt.len() + response.len();
        let Some((index, response)) = group.responses.iter().enumerate().find(|(_, one)| tokens(one) > positions)
        else {
            return Ok(());
        };
        let message = format!(
            "response {index} (best first) has {} tokens with its prompt, and the model has {positions} positions; \
             `allow_long_positions` permits it",
            tokens(response)
        );
        Err(Error::new(ErrorKind::Tokens, message))
    }

    /// How many tokens a response to a prompt of `tokens` may have.
    ///
    /// # Errors
    /// The prompt leaves no position for one; without a place.
    pub fn room_after(&self, tokens: usize) -> Result<usize> {
        match self.positions {
            None => Ok(usize::MAX),
            Some(positions) if tokens < positions => Ok(positions - tokens),
            Some(positions) => {
                let message = format!(
                    "the prompt has {tokens} tokens, and the model has {positions} positions, so none is left for a \
                     response; `allow_long_positions` permits it"
                );
                Err(Error::new(ErrorKind::Tokens, message))
            }
        }
    }

    /// Whether what a message spells like a special token becomes that token. For data whose author you are.
    #[must_use]
    pub fn allow_special_tokens(mut self, allow: bool) -> Self {
        self.allow_special_tokens = allow;
        self
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The template, where the model has one.
    pub fn template(&self) -> Option<&ChatTemplate> {
        self.template.as_ref()
    }

    /// Whether a prompt is text, which the model reads without the template that it has.
    pub fn skips_template(&self, prompt: &Prompt) -> bool {
        self.template.is_some() && matches!(prompt, Prompt::Text(_))
    }

    /// The conversation as the template writes it, with the opening of the assistant's next turn if so asked.
    pub fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        let template = self.template.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Template, "the model has no chat template, so messages cannot be rendered")
        })?;
        template.render(messages, add_generation_prompt, self.tokenizer.all_named())
    }

    /// The conversation's tokens, with the opening of the assistant's next turn if so asked.
    pub fn encode(&self, messages: &[Message], add_generation_prompt: bool) -> Result<Vec<u32>> {
        let text = self.render(messages, add_generation_prompt)?;
        let ids = if self.allow_special_tokens {
            self.tokenizer.encode_with_special(&text)?
        } else {
            self.encode_apart(messages, add_generation_prompt, &text)?
        };
        match self.tokenizer.bos() {
            Some(bos) if ids.starts_with(&[bos.id, bos.id]) => {
                Err(Error::new(ErrorKind::Template, format!("the conversation begins with `{}` twice", bos.content)))
            }
            _ => Ok(ids),
        }
    }

    /// The tokens of a conversation that the assistant is to go on with.
    pub fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>> {
        self.encode(messages, true)
    }

    /// The tokens of a row's prompt.
    pub fn prompt_tokens(&self, prompt: &Prompt) -> Result<Vec<u32>> {
        match prompt {
            Prompt::Messages(messages) => self.prompt(messages),
            Prompt::Text(text) => self.text(text),
        }
    }

    /// The prompt's tokens and the response's, which follow them: see [`group`](Self::group).
    pub fn row(&self, prompt: &Prompt, response: &Response) -> Result<(Vec<u32>, Vec<u32>)> {
        let prompt_tokens = self.prompt_tokens(prompt)?;
        let response_tokens = self.response_tokens(prompt, &prompt_tokens, response)?;
        Ok((prompt_tokens, response_tokens))
    }

    /// The prompt's tokens and those of each response, in the responses' order.
    ///
    /// Messages: the prompt is rendered with the opening of the assistant's turn, prompt and response without. Text, as TRL
    /// takes it: what the tokenizer puts before a text (Llama 3: BOS), prompt and response as one text, and `eos_token` at the
    /// end; a response that already ends with `eos_token`'s spelling gets no second one.
    ///
    /// The prompt's tokens have to be a prefix of prompt and response's; an error of kind [`Tokens`](ErrorKind::Tokens) says
    /// where they part. It has no place: the row's is the caller's to add.
    pub fn group(&self, prompt: &Prompt, responses: &[Response]) -> Result<(Vec<u32>, Vec<Vec<u32>>)> {
        let prompt_tokens = self.prompt_tokens(prompt)?;
        let tokens = responses.iter().map(|response| self.response_tokens(prompt, &prompt_tokens, response));
        let tokens = tokens.collect::<Result<_>>()?;
        Ok((prompt_tokens, tokens))
    }

    fn response_tokens(&self, prompt: &Prompt, prompt_tokens: &[u32], response: &Response) -> Result<Vec<u32>> {
        let mut whole = match (prompt, response) {
            (Prompt::Messages(turns), Response::Messages(more)) => self.encode(&[&turns[..], more].concat(), false)?,
            (Prompt::Messages(turns), Response::Text(text)) => {
                let answer = Message::assistant(text.as_str());
                self.encode(&[&turns[..], &[answer]].concat(), false)?
            }
            (Prompt::Text(text), Response::Text(more)) => {
                let eos = self.tokenizer.eos().ok_or_else(|| {
                    Error::new(ErrorKind::Tokens, "the tokenizer has no `eos_token` to end a text response with")
                })?;
                let more = more.strip_suffix(&eos.content).unwrap_or(more);
                let mut whole = self.text(&format!("{text}{more}"))?;
                whole.push(eos.id);
                whole
            }
            (Prompt::Text(_), Response::Messages(_)) => {
                let message = "the response is a list of messages but the prompt is text";
                return Err(Error::new(ErrorKind::Tokens, message));
            }
        };
        let common = whole.iter().zip(prompt_tokens).take_while(|(one, other)| one == other).count();
        if common < prompt_tokens.len() {
            return Err(self.parted(prompt_tokens, &whole, common));
        }
        if common == whole.len() {
            return Err(Error::new(ErrorKind::Tokens, format!("the response adds no token to the prompt's {common}")));
        }
        Ok(whole.split_off(common))
    }

    /// A text's tokens after what the tokenizer puts before a text.
    fn text(&self, text: &str) -> Result<Vec<u32>> {
        let (front, back) = self.tokenizer.added_around();
        if !back.is_empty() {
            let message = format!("the tokenizer ends every text with {back:?}, so no prompt is a prefix of its row");
            return Err(Error::new(ErrorKind::Tokens, message));
        }
        let encoded = if self.allow_special_tokens {
            self.tokenizer.encode_with_special(text)?
        } else {
            self.tokenizer.encode_plain(text)?
        };
        Ok([front, &encoded].concat())
    }

    fn parted(&self, prompt: &[u32], whole: &[u32], index: usize) -> Error {
        let show = |tokens: &[u32]| match tokens.get(index) {
            None => "nothing".to_owned(),
            Some(&id) => format!("{id} ({:?})", self.tokenizer.decode(&[id], false).unwrap_or_default()),
        };
        let (one, other) = (show(prompt), show(whole));
        let message = format!(
            "the prompt's tokens are not a prefix of the row's: token {index} is {one} in the prompt's {} and {other} in the row's {}",
            prompt.len(),
            whole.len()
        );
        Error::new(ErrorKind::Tokens, message)
    }
}
