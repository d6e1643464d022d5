//! Blocks of a few bits a number against the programs that define them, to the bit. `data/blocks/README.md` says how their
//! values were made.

mod four_bit;
mod ggml;
mod reference;
