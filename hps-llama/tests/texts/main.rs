//! Messages to tokens and back: chat templates, special tokens, and tokenizers as other people's folders have them.

mod chat;
mod spelt;
mod templates;
mod tokenizer_files;
mod tokenizers;
mod tokens;
