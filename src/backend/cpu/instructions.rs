//! Which instruction set the loops are compiled for.

use super::simd::Simd;
use crate::error::{Error, ErrorKind, Result};

/// An instruction set that the loops of the `cpu` backend are compiled for.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstructionSet {
    /// What every machine of the target has.
    Portable,
    /// AVX2 with FMA, on x86-64.
    Avx2,
    /// AVX-512 (F, BW, DQ, VL), on x86-64.
    Avx512,
    /// NEON, on ARM64.
    Neon,
}

impl InstructionSet {
    /// All of them, the preferred first.
    pub const ALL: [InstructionSet; 4] = [
        InstructionSet::Avx512,
        InstructionSet::Avx2,
        InstructionSet::Neon,
        InstructionSet::Portable,
    ];

    /// What `TRM_CPU` calls it: `portable`, `avx2`, `avx512`, `neon`.
    pub fn name(self) -> &'static str {
        match self {
            InstructionSet::Portable => "portable",
            InstructionSet::Avx2 => "avx2",
            InstructionSet::Avx512 => "avx512",
            InstructionSet::Neon => "neon",
        }
    }

    /// Whether this machine has it.
    pub fn available(self) -> bool {
        Simd::of(self).is_some()
    }

    /// The extension of it that multiplies bytes, the best if this machine has any: `avx512_vnni`, `avx_vnni`, `i8mm`, `dotprod`. Without
    /// one int8 is computed in 16 bits, more slowly and with the same sums.
    pub fn int8(self) -> Option<&'static str> {
        Simd::of(self).and_then(Simd::int8_extension)
    }

    /// The extension of it that multiplies bf16, if this machine has one: `avx512_bf16`. Without one bf16 is computed in `f32`.
    pub fn bf16(self) -> Option<&'static str> {
        Simd::of(self).and_then(Simd::bf16).map(|_| "avx512_bf16")
    }

    /// The one that the environment variable `TRM_CPU` names, or the best that this machine has.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] if the variable names none; [`ErrorKind::Device`] if the machine lacks it.
    pub fn chosen() -> Result<InstructionSet> {
        match InstructionSet::forced() {
            Some(name) => InstructionSet::named(&name),
            None => Ok(InstructionSet::best()),
        }
    }

    /// What the environment variable `TRM_CPU` asks for, if it is set and not empty.
    pub fn forced() -> Option<String> {
        let name = std::env::var_os("TRM_CPU").filter(|name| !name.is_empty());
        name.map(|name| name.to_string_lossy().into_owned())
    }

    /// The best that this machine has.
    pub fn best() -> InstructionSet {
        let mut all = InstructionSet::ALL.into_iter();
        all.find(|i| i.available()).unwrap_or(InstructionSet::Portable)
    }

    fn named(name: &str) -> Result<InstructionSet> {
        let known = || InstructionSet::ALL.map(InstructionSet::name).join(", ");
        let Some(found) = InstructionSet::ALL.into_iter().find(|i| i.name() == name) else {
            let message = format!("TRM_CPU={name}: no such instruction set, there are {}", known());
            return Err(Error::argument(message));
        };
        found.simd().map(|_| found)
    }

    /// The loops.
    pub(super) fn simd(self) -> Result<Simd> {
        Simd::of(self).ok_or_else(|| {
            let best = InstructionSet::best().name();
            let message = format!("this machine has no {}; its best is {best}", self.name());
            Error::new(ErrorKind::Device, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_of_four_and_must_be_there() {
        for i in InstructionSet::ALL {
            match InstructionSet::named(i.name()) {
                Ok(found) => assert!(found == i && i.available()),
                Err(error) => assert!(!i.available() && error.kind() == ErrorKind::Device),
            }
        }
        let error = InstructionSet::named("sse9").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Argument);
        assert!(
            error.to_string().contains("avx512, avx2, neon, portable"),
            "{error}"
        );
        assert!(InstructionSet::Portable.available());
        assert!(!(InstructionSet::Avx2.available() && InstructionSet::Neon.available()));
    }
}
