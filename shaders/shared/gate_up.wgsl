// The gate and up weights of a SwiGLU, and their activation.
// Expects the binding gate_up (array<vec4<u32>>) and shared/weights.wgsl.

// Returns 4-vector i of the weights.
fn gate_up4(i: u32) -> vec4<f32> {
    return unpack4(gate_up[vector_of(i)], i);
}

// Returns silu(gate) * up.
fn silu_mul(gate: vec4<f32>, up: vec4<f32>) -> vec4<f32> {
    // The bound keeps exp finite; silu is 0 there.
    return gate / (1.0 + exp(-max(gate, vec4<f32>(-80.0)))) * up;
}
