//! A stored matrix as the crate has it: the same bytes, and the names of their types there.

use crate::backend::StoredTensor;
use crate::backend::stored::{Encoding, FourBitScales, Precision};
use crate::blocks::{BlockType, FourBitType};
use crate::{Error, ErrorKind, Result};

/// # Errors
/// Its numbers are f32, which are no codes.
pub(super) fn codes<'a>(tensor: &'a StoredTensor<'_>) -> Result<hps_cuda::Codes<'a>> {
    let encoding = match tensor.encoding() {
        Encoding::Numbers(Precision::F32) => {
            return Err(Error::new(ErrorKind::Weights, "numbers in float32 are no codes"));
        }
        Encoding::Numbers(Precision::F16) => hps_cuda::Encoding::F16,
        Encoding::Numbers(Precision::BF16) => hps_cuda::Encoding::BF16,
        Encoding::Blocks(block) => hps_cuda::Encoding::Blocks(block_there(*block)),
        Encoding::FourBit(scales) => hps_cuda::Encoding::FourBit(scales_there(scales)),
    };
    let (rows, columns, interleaved) = (tensor.rows(), tensor.columns(), tensor.interleaved_heads());
    Ok(hps_cuda::Codes { encoding, rows, columns, bytes: tensor.bytes(), interleaved })
}

fn block_there(block: BlockType) -> hps_cuda::BlockType {
    match block {
        BlockType::Q4_0 => hps_cuda::BlockType::Q4_0,
        BlockType::Q4_1 => hps_cuda::BlockType::Q4_1,
        BlockType::Q5_0 => hps_cuda::BlockType::Q5_0,
        BlockType::Q5_1 => hps_cuda::BlockType::Q5_1,
        BlockType::Q8_0 => hps_cuda::BlockType::Q8_0,
        BlockType::Q2K => hps_cuda::BlockType::Q2K,
        BlockType::Q3K => hps_cuda::BlockType::Q3K,
        BlockType::Q4K => hps_cuda::BlockType::Q4K,
        BlockType::Q5K => hps_cuda::BlockType::Q5K,
        BlockType::Q6K => hps_cuda::BlockType::Q6K,
    }
}

fn scales_there(scales: &FourBitScales) -> hps_cuda::FourBitScales<'_> {
    let FourBitScales { kind, block_size, absmax, nested } = scales;
    let kind = match kind {
        FourBitType::Nf4 => hps_cuda::FourBitType::Nf4,
        FourBitType::Fp4 => hps_cuda::FourBitType::Fp4,
    };
    let nested = nested.as_ref().map(|nested| hps_cuda::NestedScales {
        absmax: &nested.absmax,
        quant_map: &nested.quant_map,
        block_size: nested.block_size,
        offset: nested.offset,
    });
    hps_cuda::FourBitScales { kind, block_size: *block_size, absmax, nested }
}
