// Reads 4 neighbouring elements of a row of source.
// Expects the overrides L and D and the binding source (array<vec4<f32>>).

fn source_element(i: u32) -> f32 {
    return source[i / 4u][i % 4u];
}

// Returns elements k .. k + 3 of a row of `width` elements, zero beyond its end. k is below `width`
// and a multiple of 4; i is the index of element k.
fn source4_at(i: u32, k: u32, width: u32) -> vec4<f32> {
    if width % 4u == 0u {
        return source[i / 4u];
    }
    var v = vec4<f32>(source_element(i), 0.0, 0.0, 0.0);
    if k + 1u < width { v.y = source_element(i + 1u); }
    if k + 2u < width { v.z = source_element(i + 2u); }
    if k + 3u < width { v.w = source_element(i + 3u); }
    return v;
}

// Returns elements k .. k + 3 of a position's row. A position beyond the last repeats the last: its
// result is not stored.
fn source4(slot: u32, row: u32, k: u32, width: u32) -> vec4<f32> {
    return source4_at((slot * L + min(row, L - 1u)) * width + k, k, width);
}

// Returns channels channel .. channel + 3 of a position, zero beyond the last channel.
fn channels4(slot: u32, row: u32, channel: u32) -> vec4<f32> {
    if channel >= D {
        return vec4<f32>();
    }
    return source4_at((slot * L + row) * D + channel, channel, D);
}
