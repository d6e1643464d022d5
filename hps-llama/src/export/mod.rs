//! What other programs read: an adapter for llama.cpp, and a base quantised as bitsandbytes does it.

mod four_bit_folder;
mod gguf_adapter;

pub use four_bit_folder::write_four_bit_folder;
pub use gguf_adapter::write_gguf_adapter;
