//! Lowering to the direct kernels, which use no workgroup memory.

use super::super::pipelines::{
    ATTENTION_DIRECT, NORM_DIRECT, PROJECT_DIRECT, QKV_ROPE_DIRECT, SWIGLU_DIRECT,
    TOKEN_MIX_DIRECT_DOWN, TOKEN_MIX_DIRECT_GATE,
};
use super::{LiveSlots, Lowering, Operand, PlanBuffer, Projection, Scratch, Tensor, channel_pairs};
use crate::model::plan::Buffer;
use crate::model::weights::Weight;

/// Returns the invocations of a workgroup and the workgroups for a row of `items`, one item per
/// invocation.
fn row_grid(items: usize) -> (usize, usize) {
    let invocations = items.next_power_of_two().clamp(8, 64);
    (invocations, items.div_ceil(invocations))
}

/// Returns how many 4-vectors a row of n elements takes: rows are padded to a multiple of 16.
fn padded_vec4s(n: usize) -> usize {
    n.div_ceil(16) * 4
}

/// Along which axis a norm is taken: the values of the constant `ALONG`.
#[derive(Debug, Clone, Copy)]
enum NormAxis {
    Channels = 0,
    Positions = 1,
}

impl Lowering<'_> {
    pub(super) fn token_mix_direct(
        &mut self,
        [gate_up, down]: [Weight; 2],
        sources: &[Buffer],
        out: Buffer,
    ) {
        let source = self.sum_sources(sources);
        let d = self.d;
        let (l, h, t) = (d.positions, d.hidden, d.token_inner);
        let (invocations, groups) = row_grid(padded_vec4s(h));
        let constants = [
            ("L", l),
            ("D", h),
            ("T", t),
            ("FORMAT", self.format),
            ("WG", invocations),
        ];
        let gated = Operand::Scratch(Scratch::Gated, t.next_multiple_of(8) * padded_vec4s(h) * 4);
        self.push(
            &TOKEN_MIX_DIRECT_GATE,
            &constants,
            vec![LiveSlots, Tensor(gate_up), source, gated],
            [groups, t.div_ceil(8)],
        );
        let sums = Operand::Scratch(Scratch::Products, (l + l.div_ceil(8)) * padded_vec4s(h) * 4);
        self.push(
            &TOKEN_MIX_DIRECT_DOWN,
            &constants,
            vec![LiveSlots, Tensor(down), source, gated, sums],
            [groups, l.div_ceil(8)],
        );
        self.norm_direct(NormAxis::Positions, sums, out);
    }

    pub(super) fn qkv_rope_direct(&mut self, qkv: Weight, sources: &[Buffer], out: Buffer) {
        let source = self.sum_sources(sources);
        let d = self.d;
        let (invocations, groups) = row_grid(channel_pairs(d).div_ceil(4));
        self.push(
            &QKV_ROPE_DIRECT,
            &[
                ("L", d.positions),
                ("D", d.hidden),
                ("HEADS", d.heads),
                ("ROPE", d.rope_theta.is_some().into()),
                ("FORMAT", self.format),
                ("WG", invocations),
            ],
            vec![
                LiveSlots,
                Tensor(qkv),
                Operand::Rope,
                source,
                PlanBuffer(out),
            ],
            [groups, d.positions.div_ceil(8)],
        );
    }

    pub(super) fn attention_direct(&mut self, qkv: Buffer, out: Buffer) {
        let d = self.d;
        let (invocations, groups) = row_grid(d.positions);
        self.push(
            &ATTENTION_DIRECT,
            &[
                ("L", d.positions),
                ("D", d.hidden),
                ("HEADS", d.heads),
                ("WG", invocations),
            ],
            vec![LiveSlots, PlanBuffer(qkv), PlanBuffer(out)],
            [groups, d.heads * d.head_dim().div_ceil(32)],
        );
    }

    pub(super) fn swiglu_direct(&mut self, gate_up: Weight, sources: &[Buffer], out: Buffer) {
        let source = self.sum_sources(sources);
        let d = self.d;
        let inner = out.len(d) / d.positions;
        let (invocations, groups) = row_grid(padded_vec4s(inner));
        self.push(
            &SWIGLU_DIRECT,
            &[
                ("L", d.positions),
                ("D", d.hidden),
                ("I", inner),
                ("FORMAT", self.format),
                ("WG", invocations),
            ],
            vec![LiveSlots, Tensor(gate_up), source, PlanBuffer(out)],
            [groups, d.positions.div_ceil(8)],
        );
    }

    pub(super) fn project_direct(&mut self, p: &Projection<'_>) {
        let (count, residuals) = self.bind_sources(p.residuals);
        let d = self.d;
        let (invocations, groups) = row_grid(padded_vec4s(d.hidden));
        // The sums, and for each 4-vector of them the sum of its squares.
        let sums = Operand::Scratch(Scratch::Products, d.positions * padded_vec4s(d.hidden) * 5);
        self.push(
            &PROJECT_DIRECT,
            &[
                ("L", d.positions),
                ("D", d.hidden),
                ("K", p.width),
                ("SOURCES", count),
                ("FORMAT", self.format),
                ("WG", invocations),
            ],
            [
                &[LiveSlots, Tensor(p.weight), PlanBuffer(p.input)],
                &residuals[..],
                &[sums],
            ]
            .concat(),
            [groups, d.positions.div_ceil(8)],
        );
        self.norm_direct(NormAxis::Channels, sums, p.out);
    }

    fn norm_direct(&mut self, axis: NormAxis, sums: Operand, out: Buffer) {
        let d = self.d;
        self.push(
            &NORM_DIRECT,
            &[
                ("L", d.positions),
                ("D", d.hidden),
                ("ALONG", axis as usize),
            ],
            vec![LiveSlots, sums, PlanBuffer(out)],
            [d.hidden.div_ceil(4 * 32), d.positions.div_ceil(2)],
        );
    }
}
