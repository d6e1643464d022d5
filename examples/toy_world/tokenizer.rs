//! A byte-level BPE tokenizer in Llama 3's scheme, trained on the world's text, and the two files that go with it.

use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, Result, SplitDelimiterBehavior, TokenizerImpl};

/// Tokens of the whole vocabulary, special tokens included.
pub const VOCABULARY: usize = 1024;

/// The last ids of the vocabulary, in this order.
pub const SPECIAL_TOKENS: [&str; 6] = [
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|finetune_right_pad_id|>",
];

/// `chat_template.jinja`: Llama 3's.
pub const CHAT_TEMPLATE: &str = "{% set loop_messages = messages %}{% for message in loop_messages %}\
{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + \
'<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}\
{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}";

/// `tokenizer_config.json`.
pub const TOKENIZER_CONFIG: &str = r#"{
  "backend": "tokenizers",
  "bos_token": "<|begin_of_text|>",
  "eos_token": "<|eot_id|>",
  "model_max_length": 2048,
  "pad_token": "<|finetune_right_pad_id|>",
  "tokenizer_class": "TokenizersBackend"
}
"#;

const WORD_PATTERN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Trains on the texts and returns `tokenizer.json`. The same texts give the same bytes.
///
/// # Errors
/// If the texts are too few for a vocabulary of this size.
pub fn train_tokenizer(texts: impl Iterator<Item = String> + Send, vocabulary: usize) -> Result<String> {
    let words = Split::new(SplitPattern::Regex(WORD_PATTERN.to_owned()), SplitDelimiterBehavior::Isolated, false)?;
    let bytes = ByteLevel::new(false, true, false);
    let begin = SPECIAL_TOKENS[0];
    let learned = vocabulary.saturating_sub(SPECIAL_TOKENS.len());

    type Scheme = TokenizerImpl<BPE, NormalizerWrapper, Sequence, TemplateProcessing, ByteLevel>;
    let mut tokenizer = Scheme::new(BPE::builder().ignore_merges(true).build()?);
    tokenizer.with_pre_tokenizer(Some(Sequence::new(vec![
        PreTokenizerWrapper::Split(words),
        PreTokenizerWrapper::ByteLevel(bytes),
    ])));
    let mut trainer = BpeTrainer::builder()
        .vocab_size(learned)
        .show_progress(false)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    tokenizer.train(&mut trainer, texts)?;
    if tokenizer.get_vocab_size(false) != learned {
        let reached = tokenizer.get_vocab_size(false);
        return Err(format!("the texts give {reached} tokens, {learned} were asked for").into());
    }
    tokenizer.add_special_tokens(SPECIAL_TOKENS.map(|token| AddedToken::from(token, true)))?;
    let begin_id = tokenizer.token_to_id(begin).expect("it was just added");
    tokenizer.with_decoder(Some(ByteLevel::default()));
    tokenizer.with_post_processor(Some(
        TemplateProcessing::builder()
            .try_single(format!("{begin}:0 $A:0"))?
            .try_pair(format!("{begin}:0 $A:0 {begin}:0 $B:0"))?
            .special_tokens(vec![(begin.to_owned(), begin_id)])
            .build()?,
    ));
    tokenizer.to_string(true)
}
