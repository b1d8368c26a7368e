//! Which implementation of its kernel a call runs. The choice changes the time, never the result.
//!
//! The user sets a [`KernelSelection`]. A [`KernelPolicy`] joins it with what is known of the
//! adapter and chooses a [`KernelImpl`] for each [`CallShape`]. `tune.rs` measures where the policy
//! says so.

use crate::backend::info::DeviceKind;
use crate::backend::measurements::MeasurementCache;
use crate::model::dtype::WeightDtype;
use crate::model::plan::{Call, Dims};

/// How a GPU selects the implementations of its kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum KernelSelection {
    /// Chooses by the adapter, or as [`KernelSelection::Measured`] if measurements are stored and
    /// the adapter is a GPU.
    ///
    /// By the adapter: direct on Mali, where workgroup memory is no faster than other memory;
    /// direct except for attention on software adapters; split projections on a discrete GPU that
    /// the batch is too small to occupy; tiled otherwise.
    #[default]
    Auto,
    /// Runs each call by the implementation that was the fastest in a short measurement at its
    /// first use.
    Measured,
    /// Tiles in workgroup memory: the fewest dispatches.
    Tiled,
    /// No workgroup memory: tiles in registers.
    Direct,
    /// As tiled, but the projections before a norm have K cut into parts (split-K).
    Split,
}

/// One of several implementations of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum KernelImpl {
    /// One dispatch, with tiles in workgroup memory.
    Tiled,
    /// One to three dispatches without workgroup memory.
    Direct,
    /// `project_add_norm` as a product with K in parts, and the sum of the parts.
    Split {
        /// At least 1.
        parts: usize,
    },
}

impl KernelImpl {
    /// Returns its name in stored measurements and in logs.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Tiled => "tiled",
            Self::Direct => "direct",
            Self::Split { .. } => "split",
        }
    }
}

/// A call with the sizes that its time depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallShape<'a> {
    pub(super) call: &'a Call,
    pub(super) dims: &'a Dims,
    /// The row length of the call's first weight: K of a projection.
    pub(super) input_width: usize,
    /// `HostBuffers` of the batch.
    pub(super) slots: usize,
}

impl CallShape<'_> {
    /// Returns the key of the call's measurements: everything that its time depends on except the
    /// adapter. The number of slots is rounded up to a power of two.
    pub(super) fn timing_key(&self, dtype: WeightDtype) -> String {
        let d = self.dims;
        let sizes = [
            d.positions,
            d.hidden,
            d.inner.max(d.mixer_inner),
            d.token_inner,
            d.heads,
            self.input_width,
            self.call.reads().len(),
            self.slots.next_power_of_two(),
        ];
        format!("{} {sizes:?} {dtype}", self.call.kernel())
    }

    /// Lists the implementations that can run the call, the one for every GPU first.
    pub(super) fn implementations(&self) -> Vec<KernelImpl> {
        match self.call {
            Call::TokenMix { .. }
            | Call::QkvRope { .. }
            | Call::Attention { .. }
            | Call::Swiglu { .. } => vec![KernelImpl::Tiled, KernelImpl::Direct],
            Call::ProjectAddNorm { .. } => {
                vec![KernelImpl::Tiled, KernelImpl::Direct, self.split()]
            }
            Call::Embed { .. }
            | Call::UnitSums { .. }
            | Call::Halt { .. }
            | Call::Decode { .. } => vec![KernelImpl::Tiled],
        }
    }

    /// Returns split-K with enough parts for [`TARGET_WORKGROUPS`], each of at least one tile of K.
    /// The number depends on one slot only, so that a slot gets the same bits in every batch.
    fn split(&self) -> KernelImpl {
        let d = self.dims;
        let tiles = d.positions.div_ceil(32) * d.hidden.div_ceil(32);
        let max_parts = self.input_width.div_ceil(16).clamp(1, 8);
        KernelImpl::Split {
            parts: TARGET_WORKGROUPS.div_ceil(tiles.max(1)).clamp(1, max_parts),
        }
    }

    /// Returns whether the tiled projection, a workgroup for 8 rows, leaves most of a large GPU
    /// idle.
    fn underfills_large_gpu(&self) -> bool {
        self.slots * self.dims.positions.div_ceil(8) < SMALL_GPU_WORKGROUPS
    }
}

/// Workgroups of 64 invocations that occupy a large GPU.
const TARGET_WORKGROUPS: usize = 256;

/// Workgroups that occupy a small discrete GPU: with fewer, any discrete GPU has idle processors.
const SMALL_GPU_WORKGROUPS: usize = 128;

/// The PCI vendor ID of ARM, which makes Mali GPUs.
const ARM_VENDOR_ID: u32 = 0x13b5;

/// Chooses the implementation of every call on an adapter.
#[derive(Debug, Clone, Copy)]
pub(super) struct KernelPolicy {
    pub(super) selection: KernelSelection,
    pub(super) kind: DeviceKind,
    /// The PCI vendor ID of the adapter; 0 if it is not known.
    pub(super) vendor_id: u32,
}

impl KernelPolicy {
    /// Returns the implementation of a call, without a measurement.
    pub(super) fn implementation(&self, shape: &CallShape<'_>) -> KernelImpl {
        let is_selected = |i: &KernelImpl| match self.resolve(shape) {
            KernelSelection::Auto | KernelSelection::Measured | KernelSelection::Tiled => {
                *i == KernelImpl::Tiled
            }
            KernelSelection::Direct => *i == KernelImpl::Direct,
            KernelSelection::Split => matches!(i, KernelImpl::Split { .. }),
        };
        shape
            .implementations()
            .into_iter()
            .find(is_selected)
            .unwrap_or(KernelImpl::Tiled)
    }

    /// Returns whether implementations are measured, given where measurements are stored.
    pub(super) fn measures(&self, cache: &MeasurementCache) -> bool {
        match self.selection {
            KernelSelection::Measured => true,
            KernelSelection::Auto => cache.is_enabled() && self.kind != DeviceKind::Software,
            KernelSelection::Tiled | KernelSelection::Direct | KernelSelection::Split => false,
        }
    }

    /// Replaces `Auto` and `Measured` by what suits the adapter.
    fn resolve(&self, shape: &CallShape<'_>) -> KernelSelection {
        let selection = match self.selection {
            KernelSelection::Measured => KernelSelection::Auto,
            selection => selection,
        };
        match (selection, self.kind) {
            // Measured with lavapipe: at L 916 tiled attention is twice as fast, because it
            // computes each score once. At L 97 both are equal.
            (KernelSelection::Auto, DeviceKind::Software)
                if matches!(shape.call, Call::Attention { .. }) =>
            {
                KernelSelection::Tiled
            }
            (KernelSelection::Auto, DeviceKind::Software) => KernelSelection::Direct,
            (KernelSelection::Auto, _) if self.vendor_id == ARM_VENDOR_ID => {
                KernelSelection::Direct
            }
            (KernelSelection::Auto, DeviceKind::Discrete) if shape.underfills_large_gpu() => {
                KernelSelection::Split
            }
            (KernelSelection::Auto, _) => KernelSelection::Tiled,
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

    fn chosen(
        selection: KernelSelection,
        kind: DeviceKind,
        vendor_id: u32,
        slots: usize,
    ) -> [KernelImpl; 4] {
        let dims = Dims {
            tokens: 81,
            prefix: 16,
            positions: 97,
            hidden: 512,
            vocab: 11,
            inner: 1536,
            token_inner: 512,
            symbols: 0,
            mixer_inner: 0,
            box_shape: [0, 0],
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
            sources: vec![Buffer::Mixed],
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
        let policy = KernelPolicy {
            selection,
            kind,
            vendor_id,
        };
        [&project, &swiglu, &attention, &halt].map(|call| {
            policy.implementation(&CallShape {
                call,
                dims: &dims,
                input_width: 1536,
                slots,
            })
        })
    }

    #[test]
    fn the_adapter_decides_unless_an_implementation_is_forced() {
        use KernelImpl::{Direct, Split, Tiled};
        let (nvidia, auto) = (0x10de, KernelSelection::Auto);
        let split = [Split { parts: 4 }, Tiled, Tiled, Tiled];
        assert_eq!(chosen(auto, DeviceKind::Discrete, nvidia, 1), split);
        assert_eq!(chosen(auto, DeviceKind::Discrete, nvidia, 16), [Tiled; 4]);
        assert_eq!(chosen(auto, DeviceKind::Integrated, nvidia, 1), [Tiled; 4]);
        let direct = [Direct, Direct, Direct, Tiled];
        assert_eq!(
            chosen(auto, DeviceKind::Software, 0, 1),
            [Direct, Direct, Tiled, Tiled]
        );
        assert_eq!(
            chosen(auto, DeviceKind::Integrated, ARM_VENDOR_ID, 16),
            direct
        );
        assert_eq!(
            chosen(
                KernelSelection::Tiled,
                DeviceKind::Software,
                ARM_VENDOR_ID,
                1
            ),
            [Tiled; 4]
        );
        assert_eq!(
            chosen(KernelSelection::Direct, DeviceKind::Discrete, nvidia, 1),
            direct
        );
        assert_eq!(
            chosen(KernelSelection::Split, DeviceKind::Other, 0, 1),
            split
        );
        assert_eq!(
            chosen(KernelSelection::Split, DeviceKind::Other, 0, 64),
            split
        );
    }
}
