//! Which dispatches a call becomes: a choice of how long it takes, not of what it computes.

use crate::backend::info::DeviceKind;
use crate::model::dtype::WeightDtype;
use crate::model::plan::{Call, Dims};

/// The ways of running the kernels that a GPU may be told to keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Kernels {
    /// As [`Kernels::Measured`] where figures are kept and the adapter is a GPU, so that it is measured once. Else by what the adapter is:
    /// without workgroup memory on Mali, where it is no faster than other memory, and on software but for attention; on a card of its
    /// own with split projections while a batch is too small to occupy it; else in tiles.
    #[default]
    Auto,
    /// Each call in the way that was the fastest in a short measurement at its first use.
    Measured,
    /// In tiles that a workgroup shares: the fewest dispatches.
    Tiled,
    /// Without workgroup memory, in tiles of registers.
    Direct,
    /// In tiles, with the projections before a norm cut into parts.
    Split,
}

/// How one call is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Variant {
    /// One dispatch in tiles of workgroup memory.
    Tiled,
    /// Without workgroup memory, in one to three dispatches.
    Direct,
    /// `project_add_norm` as a product whose K is cut into parts, and their sum.
    Split {
        /// At least 1.
        parts: usize,
    },
}

/// What a choice depends on: a call, its sizes, K of a projection, and the slots of the batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape<'a> {
    pub(super) call: &'a Call,
    pub(super) dims: &'a Dims,
    /// Elements of a row of the first weight.
    pub(super) input_width: usize,
    pub(super) slots: usize,
}

impl Variant {
    /// Its name.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Variant::Tiled => "tiled",
            Variant::Direct => "direct",
            Variant::Split { .. } => "split",
        }
    }
}

impl Shape<'_> {
    /// Everything that its time depends on but the adapter. Batches of similar size share a name.
    pub(super) fn name(&self, format: WeightDtype) -> String {
        let d = self.dims;
        let sizes = [
            d.positions,
            d.hidden,
            d.inner,
            d.token_inner,
            d.heads,
            self.input_width,
            self.call.reads().len(),
            self.slots.next_power_of_two(),
        ];
        format!("{} {sizes:?} {format}", self.call.kernel())
    }

    /// Every variant that can run the call, the portable one first.
    pub(super) fn candidates(&self) -> Vec<Variant> {
        match self.call {
            Call::TokenMix { .. }
            | Call::QkvRope { .. }
            | Call::Attention { .. }
            | Call::Swiglu { .. } => {
                vec![Variant::Tiled, Variant::Direct]
            }
            Call::ProjectAddNorm { .. } => vec![Variant::Tiled, Variant::Direct, self.split()],
            Call::Embed { .. } | Call::Halt { .. } | Call::Decode { .. } => vec![Variant::Tiled],
        }
    }

    /// Parts enough for [`WANTED`] workgroups, each with a tile of K at least. The number follows from one slot, so that a slot gets
    /// the same bits in every batch that is split.
    fn split(&self) -> Variant {
        let d = self.dims;
        let whole = d.positions.div_ceil(32) * d.hidden.div_ceil(32);
        let most = self.input_width.div_ceil(16).clamp(1, 8);
        Variant::Split {
            parts: WANTED.div_ceil(whole.max(1)).clamp(1, most),
        }
    }

    /// Whether the tiled projection, a workgroup for 8 rows, leaves most of a large GPU idle.
    fn is_small(&self) -> bool {
        self.slots * self.dims.positions.div_ceil(8) < FEW
    }
}

/// Workgroups of 64 invocations that occupy a large GPU.
const WANTED: usize = 256;

/// Workgroups that a card has processors for.
const FEW: usize = 128;

/// Chooses a variant for every call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    pub(super) kernels: Kernels,
    pub(super) kind: DeviceKind,
    /// The PCI number of the adapter's vendor; 0 where it is unknown.
    pub(super) vendor: u32,
}

/// ARM, who makes Mali.
const ARM: u32 = 0x13b5;

impl Choice {
    /// How a call is run.
    pub(super) fn variant(&self, shape: &Shape<'_>) -> Variant {
        let wanted = |v: &Variant| match self.resolved(shape) {
            Kernels::Auto | Kernels::Measured | Kernels::Tiled => *v == Variant::Tiled,
            Kernels::Direct => *v == Variant::Direct,
            Kernels::Split => matches!(v, Variant::Split { .. }),
        };
        shape
            .candidates()
            .into_iter()
            .find(wanted)
            .unwrap_or(Variant::Tiled)
    }

    /// Whether the variants are to be measured.
    pub(super) fn measures(&self, figures_are_kept: bool) -> bool {
        match self.kernels {
            Kernels::Measured => true,
            Kernels::Auto => figures_are_kept && self.kind != DeviceKind::Software,
            Kernels::Tiled | Kernels::Direct | Kernels::Split => false,
        }
    }

    fn resolved(&self, shape: &Shape<'_>) -> Kernels {
        let kernels = match self.kernels {
            Kernels::Measured => Kernels::Auto,
            kernels => kernels,
        };
        match (kernels, self.kind) {
            // Measured with lavapipe: twice as fast for L 916, where scores are computed once; equal for L 97.
            (Kernels::Auto, DeviceKind::Software)
                if matches!(shape.call, Call::Attention { .. }) =>
            {
                Kernels::Tiled
            }
            (Kernels::Auto, DeviceKind::Software) => Kernels::Direct,
            (Kernels::Auto, _) if self.vendor == ARM => Kernels::Direct,
            (Kernels::Auto, DeviceKind::Discrete) if shape.is_small() => Kernels::Split,
            (Kernels::Auto, _) => Kernels::Tiled,
            (forced, _) => forced,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Level;
    use crate::model::plan::Buffer;
    use crate::model::weights::Weight;

    fn chosen(kernels: Kernels, kind: DeviceKind, vendor: u32, slots: usize) -> [Variant; 4] {
        let dims = Dims {
            tokens: 81,
            prefix: 16,
            positions: 97,
            hidden: 512,
            vocab: 11,
            inner: 1536,
            token_inner: 512,
            heads: 8,
            eps: 1e-5,
            rope_theta: None,
        };
        let project = Call::ProjectAddNorm {
            weight: Weight::Down(Level::L, 0),
            input: Buffer::Gated,
            residuals: vec![Buffer::Mixed],
            out: Buffer::Block,
        };
        let swiglu = Call::Swiglu {
            gate_up: Weight::GateUp(Level::L, 0),
            input: Buffer::Mixed,
            out: Buffer::Gated,
        };
        let attention = Call::Attention {
            qkv: Buffer::Qkv,
            out: Buffer::Attended,
        };
        let halt = Call::Halt {
            weight: Weight::QHead,
            bias: Weight::QHeadBias,
            state: Buffer::Block,
        };
        let choice = Choice {
            kernels,
            kind,
            vendor,
        };
        [&project, &swiglu, &attention, &halt].map(|call| {
            choice.variant(&Shape {
                call,
                dims: &dims,
                input_width: 1536,
                slots,
            })
        })
    }

    #[test]
    fn the_adapter_decides_unless_it_is_told() {
        use Variant::{Direct, Split, Tiled};
        let (nvidia, auto) = (0x10de, Kernels::Auto);
        let split = [Split { parts: 4 }, Tiled, Tiled, Tiled];
        assert_eq!(chosen(auto, DeviceKind::Discrete, nvidia, 1), split);
        assert_eq!(chosen(auto, DeviceKind::Discrete, nvidia, 16), [Tiled; 4]);
        assert_eq!(chosen(auto, DeviceKind::Integrated, nvidia, 1), [Tiled; 4]);
        let direct = [Direct, Direct, Direct, Tiled];
        assert_eq!(
            chosen(auto, DeviceKind::Software, 0, 1),
            [Direct, Direct, Tiled, Tiled]
        );
        assert_eq!(chosen(auto, DeviceKind::Integrated, ARM, 16), direct);
        assert_eq!(
            chosen(Kernels::Tiled, DeviceKind::Software, ARM, 1),
            [Tiled; 4]
        );
        assert_eq!(
            chosen(Kernels::Direct, DeviceKind::Discrete, nvidia, 1),
            direct
        );
        assert_eq!(chosen(Kernels::Split, DeviceKind::Other, 0, 1), split);
        assert_eq!(chosen(Kernels::Split, DeviceKind::Other, 0, 64), split);
    }
}
