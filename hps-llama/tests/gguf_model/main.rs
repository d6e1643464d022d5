//! A Llama in a GGUF file, read as a folder of small files: its shape, its tokenizer, its template, and what is refused.

mod companions;
mod config;
mod hostile;
mod lines;
mod llama3;
mod refusals;
mod rope;
mod sentencepiece;
mod smollm2;
mod written;
