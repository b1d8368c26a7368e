// Stores the result of a SwiGLU.
// Expects the overrides L and I, shared/gate_up.wgsl and shared/store4.wgsl.

// Stores silu(gate) * up for 4 inner units of a position, none beyond the last position or unit.
fn store_gated(slot: u32, row: u32, unit: u32, gate: vec4<f32>, up: vec4<f32>) {
    if row >= L || unit >= I {
        return;
    }
    store4((slot * L + row) * I + unit, unit, I, silu_mul(gate, up));
}
