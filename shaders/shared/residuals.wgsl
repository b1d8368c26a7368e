// Sums element i of the first SOURCES residuals, from left to right.
// Expects the override SOURCES and the bindings residual0 to residual3 (array<f32>).

fn sum_residuals(i: u32) -> f32 {
    var sum = residual0[i];
    if SOURCES > 1u { sum += residual1[i]; }
    if SOURCES > 2u { sum += residual2[i]; }
    if SOURCES > 3u { sum += residual3[i]; }
    return sum;
}
