//! What messages spell like special tokens, told from what the template writes.

use std::borrow::Cow;

use super::{Chat, Message};
use crate::tokens::{Piece, SpecialToken};
use crate::{Error, ErrorKind, Result};

impl Chat {
    /// The tokens of a conversation that the template rendered as `text`, whose messages spell no special token.
    ///
    /// The conversation is rendered once more with marks where messages spell tokens. The marks say which spellings are
    /// messages', but only where the template wrote the same text around them.
    ///
    /// # Errors
    /// The template writes another text because of the marks, and `text` has a token that a message may have spelt.
    pub(super) fn encode_apart(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        text: &str,
    ) -> Result<Vec<u32>> {
        let special = self.tokenizer().special();
        let spells = |message: &Message| special.spells(&message.role) || special.spells(&message.content);
        if !messages.iter().any(spells) {
            return self.tokenizer().encode_with_special(text);
        }
        let sentinel = self.unused_char(messages, text)?;
        let marked = messages.iter().map(|message| Message {
            role: special.break_spellings(&message.role, sentinel),
            content: special.break_spellings(&message.content, sentinel),
        });
        // What a template says against marked messages is not said of the messages.
        let marked = self.render(&marked.collect::<Vec<_>>(), add_generation_prompt).unwrap_or_default();
        if marked.replace(sentinel, "") == text {
            return self.tokenizer().encode_pieces(&marked, |piece, first| {
                let whole = if piece.contains(sentinel) {
                    Cow::Owned(piece.replace(sentinel, ""))
                } else {
                    Cow::Borrowed(piece)
                };
                self.tokenizer().encode_piece(&whole, first)
            });
        }
        match self.unclear(messages, text, &marked) {
            None => self.tokenizer().encode_with_special(text),
            Some((index, token)) => {
                let message = format!(
                    "messages[{index}] spells the special token `{}` or a part of it, and what the chat template writes \
                     depends on that message's text, so that it is not clear whether the token in the conversation is the \
                     template's or the message's",
                    token.content
                );
                Err(Error::new(ErrorKind::Template, message))
            }
        }
    }

    /// A special token of the text that a message may have spelt, and the message's index: one that the message spells
    /// whole, or one that it spells in part and that `text` has more often than the template wrote it around the marks.
    fn unclear(&self, messages: &[Message], text: &str, marked: &str) -> Option<(usize, &SpecialToken)> {
        let special = self.tokenizer().special();
        let count = |text: &str, id: u32| special.split(text).filter(|piece| *piece == Piece::Special(id)).count();
        special.tokens().iter().find_map(|token| {
            let written = count(text, token.id);
            if written == 0 {
                return None;
            }
            let more = written > count(marked, token.id);
            let may_spell = |part: &str| part.contains(&token.content) || more && token.may_be_completed(part);
            let index = messages.iter().position(|turn| may_spell(&turn.role) || may_spell(&turn.content))?;
            Some((index, token))
        })
    }

    /// A character that neither the messages nor the template, what it wrote, or a special token uses: a noncharacter if one
    /// is left, else one for private use.
    fn unused_char(&self, messages: &[Message], text: &str) -> Result<char> {
        let template = self.template().map_or("", |template| template.source());
        let special = self.tokenizer().special_tokens();
        let used = |candidate: char| {
            template.contains(candidate)
                || text.contains(candidate)
                || special.iter().any(|token| token.content.contains(candidate))
                || messages.iter().any(|turn| turn.content.contains(candidate) || turn.role.contains(candidate))
        };
        ('\u{fdd0}'..='\u{fdef}').chain('\u{e000}'..='\u{f8ff}').find(|&candidate| !used(candidate)).ok_or_else(|| {
            Error::new(
                ErrorKind::Tokens,
                "the messages use every private-use character, so none can mark special tokens",
            )
        })
    }
}
