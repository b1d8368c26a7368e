//! The instruction sets that the inner loops are compiled for.

/// An instruction set that the inner loops of the CPU backend are compiled for.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstructionSet {
    /// What every machine of the target architecture has.
    Portable,
    /// AVX2 with FMA, on x86-64.
    Avx2,
    /// AVX-512 (F, BW, DQ, VL), on x86-64.
    Avx512,
    /// NEON, on ARM64.
    Neon,
}

impl InstructionSet {
    /// All instruction sets, the preferred one first.
    pub const ALL: [Self; 4] = [Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];

    /// Returns the name, as in the environment variable `TRM_CPU`: `portable`, `avx2`, `avx512` or
    /// `neon`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Neon => "neon",
        }
    }
}
