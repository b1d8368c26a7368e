// Stores 4 neighbouring elements of a row of out.
// Expects the binding out (array<f32>).

// Stores elements k .. k + 3 of a row of `width` elements, none beyond its end. k is below `width`;
// i is the index of element k.
fn store4(i: u32, k: u32, width: u32, v: vec4<f32>) {
    out[i] = v.x;
    if k + 1u < width { out[i + 1u] = v.y; }
    if k + 2u < width { out[i + 2u] = v.z; }
    if k + 3u < width { out[i + 3u] = v.w; }
}
