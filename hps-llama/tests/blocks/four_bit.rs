//! `nf4` and `fp4` against bitsandbytes.

use crate::reference::{assert_same_bits, assert_same_bytes, bfloats, bytes, ranges, reader, singles};
use hps_llama::blocks::{DoubleQuantisation, FourBit, FourBitType, NestedParts, QuantisedFourBit, dynamic_map};
use hps_llama::{ErrorKind, Result};

const KINDS: [FourBitType; 2] = [FourBitType::Nf4, FourBitType::Fp4];

/// bitsandbytes' doubly quantised matrix.
fn double(kind: FourBitType) -> Result<FourBit<'static>> {
    let part = |name: &str| bytes(&format!("{kind}.double.{name}"));
    let nested = NestedParts {
        absmax: part("nested_absmax"),
        quant_map: part("nested_quant_map"),
        block_size: 256,
        offset: singles(&format!("{kind}.double.nested_offset"))[0],
    };
    FourBit::new(kind, 32, 9637, part("packed"), part("absmax"), Some(nested))
}

#[test]
fn the_code_books_are_bitsandbytes() {
    for kind in KINDS {
        assert_same_bits(kind.name(), kind.code_book(), &singles(&format!("{kind}.code_book")));
        assert_same_bits("the map", dynamic_map(), &singles(&format!("{kind}.double.nested_quant_map")));
        assert_eq!(FourBitType::named(kind.name()), Some(kind));
    }
    assert_eq!(FourBitType::named("int4"), None);
}

#[test]
fn decoding_equals_bitsandbytes() -> Result<()> {
    for kind in KINDS {
        for block_size in [32, 64] {
            let part = |name: &str| format!("{kind}.{block_size}.{name}");
            let expected = singles(&part("decoded"));
            let (packed, absmax) = (bytes(&part("packed")), bytes(&part("absmax")));
            let matrix = FourBit::new(kind, block_size, expected.len(), packed, absmax, None)?;
            let mut decoded = vec![f32::NAN; expected.len()];
            matrix.decode(0, &mut decoded);
            assert_same_bits(&part("decoded"), &decoded, &expected);
        }
        let packed: Vec<u8> = (0..=255).collect();
        let scales: Vec<u8> =
            [0.1f32, -0.7, 1e-39, 3e38].repeat(4).iter().flat_map(|scale| scale.to_le_bytes()).collect();
        let mut decoded = [f32::NAN; 512];
        FourBit::new(kind, 32, 512, &packed, &scales, None)?.decode(0, &mut decoded);
        assert_same_bits(kind.name(), &decoded, &singles(&format!("{kind}.all")));
    }
    Ok(())
}

#[test]
fn decoding_doubly_quantised_equals_bitsandbytes() -> Result<()> {
    for kind in KINDS {
        let expected = singles(&format!("{kind}.double.decoded_from_9000"));
        let mut decoded = vec![f32::NAN; expected.len()];
        double(kind)?.decode(9000, &mut decoded);
        assert_same_bits(kind.name(), &decoded, &expected);
    }
    Ok(())
}

/// Ranges begin and end inside a block and inside a byte.
#[test]
fn any_range_is_that_part_of_the_whole() -> Result<()> {
    for kind in KINDS {
        let matrix = double(kind)?;
        let mut whole = vec![f32::NAN; 330];
        matrix.decode(0, &mut whole);
        for (first, length) in ranges(whole.len(), 32) {
            let mut decoded = vec![f32::NAN; length];
            matrix.decode(first, &mut decoded);
            assert_same_bits(&format!("{kind} from {first}"), &decoded, &whole[first..first + length]);
        }
        let mut last = [f32::NAN; 1];
        matrix.decode(9636, &mut last);
        assert_same_bits(kind.name(), &last, &singles(&format!("{kind}.double.decoded_from_9000"))[636..]);
    }
    Ok(())
}

/// Ties, a block of zeros, of subnormal numbers, one smaller than 10⁻³⁸, a short last block with an odd number.
#[test]
fn quantising_equals_bitsandbytes() -> Result<()> {
    let weights = singles("four_bit.weights");
    for kind in KINDS {
        for block_size in [32, 64, 128, 4096] {
            let part = |name: &str| format!("{kind}.{block_size}.{name}");
            let made = kind.quantise(weights.len(), block_size, DoubleQuantisation::Off, reader(&weights))?;
            assert_same_bytes(&part("packed"), &made.packed, bytes(&part("packed")));
            assert_same_bytes(&part("absmax"), &made.absmax, bytes(&part("absmax")));
            assert_eq!(made.nested, None);
        }
    }
    Ok(())
}

#[test]
fn double_quantising_equals_bitsandbytes_around_its_offset() -> Result<()> {
    let weights = bfloats("four_bit.many");
    for kind in KINDS {
        let part = |name: &str| bytes(&format!("{kind}.double.{name}"));
        let offset = singles(&format!("{kind}.double.nested_offset"))[0];
        let made = kind.quantise(weights.len(), 32, DoubleQuantisation::Around(offset), reader(&weights))?;
        let nested = made.nested.as_ref().expect("nested scales");
        assert_same_bytes("packed", &made.packed, part("packed"));
        assert_same_bytes("absmax", &made.absmax, part("absmax"));
        assert_same_bytes("nested_absmax", &nested.absmax, part("nested_absmax"));
        assert_same_bytes("nested_quant_map", &nested.quant_map, part("nested_quant_map"));
        assert_eq!((nested.block_size, nested.offset), (256, offset));
        // What is made is what is read.
        let (mut decoded, mut expected) = (vec![0.0; weights.len()], vec![0.0; weights.len()]);
        made.view()?.decode(0, &mut decoded);
        double(kind)?.decode(0, &mut expected);
        assert_same_bits(kind.name(), &decoded, &expected);
    }
    Ok(())
}

/// bitsandbytes sums the mean in f32, in an order of its own: here it is the nearest f32 or one beside it.
#[test]
fn the_mean_of_the_scales_is_bitsandbytes_but_for_rounding() -> Result<()> {
    let weights = bfloats("four_bit.many");
    let made = FourBitType::Nf4.quantise(weights.len(), 32, DoubleQuantisation::AroundMean, reader(&weights))?;
    let (mean, theirs) = (made.nested.expect("nested scales").offset, singles("nf4.double.nested_offset")[0]);
    assert!((mean - theirs).abs() <= 4.0 * f32::EPSILON * theirs, "{mean} for {theirs}");
    Ok(())
}

/// Over many chunks and threads, each chunk is what it is alone.
#[test]
fn a_large_matrix_is_its_parts() -> Result<()> {
    const PART: usize = 1 << 14;
    let weights: Vec<f32> = (0..5 * PART + 77).map(|i| (i as f32 * 0.37).sin() * (i % 97) as f32).collect();
    let whole = FourBitType::Nf4.quantise(weights.len(), 64, DoubleQuantisation::Off, reader(&weights))?;
    let parts: Vec<QuantisedFourBit> = weights
        .chunks(PART)
        .map(|part| FourBitType::Nf4.quantise(part.len(), 64, DoubleQuantisation::Off, reader(part)))
        .collect::<Result<_>>()?;
    assert_same_bytes("packed", &whole.packed, &parts.iter().flat_map(|part| part.packed.clone()).collect::<Vec<u8>>());
    assert_same_bytes("absmax", &whole.absmax, &parts.iter().flat_map(|part| part.absmax.clone()).collect::<Vec<u8>>());
    Ok(())
}

#[test]
fn scales_that_are_all_alike_are_kept_exactly() -> Result<()> {
    let made = FourBitType::Fp4.quantise(640, 64, DoubleQuantisation::AroundMean, |_, out| out.fill(0.75))?;
    let mut decoded = [0.0; 640];
    made.view()?.decode(0, &mut decoded);
    assert_eq!(decoded, [0.75; 640]);
    Ok(())
}

#[test]
fn nothing_is_quantised_to_nothing() -> Result<()> {
    let made = FourBitType::Nf4.quantise(0, 64, DoubleQuantisation::AroundMean, |_, _| ())?;
    assert_eq!((made.packed.len(), made.absmax.len()), (0, 0));
    made.view()?.decode(0, &mut []);
    Ok(())
}

#[test]
fn what_has_no_code_is_refused_with_its_place() {
    let mut weights = vec![1.0; 100_000];
    for (at, wrong) in [(99_999, f32::NAN), (40_000, f32::INFINITY), (20_000, f32::NEG_INFINITY)] {
        weights[at] = wrong;
        let made = FourBitType::Nf4.quantise(weights.len(), 64, DoubleQuantisation::AroundMean, reader(&weights));
        let error = made.expect_err("refused");
        assert_eq!(
            (error.kind(), error.to_string()),
            (ErrorKind::NonFinite, format!("number {at} is {wrong}, which has no code"))
        );
    }
    let made = FourBitType::Nf4.quantise(64, 64, DoubleQuantisation::Around(f32::NAN), |_, out| out.fill(1.0));
    assert_eq!(made.expect_err("refused").to_string(), "the scales' offset is NaN");
}

#[test]
fn parts_of_another_length_are_refused() {
    let zeros = [0; 1024];
    let refused = |block_size, numbers, absmax: usize, nested: Option<(usize, usize, usize)>, expected: &str| {
        let nested = nested.map(|(absmax, quant_map, block_size)| NestedParts {
            absmax: &zeros[..absmax],
            quant_map: &zeros[..quant_map],
            block_size,
            offset: 0.0,
        });
        let made = FourBit::new(FourBitType::Nf4, block_size, numbers, &zeros[..48], &zeros[..absmax], nested);
        let error = made.expect_err(expected);
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Weights, expected));
    };
    let known = "powers of two from 32 to 4096 are";
    refused(48, 96, 8, None, &format!("a block of 48 numbers is not known; {known}"));
    refused(8192, 96, 4, None, &format!("a block of 8192 numbers is not known; {known}"));
    refused(64, 97, 8, None, "the packed matrix has 48 bytes but needs 49");
    refused(32, usize::MAX, 8, None, "the packed matrix has 48 bytes but needs 9223372036854775808");
    refused(64, 96, 4, None, "`absmax` has 4 bytes but needs 8");
    refused(64, 96, 8, Some((4, 1024, 256)), "`absmax`, which is quantised, has 8 bytes but needs 2");
    refused(64, 96, 2, Some((8, 1024, 256)), "`nested_absmax` has 8 bytes but needs 4");
    refused(64, 96, 2, Some((4, 1023, 256)), "`nested_quant_map` has 1023 bytes but needs 1024");
    refused(64, 96, 2, Some((4, 1024, 0)), &format!("a block of 0 numbers is not known; {known}"));
}

#[test]
#[should_panic(expected = "numbers 60 and 5 more of 64")]
fn numbers_behind_the_last_are_a_fault() {
    let matrix = FourBit::new(FourBitType::Nf4, 64, 64, &[0; 32], &[0; 4], None).expect("a matrix");
    matrix.decode(60, &mut [0.0; 5]);
}
