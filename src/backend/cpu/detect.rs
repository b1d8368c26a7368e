//! Which instruction sets this machine has, and which one is used.

use super::instructions::InstructionSet;
use super::simd::Simd;
use crate::error::{Error, ErrorKind, Result};

impl InstructionSet {
    /// Returns whether this machine has the instruction set.
    pub fn available(self) -> bool {
        Simd::of(self).is_some()
    }

    /// Returns the best extension of the instruction set on this machine that multiplies bytes:
    /// `avx512_vnni`, `avx_vnni`, `i8mm` or `dotprod`. Without one, int8 products are computed in
    /// 16 bits, more slowly and with the same sums.
    pub fn int8(self) -> Option<&'static str> {
        Simd::of(self).and_then(Simd::int8_extension)
    }

    /// Returns the extension of the instruction set on this machine that multiplies bf16:
    /// `avx512_bf16`. Without one, bf16 products are computed in f32.
    pub fn bf16(self) -> Option<&'static str> {
        Simd::of(self).and_then(Simd::bf16).map(|_| "avx512_bf16")
    }

    /// Returns the instruction set that the environment variable `TRM_CPU` names. Default: the best
    /// one of this machine.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] if the variable is not the name of an instruction set,
    /// [`ErrorKind::Device`] if the machine lacks it.
    pub fn chosen() -> Result<Self> {
        match Self::forced() {
            Some(name) => Self::named(&name),
            None => Ok(Self::best()),
        }
    }

    /// Returns the value of the environment variable `TRM_CPU`, if it is set and not empty.
    pub fn forced() -> Option<String> {
        let name = std::env::var_os("TRM_CPU").filter(|name| !name.is_empty());
        name.map(|name| name.to_string_lossy().into_owned())
    }

    /// Returns the best instruction set of this machine.
    pub fn best() -> Self {
        let mut all = Self::ALL.into_iter();
        all.find(|i| i.available()).unwrap_or(Self::Portable)
    }

    fn named(name: &str) -> Result<Self> {
        let Some(found) = Self::ALL.into_iter().find(|i| i.name() == name) else {
            let known = Self::ALL.map(Self::name).join(", ");
            return Err(Error::argument(format!(
                "TRM_CPU={name}: unknown instruction set, expected one of {known}"
            )));
        };
        found.simd().map(|_| found)
    }

    /// Returns the compiled loops.
    ///
    /// # Errors
    /// [`ErrorKind::Device`] if the machine lacks the instruction set.
    pub(super) fn simd(self) -> Result<Simd> {
        Simd::of(self).ok_or_else(|| {
            let best = Self::best().name();
            let message = format!(
                "this CPU does not support {}; the best that it supports is {best}",
                self.name()
            );
            Error::new(ErrorKind::Device, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_instruction_set_must_be_known_and_available() {
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
