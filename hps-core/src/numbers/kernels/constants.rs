//! Polynomials and reduction constants. The polynomials are Chebyshev fits made with 50 digits, lowest power first;
//! the errors in brackets are those of the fit, relative to the function.

macro_rules! constants {
    ($name:ident, $float:ident, $bits:ident, $exp:expr, $decay:expr, $ln:expr, $lowest:expr, $highest:expr, $high:expr, $low:expr) => {
        pub(super) mod $name {
            /// `(eʳ − 1 − r) / r²` on |r| ≤ ln 2 / 2.
            pub const EXP: &[$float] = &$exp;
            /// `(2ʳ − 1) / r` on |r| ≤ ½, as exact as the argument of a decay is.
            pub const DECAY: &[$float] = &$decay;
            /// `(2 atanh √z − 2√z) / (z √z)` on [0, (√2 − 1)² / (√2 + 1)²].
            pub const LN: &[$float] = &$ln;
            /// Below, `eˣ` rounds to 0; above, to infinity. In between the exponent stays in the range of two factors.
            pub const LOWEST: $float = $lowest;
            pub const HIGHEST: $float = $highest;
            /// `ln 2` in two parts, the first short enough that its product with any exponent is exact.
            pub const LN_2_HIGH: $float = $high;
            pub const LN_2_LOW: $float = $low;

            /// Bits after the point.
            pub const FRACTION: u32 = $float::MANTISSA_DIGITS - 1;
            /// Adding it rounds to an integer, which then stands in the lowest bits.
            pub const ROUNDER: $float = 1.5 * (1_u64 << FRACTION) as $float;
            pub const BIAS: $bits = $float::MAX_EXP as $bits - 1;
            pub const ONE: $bits = BIAS << FRACTION;
            /// The bits of `√½`, rounded: mantissas are taken from [√½, √2).
            pub const SQRT_HALF: $bits = core::$float::consts::FRAC_1_SQRT_2.to_bits();
            /// Makes a subnormal number normal.
            pub const LIFT: $float = (1_u64 << (FRACTION + 1)) as $float;
        }
    };
}

constants!(
    single,
    f32,
    u32,
    // [2e-10]
    [0.5, 0.166_666_67, 0.041_666_467, 0.008_333_31, 0.001_393_365, 0.000_198_909_91],
    // [1.7e-7]
    [core::f32::consts::LN_2, 0.240_223_36, 0.055_503_797, 0.009_667_341, 0.001_338_226_4],
    // [3e-11]
    [0.666_666_7, 0.400_001_23, 0.285_508_16, 0.233_305_83],
    -105.0,
    89.0,
    0.693_115_23,
    3.194_618_3e-5
);

constants!(
    double,
    f64,
    u64,
    // [2e-19]
    [
        0.5,
        0.166_666_666_666_666_7,
        0.041_666_666_666_666_67,
        0.008_333_333_333_326_136,
        0.001_388_888_888_888_374_8,
        0.000_198_412_698_748_206_27,
        2.480_158_732_554_774_3e-5,
        2.755_725_540_020_642e-6,
        2.755_727_364_311_03e-7,
        2.510_521_700_472_07e-8,
        2.091_468_696_808_687_6e-9,
    ],
    // [8e-18]
    [
        core::f64::consts::LN_2,
        0.240_226_506_959_101,
        0.055_504_108_664_821_59,
        0.009_618_129_107_606_889,
        0.001_333_355_814_641_693_5,
        0.000_154_035_304_417_360_5,
        1.525_273_382_983_611_8e-5,
        1.321_544_258_792_169e-6,
        1.017_806_244_584_577_3e-7,
        7.072_585_969_269_224e-9,
        4.454_960_588_186_518_4e-10,
    ],
    // [9e-18]
    [
        0.666_666_666_666_667,
        0.399_999_999_998_994_4,
        0.285_714_286_260_032_7,
        0.222_222_111_302_598_78,
        0.181_828_894_556_749_47,
        0.153_317_106_182_107_73,
        0.146_165_854_248_886_23,
    ],
    -746.0,
    710.0,
    0.693_147_180_559_208_2,
    7.371_002_565_167_799e-13
);
