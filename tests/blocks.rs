//! Blocks of a few bits a number against candle, a second program that decodes ggml's types and the one that also makes all
//! of them. Values of the programs that define the types are in `hps-llama/tests/blocks`.

use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{Device, Result, Tensor};
use hps_llama::blocks::{BlockType, quantise_q8_0};

fn candle_type(block: BlockType) -> GgmlDType {
    match block {
        BlockType::Q4_0 => GgmlDType::Q4_0,
        BlockType::Q4_1 => GgmlDType::Q4_1,
        BlockType::Q5_0 => GgmlDType::Q5_0,
        BlockType::Q5_1 => GgmlDType::Q5_1,
        BlockType::Q8_0 => GgmlDType::Q8_0,
        BlockType::Q2K => GgmlDType::Q2K,
        BlockType::Q3K => GgmlDType::Q3K,
        BlockType::Q4K => GgmlDType::Q4K,
        BlockType::Q5K => GgmlDType::Q5K,
        BlockType::Q6K => GgmlDType::Q6K,
    }
}

/// The size of a weight's numbers, with a few that are large.
fn weights(numbers: usize) -> Vec<f32> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    (0..numbers).map(|i| (next() + next() + next() - 1.5) * if i % 97 == 0 { 0.3 } else { 0.04 }).collect()
}

fn assert_same_bits(block: BlockType, stored: &[u8], theirs: &[f32]) {
    let mut ours = vec![f32::NAN; theirs.len()];
    block.decode(stored, 0, &mut ours);
    let differs = ours.iter().zip(theirs).position(|(ours, theirs)| ours.to_bits() != theirs.to_bits());
    assert_eq!(differs, None, "{block}");
}

#[test]
fn what_candle_quantises_decodes_alike() -> Result<()> {
    let numbers = weights(16 * 512);
    let matrix = Tensor::from_slice(&numbers, (16, 512), &Device::Cpu)?;
    for block in BlockType::ALL {
        let made = QTensor::quantize(&matrix, candle_type(block))?;
        let theirs = made.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>()?;
        assert_same_bits(block, &made.data()?, &theirs);
        // That it was these numbers which were quantised.
        let error = numbers.iter().zip(&theirs).map(|(number, theirs)| (number - theirs).abs()).fold(0.0, f32::max);
        assert!(error < 0.08, "{block}: {error}");
    }
    Ok(())
}

#[test]
fn any_blocks_decode_alike() -> Result<()> {
    for block in BlockType::ALL {
        // Bytes below 0x7c, so that no scale is infinite; any others are codes.
        let bytes = weights(40 * block.bytes()).into_iter().map(|number| (number.to_bits() >> 8) as u8 % 0x7c);
        let stored: Vec<u8> = bytes.collect();
        let storage = QStorage::Cpu(candle_type(block).from_data(stored.clone().into()));
        let theirs = QTensor::new(storage, (40, block.numbers()))?.dequantize(&Device::Cpu)?;
        assert_same_bits(block, &stored, &theirs.flatten_all()?.to_vec1::<f32>()?);
    }
    Ok(())
}

#[test]
fn q8_0_is_quantised_alike() -> Result<()> {
    let numbers = weights(8 * 512);
    let ours = quantise_q8_0(numbers.len(), |first, out| out.copy_from_slice(&numbers[first..first + out.len()]));
    let theirs = QTensor::quantize(&Tensor::from_slice(&numbers, (8, 512), &Device::Cpu)?, GgmlDType::Q8_0)?;
    let mut codes = 0;
    for (ours, theirs) in ours.expect("finite numbers").iter().zip(theirs.data()?.iter()) {
        codes += usize::from(ours != theirs);
    }
    assert_eq!(codes, 0);
    Ok(())
}
