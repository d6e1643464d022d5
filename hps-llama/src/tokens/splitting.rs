//! The pre-tokenizer, with its failures: the library's own stops splitting where a pattern fails, and goes on in silence.
//!
//! A pattern fails where it would go back more often than a million times, as on a million white-space characters.

use fancy_regex::Regex;
use tokenizers::pattern::Invert;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::split::SplitPattern;
use tokenizers::{PreTokenizedString, PreTokenizer, Result, SplitDelimiterBehavior};

/// What GPT-2 splits by, and `ByteLevel` unless it is told not to.
const GPT_2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// A pre-tokenizer's steps.
#[derive(Debug, Default)]
pub(super) struct Splitting(Vec<Step>);

#[derive(Debug)]
enum Step {
    /// By a pattern.
    Pattern { pattern: Box<Regex>, behavior: SplitDelimiterBehavior, invert: bool },
    /// A space before each part that has none.
    PrefixSpace,
    /// As the library does it.
    Other(Box<PreTokenizerWrapper>),
    /// The same, on a text's beginning; then, on what comes after special tokens.
    Metaspace { first: Metaspace, later: Metaspace },
}

impl Splitting {
    /// Of a tokenizer's.
    pub(super) fn new(pre_tokenizer: Option<&PreTokenizerWrapper>) -> Result<Splitting> {
        let mut splitting = Splitting::default();
        if let Some(step) = pre_tokenizer {
            splitting.push(step)?;
        }
        Ok(splitting)
    }

    fn push(&mut self, step: &PreTokenizerWrapper) -> Result<()> {
        let step = match step {
            PreTokenizerWrapper::Sequence(steps) => return steps.as_ref().iter().try_for_each(|step| self.push(step)),
            PreTokenizerWrapper::Split(split) => match &split.pattern {
                SplitPattern::Regex(pattern) => Step::Pattern {
                    pattern: Box::new(Regex::new(pattern)?),
                    behavior: split.behavior,
                    invert: split.invert,
                },
                SplitPattern::String(_) => Step::Other(Box::new(step.clone())),
            },
            PreTokenizerWrapper::ByteLevel(bytes) if bytes.use_regex => {
                if bytes.add_prefix_space {
                    self.0.push(Step::PrefixSpace);
                }
                let pattern = Box::new(Regex::new(GPT_2)?);
                self.0.push(Step::Pattern { pattern, behavior: SplitDelimiterBehavior::Isolated, invert: false });
                Step::Other(Box::new(PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, bytes.trim_offsets, false))))
            }
            PreTokenizerWrapper::Metaspace(first) => {
                let mut later = first.clone();
                if first.prepend_scheme == PrependScheme::First {
                    later.prepend_scheme = PrependScheme::Never;
                }
                Step::Metaspace { first: first.clone(), later }
            }
            other => Step::Other(Box::new(other.clone())),
        };
        self.0.push(step);
        Ok(())
    }

    /// Splits a text between special tokens; `first` is whether a text begins with it.
    ///
    /// # Errors
    /// A pattern fails.
    pub(super) fn apply(&self, text: &mut PreTokenizedString, first: bool) -> Result<()> {
        for step in &self.0 {
            match step {
                Step::Pattern { pattern, behavior, invert: false } => {
                    text.split(|_, part| part.split(&**pattern, *behavior))?;
                }
                Step::Pattern { pattern, behavior, invert: true } => {
                    text.split(|_, part| part.split(Invert(&**pattern), *behavior))?;
                }
                Step::PrefixSpace => text.split(|_, mut part| {
                    if !part.get().starts_with(' ') {
                        part.prepend(" ");
                    }
                    Ok([part])
                })?,
                Step::Metaspace { first: step, .. } if first => step.pre_tokenize(text)?,
                Step::Metaspace { later: step, .. } => step.pre_tokenize(text)?,
                Step::Other(step) => step.pre_tokenize(text)?,
            }
        }
        Ok(())
    }
}
