// Sums element i of the first SOURCES sources, from left to right.
// Expects the override SOURCES and the bindings source0 to source3 (array<f32>).

fn sum_sources(i: u32) -> f32 {
    var sum = source0[i];
    if SOURCES > 1u { sum += source1[i]; }
    if SOURCES > 2u { sum += source2[i]; }
    if SOURCES > 3u { sum += source3[i]; }
    return sum;
}
