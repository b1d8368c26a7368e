// add: the sum of up to five buffers, from left to right.
//
// It precedes a call with more sources than its kernel can bind (architecture hier6). An invocation
// computes one element. Grid: D / 64, L / 4, live slots.

override L: u32 = 97u;       // positions
override D: u32 = 512u;      // hidden size
override SOURCES: u32 = 5u;  // 1 to 5

@group(0) @binding(0) var<storage, read> live: array<u32>;       // [live slots]
@group(0) @binding(1) var<storage, read> source0: array<f32>;    // [B, L, D]
@group(0) @binding(2) var<storage, read> source1: array<f32>;    // [B, L, D], if SOURCES > 1
@group(0) @binding(3) var<storage, read> source2: array<f32>;    // [B, L, D], if SOURCES > 2
@group(0) @binding(4) var<storage, read> source3: array<f32>;    // [B, L, D], if SOURCES > 3
@group(0) @binding(5) var<storage, read> source4: array<f32>;    // [B, L, D], if SOURCES > 4
@group(0) @binding(6) var<storage, read_write> out: array<f32>;  // [B, L, D]

@compute @workgroup_size(64, 4)
fn add(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= D || id.y >= L {
        return;
    }
    let i = (live[id.z] * L + id.y) * D + id.x;
    var sum = source0[i];
    if SOURCES > 1u { sum += source1[i]; }
    if SOURCES > 2u { sum += source2[i]; }
    if SOURCES > 3u { sum += source3[i]; }
    if SOURCES > 4u { sum += source4[i]; }
    out[i] = sum;
}
