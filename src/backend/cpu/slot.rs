//! The memory of a slot, and what all slots share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::attention_int16;
use super::heads::HeadBlocks;
use super::packed::{Arithmetic, PackedWeights};
use super::qkv_rope::Rope;
use super::scratch::Scratch;
use super::simd::{BufferSum, PackedWord, Simd, TileCounters};
use crate::backend::StopSignal;
use crate::backend::host::HostBuffers;
use crate::model::plan::{Buffer, Call, Dims, Plan};

/// What all slots share: the weights, the table of rotations, and the loops.
#[derive(Debug)]
pub(super) struct SharedWeights {
    pub(super) simd: Simd,
    pub(super) weights: Arc<PackedWeights>,
    pub(super) rope: Option<Rope>,
    pub(super) stop: RunStop,
}

/// Ends a run early. All threads of a run share it.
#[derive(Debug, Default)]
pub(super) struct RunStop {
    signal: StopSignal,
    /// Whether a thread of this run has found the signal set, and so left out a part of the run.
    has_stopped: AtomicBool,
}

/// Tiles between two looks at the signal by one thread. A tile takes microseconds, and a few
/// milliseconds where a kernel works on tens of thousands of positions.
const TILES_BETWEEN_LOOKS: u32 = 8;

impl RunStop {
    pub(super) fn new(signal: StopSignal) -> Self {
        Self {
            signal,
            has_stopped: AtomicBool::new(false),
        }
    }

    /// Begins a run.
    pub(super) fn begin(&mut self) {
        *self.has_stopped.get_mut() = false;
    }

    /// Returns whether the run shall end, or has ended early on any thread.
    pub(super) fn look(&self) -> bool {
        if self.signal.is_set() {
            self.has_stopped.store(true, Ordering::Relaxed);
        }
        self.has_stopped()
    }

    /// As [`RunStop::look`], before each tile. Looks at the signal itself only now and then.
    pub(super) fn look_at_tile(&self, scratch: &mut Scratch) -> bool {
        match scratch.count_tile().is_multiple_of(TILES_BETWEEN_LOOKS) {
            true => self.look(),
            false => self.has_stopped(),
        }
    }

    /// Returns whether a part of the run was left out.
    pub(super) fn has_stopped(&self) -> bool {
        self.has_stopped.load(Ordering::Relaxed)
    }
}

impl SharedWeights {
    /// Returns whether attention is computed in int16. It is where products are not in f32.
    pub(super) fn uses_int16_attention(&self) -> bool {
        self.weights.arithmetic() != Arithmetic::F32
    }
}

/// A slot's memory: the buffers of the plan, and the intermediate results of kernels.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) memory: HostBuffers,
    /// Queries, keys and values, in a model with attention.
    pub(super) heads: Option<HeadBlocks>,
    /// Input rows of a product that are not a plan buffer: summed sources, or quantised
    /// activations.
    pub(super) input_rows: Vec<PackedWord>,
    /// Packed keys and values for int16 attention.
    pub(super) keys_values: Vec<PackedWord>,
    /// For runs of this slot alone.
    pub(super) run_buffers: RunBuffers,
}

/// Working memory of a run, reused by the next run so that it does not allocate.
#[derive(Debug, Default)]
pub(super) struct RunBuffers {
    /// The outputs of the current call, one for each live slot.
    pub(super) outputs: Vec<Vec<f32>>,
    pub(super) counters: TileCounters,
}

impl RunBuffers {
    /// Allocates for so many slots at a time.
    pub(super) fn new(d: &Dims, simd: Simd, slots: usize) -> Self {
        Self {
            outputs: Vec::with_capacity(slots),
            counters: TileCounters::new(slots, d.positions, simd.rows()),
        }
    }
}

/// Which memory of a slot a call writes.
#[derive(Clone, Copy)]
pub(super) enum Output {
    Buffer(Buffer),
    Heads,
    InputRows,
    KeysValues,
}

/// Lengths of the parts of a slot beside the buffers of the plan, in elements.
struct SlotLengths {
    /// Whether the plan has attention.
    attends: bool,
    input_rows: usize,
    keys_values: usize,
}

impl SlotLengths {
    fn of(plan: &Plan, shared: &SharedWeights) -> Self {
        let d = &plan.dims;
        let attends = |c: &Call| matches!(c, Call::QkvRope { .. } | Call::Attention { .. });
        let attends = plan.calls.iter().any(attends);
        let adds_sources =
            |c: &Call| matches!(c, Call::Swiglu { sources, .. } if sources.len() > 1);
        let adds_sources = attends || plan.calls.iter().any(adds_sources);
        let longest = d.hidden.max(d.inner).max(d.mixer_inner);
        let row = match shared.weights.arithmetic() {
            Arithmetic::Int8 => Simd::int8_stride(longest).max(d.hidden),
            Arithmetic::Bf16 => Simd::bf16_stride(longest).max(d.hidden),
            Arithmetic::F32 if adds_sources => d.hidden,
            Arithmetic::F32 => 0,
        };
        let keys_values = if attends && shared.uses_int16_attention() {
            attention_int16::packed_len(d, shared.simd)
        } else {
            0
        };
        Self {
            attends,
            input_rows: d.positions * row,
            keys_values,
        }
    }
}

impl Slot {
    /// Returns the memory that [`Slot::new`] allocates, without its small parts.
    pub(super) fn bytes(plan: &Plan, shared: &SharedWeights) -> usize {
        let lengths = SlotLengths::of(plan, shared);
        let heads = match lengths.attends {
            true => Buffer::Qkv.len(&plan.dims),
            false => 0,
        };
        let words = lengths.input_rows + lengths.keys_values + heads;
        HostBuffers::bytes_per_slot(plan).saturating_add(4 * words)
    }

    /// Allocates a slot for `plan`.
    pub(super) fn new(plan: &Plan, shared: &SharedWeights) -> Self {
        let d = &plan.dims;
        let lengths = SlotLengths::of(plan, shared);
        Self {
            memory: HostBuffers::new(plan, 1),
            heads: lengths.attends.then(|| HeadBlocks::new(d, shared.simd)),
            input_rows: vec![0.0; lengths.input_rows],
            keys_values: vec![0.0; lengths.keys_values],
            run_buffers: RunBuffers::new(d, shared.simd, 1),
        }
    }

    /// Returns the sum of some buffers.
    pub(super) fn sum(&self, sources: &[Buffer]) -> BufferSum<'_> {
        BufferSum::of(sources.iter().map(|s| self.memory.get(*s, 0)))
    }

    /// Copies queries, keys and values from their blocks to the plan's buffer.
    pub(super) fn heads_to_buffer(&mut self) {
        let mut rows = self.memory.take(Buffer::Qkv);
        if let Some(heads) = &mut self.heads {
            heads.copy_to_rows(&self.memory.dims, &mut rows);
        }
        self.memory.put(Buffer::Qkv, rows);
    }

    /// Copies queries, keys and values from the plan's buffer to their blocks.
    pub(super) fn heads_from_buffer(&mut self) {
        let mut rows = self.memory.take(Buffer::Qkv);
        if let Some(heads) = &mut self.heads {
            heads.copy_from_rows(&self.memory.dims, &mut rows);
        }
        self.memory.put(Buffer::Qkv, rows);
    }

    /// Takes the memory that a call writes out of the slot. No call reads what it writes.
    pub(super) fn take_output(&mut self, output: Output) -> Vec<f32> {
        match output {
            Output::Buffer(buffer) => self.memory.take(buffer),
            Output::Heads => self
                .heads
                .as_mut()
                .map(|h| std::mem::take(&mut h.data))
                .unwrap_or_default(),
            Output::InputRows => std::mem::take(&mut self.input_rows),
            Output::KeysValues => std::mem::take(&mut self.keys_values),
        }
    }

    /// Puts back what [`Slot::take_output`] took.
    pub(super) fn put_output(&mut self, output: Output, values: Vec<f32>) {
        match (output, &mut self.heads) {
            (Output::Buffer(buffer), _) => self.memory.put(buffer, values),
            (Output::Heads, Some(heads)) => heads.data = values,
            (Output::Heads, None) => {}
            (Output::InputRows, _) => self.input_rows = values,
            (Output::KeysValues, _) => self.keys_values = values,
        }
    }
}
