//! Kernels' sources and what they are compiled with.

/// A `.cu` file. Every one is compiled behind [`PRELUDE`], so that NVRTC needs no headers.
#[derive(Debug)]
pub struct Source {
    /// Its name, as errors say it.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
    /// The macros it is compiled with, set by set.
    pub variants: &'static [Defines],
}

/// Macros and their values.
pub type Defines = &'static [(&'static str, u32)];

/// What every kernel starts with: number types, sums over a warp and a block, random words.
pub const PRELUDE: &str = include_str!("../kernels/prelude.cuh");

/// Numbers of an array in f32 or in bfloat16: the two variants of most sources.
pub(crate) const BOTH: &[Defines] = &[&[("BF16", 0)], &[("BF16", 1)]];

/// A kernel of a source.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kernel {
    pub source: &'static Source,
    pub entry: &'static str,
}

impl Source {
    /// The text that is compiled for a set of macros.
    pub fn program(&self, defines: &[(&str, u32)]) -> String {
        let mut program: String = defines.iter().map(|(name, value)| format!("#define {name} {value}\n")).collect();
        program.push_str(PRELUDE);
        program.push_str("\n#line 1 \"");
        program.push_str(self.name);
        program.push_str("\"\n");
        program.push_str(self.text);
        program
    }

    pub(crate) const fn kernel(&'static self, entry: &'static str) -> Kernel {
        Kernel { source: self, entry }
    }
}
