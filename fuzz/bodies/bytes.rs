//! Numbers out of a fuzzer's bytes; zeros when they run out.

pub struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    pub fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit
    }

    pub fn word(&mut self) -> u32 {
        u32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    /// Any f64: small grid values with many ties, moderate ones, extremes, or any bits at all.
    pub fn number(&mut self) -> f64 {
        const EXTREMES: [f64; 12] = [
            0.0,
            -0.0,
            1e4,
            -1e4,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            f64::MAX,
            f64::MIN,
            f64::MIN_POSITIVE,
            5e-324,
            3.3e38,
        ];
        match self.byte() % 8 {
            0..4 => f64::from(self.byte() as i8) / 4.0,
            4..6 => f64::from(self.word() as i32) / 65_536.0,
            6 => EXTREMES[self.below(EXTREMES.len())],
            _ => f64::from_bits(u64::from(self.word()) << 32 | u64::from(self.word())),
        }
    }

    /// As often finite as not to be refused at once.
    pub fn plain(&mut self) -> f64 {
        f64::from(self.word() as i32) / 8_388_608.0
    }
}
