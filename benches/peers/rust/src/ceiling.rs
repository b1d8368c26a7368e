//! The peak rate of the CPU: multiply-adds of f32 and dot products of int8, in registers, on
//! several threads at once.
use std::sync::Barrier;
use std::time::Instant;

/// A loop, and the number of operations of one of its rounds. A multiply-add counts as two.
type Loop = (unsafe fn(u64), f64);

/// Independent accumulators of a loop: more than latency times execution units on any CPU.
const SUMS: usize = 16;

/// Returns the peak GFLOP/s of f32 and GOP/s of int8 within `seconds`, as JSON. `null` if this
/// program has no loop for the CPU.
pub(crate) fn measure(threads: usize, seconds: f64) -> String {
    let rate = |l: Option<Loop>| match l {
        Some(l) => peak_rate(l, threads, seconds / 2.0).to_string(),
        None => "null".to_owned(),
    };
    format!("{{\"f32\": {}, \"int8\": {}}}", rate(f32_loop()), rate(int8_loop()))
}

fn peak_rate((work, operations): Loop, threads: usize, seconds: f64) -> f64 {
    let start = Instant::now();
    let (mut rounds, mut best) = (1u64 << 12, 0f64);
    while start.elapsed().as_secs_f64() < seconds {
        let took = time_threads(work, rounds, threads);
        best = best.max(operations * rounds as f64 * threads as f64 / took * 1e-9);
        if took < 0.02 {
            rounds *= 2;
        }
    }
    best
}

/// Returns the seconds from the first thread's start to the last one's end.
fn time_threads(work: unsafe fn(u64), rounds: u64, threads: usize) -> f64 {
    let gate = Barrier::new(threads);
    let timed = || {
        gate.wait();
        let start = Instant::now();
        // SAFETY: `f32_loop` and `int8_loop` return only loops that this CPU supports.
        unsafe { work(rounds) };
        (start, Instant::now())
    };
    let spans: Vec<(Instant, Instant)> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(timed)).collect();
        running
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .collect()
    });
    let (first, last) = (spans.iter().map(|s| s.0).min(), spans.iter().map(|s| s.1).max());
    match (first, last) {
        (Some(first), Some(last)) => (last - first).as_secs_f64(),
        _ => f64::INFINITY,
    }
}

#[cfg(target_arch = "x86_64")]
fn f32_loop() -> Option<Loop> {
    if is_x86_feature_detected!("avx512f") {
        Some((x86::f32_512, (2 * 16 * SUMS) as f64))
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        Some((x86::f32_256, (2 * 8 * SUMS) as f64))
    } else {
        None
    }
}

#[cfg(target_arch = "x86_64")]
fn int8_loop() -> Option<Loop> {
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
        Some((x86::int8_512, (2 * 64 * SUMS) as f64))
    } else if is_x86_feature_detected!("avxvnni") {
        Some((x86::int8_256, (2 * 32 * SUMS) as f64))
    } else {
        None
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    use super::SUMS;

    macro_rules! sums {
        ($name:ident, $features:literal, $zero:expr, $x:expr, $add:expr) => {
            /// Runs rounds of one operation on each sum.
            #[target_feature(enable = $features)]
            pub(super) unsafe fn $name(rounds: u64) {
                // Opaque, so that the compiler does not merge the equal sums.
                let mut sums = black_box([$zero; SUMS]);
                let x = black_box($x);
                for _ in 0..rounds {
                    for sum in &mut sums {
                        *sum = $add(*sum, x);
                    }
                }
                black_box(sums);
            }
        };
    }
    sums!(
        f32_512,
        "avx512f",
        _mm512_setzero_ps(),
        _mm512_set1_ps(0.5),
        |s, x| _mm512_fmadd_ps(s, x, x)
    );
    sums!(
        f32_256,
        "avx2,fma",
        _mm256_setzero_ps(),
        _mm256_set1_ps(0.5),
        |s, x| _mm256_fmadd_ps(s, x, x)
    );
    sums!(
        int8_512,
        "avx512f,avx512vnni",
        _mm512_setzero_si512(),
        _mm512_set1_epi8(3),
        |s, x| _mm512_dpbusd_epi32(s, x, x)
    );
    sums!(
        int8_256,
        "avx2,avxvnni",
        _mm256_setzero_si256(),
        _mm256_set1_epi8(3),
        |s, x| _mm256_dpbusd_avx_epi32(s, x, x)
    );
}

#[cfg(target_arch = "aarch64")]
fn f32_loop() -> Option<Loop> {
    Some((arm::f32_128, (2 * 4 * SUMS) as f64))
}

#[cfg(target_arch = "aarch64")]
fn int8_loop() -> Option<Loop> {
    if std::arch::is_aarch64_feature_detected!("i8mm") {
        Some((arm::int8_smmla, (2 * 32 * SUMS) as f64))
    } else if std::arch::is_aarch64_feature_detected!("dotprod") {
        Some((arm::int8_128, (2 * 16 * SUMS) as f64))
    } else {
        None
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::{aarch64::*, asm};
    use std::hint::black_box;

    use super::SUMS;

    #[target_feature(enable = "neon")]
    pub(super) unsafe fn f32_128(rounds: u64) {
        let mut sums = black_box([vdupq_n_f32(0.0); SUMS]);
        let x = black_box(vdupq_n_f32(0.5));
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = vfmaq_f32(x, *sum, x);
            }
        }
        black_box(sums);
    }

    macro_rules! int8_loops {
        ($name:ident, $features:literal, $instruction:literal) => {
            #[target_feature(enable = $features)]
            pub(super) unsafe fn $name(rounds: u64) {
                let mut sums = black_box([vdupq_n_s32(0); SUMS]);
                let x = black_box(vdupq_n_s8(3));
                for _ in 0..rounds {
                    for sum in &mut sums {
                        // SAFETY: uses registers only; the feature is enabled above.
                        unsafe {
                            asm!(
                                concat!($instruction, " {s:v}.4s, {x:v}.16b, {x:v}.16b"),
                                s = inout(vreg) *sum,
                                x = in(vreg) x,
                                options(pure, nomem, nostack)
                            )
                        };
                    }
                }
                black_box(sums);
            }
        };
    }
    int8_loops!(int8_128, "neon,dotprod", "sdot");
    int8_loops!(int8_smmla, "neon,i8mm", "smmla");
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn f32_loop() -> Option<Loop> {
    None
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn int8_loop() -> Option<Loop> {
    None
}
