//! The dispatches of calls whose kernels use no workgroup memory.

use super::encode::{Encoder, Live, Of, Operand, Projection, Scratch, The, pairs};
use super::pipelines::{
    ATTENTION_DIRECT, NORM_DIRECT, PROJECT_DIRECT, QKV_ROPE_DIRECT, SWIGLU_DIRECT,
    TOKEN_MIX_DIRECT_DOWN, TOKEN_MIX_DIRECT_GATE,
};
use crate::model::plan::Buffer;
use crate::model::weights::Weight;

/// Invocations of a workgroup, and workgroups, for rows of `items`, which neighbouring invocations take.
fn row_of(items: usize) -> (usize, usize) {
    let invocations = items.next_power_of_two().clamp(8, 64);
    (invocations, items.div_ceil(invocations))
}

/// Quads of a row of n elements: rows are padded to a multiple of 16.
fn quads(n: usize) -> usize {
    n.div_ceil(16) * 4
}

impl Encoder<'_> {
    pub(super) fn token_mix_direct(
        &mut self,
        [gate_up, down]: [Weight; 2],
        sources: &[Buffer],
        out: Buffer,
    ) {
        let source = self.summed(sources);
        let d = self.d;
        let (l, h, t) = (d.positions, d.hidden, d.token_inner);
        let (invocations, groups) = row_of(quads(h));
        let constants = [
            ("L", l),
            ("D", h),
            ("T", t),
            ("FORMAT", self.format),
            ("WG", invocations),
        ];
        let gated = Operand::Scratch(Scratch::Gated, t.next_multiple_of(8) * quads(h) * 4);
        self.push(
            &TOKEN_MIX_DIRECT_GATE,
            &constants,
            vec![Live, The(gate_up), source, gated],
            [groups, t.div_ceil(8)],
        );
        let sums = Operand::Scratch(Scratch::Products, (l + l.div_ceil(8)) * quads(h) * 4);
        self.push(
            &TOKEN_MIX_DIRECT_DOWN,
            &constants,
            vec![Live, The(down), source, gated, sums],
            [groups, l.div_ceil(8)],
        );
        self.norm_direct(1, sums, out);
    }

    pub(super) fn qkv_rope_direct(&mut self, qkv: Weight, sources: &[Buffer], out: Buffer) {
        let source = self.summed(sources);
        let d = self.d;
        let (invocations, groups) = row_of(pairs(d).div_ceil(4));
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
            vec![Live, The(qkv), Operand::Rope, source, Of(out)],
            [groups, d.positions.div_ceil(8)],
        );
    }

    pub(super) fn attention_direct(&mut self, qkv: Buffer, out: Buffer) {
        let d = self.d;
        let (invocations, groups) = row_of(d.positions);
        self.push(
            &ATTENTION_DIRECT,
            &[
                ("L", d.positions),
                ("D", d.hidden),
                ("HEADS", d.heads),
                ("WG", invocations),
            ],
            vec![Live, Of(qkv), Of(out)],
            [groups, d.heads * d.head_dim().div_ceil(32)],
        );
    }

    pub(super) fn swiglu_direct(&mut self, gate_up: Weight, input: Buffer, out: Buffer) {
        let d = self.d;
        let (invocations, groups) = row_of(quads(d.inner));
        self.push(
            &SWIGLU_DIRECT,
            &[
                ("L", d.positions),
                ("D", d.hidden),
                ("I", d.inner),
                ("FORMAT", self.format),
                ("WG", invocations),
            ],
            vec![Live, The(gate_up), Of(input), Of(out)],
            [groups, d.positions.div_ceil(8)],
        );
    }

    pub(super) fn project_direct(&mut self, p: &Projection<'_>) {
        let (count, residuals) = self.bound(p.residuals);
        let d = self.d;
        let (invocations, groups) = row_of(quads(d.hidden));
        // A number of each quad's squares.
        let sums = Operand::Scratch(Scratch::Products, d.positions * quads(d.hidden) * 5);
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
            [&[Live, The(p.weight), Of(p.input)], &residuals[..], &[sums]].concat(),
            [groups, d.positions.div_ceil(8)],
        );
        self.norm_direct(0, sums, p.out);
    }

    /// `along`: 0 the channels, 1 the positions.
    fn norm_direct(&mut self, along: usize, sums: Operand, out: Buffer) {
        let d = self.d;
        self.push(
            &NORM_DIRECT,
            &[("L", d.positions), ("D", d.hidden), ("ALONG", along)],
            vec![Live, sums, Of(out)],
            [d.hidden.div_ceil(4 * 32), d.positions.div_ceil(2)],
        );
    }
}
