//! The time of a step while another process keeps a core busy. Ignored, because it needs an
//! otherwise idle machine:
//!
//! `cargo test --release --test limits busy_core -- --ignored --nocapture`

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use trm_runtime::WeightDtype;
use trm_runtime::low_level::backend::cpu::Cpu;
use trm_runtime::low_level::backend::{Backend, Program};

use crate::alone;
use crate::models::{self, Noise, Scale};

const HOG: &str = "TRM_TEST_HOG";
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(1200);
/// Largest share of the machine that other processes may take. Above it the test is skipped.
const MAX_OTHER_LOAD: f64 = 0.05;

/// A process that keeps the last core of this process busy.
struct Hog(Child);

impl Hog {
    fn start() -> Self {
        let hog = Command::new("taskset")
            .args(["-c", &last_core()])
            .arg(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "busy_core::a_step_beside_a_busy_process",
            ])
            .env(HOG, "1")
            .stdout(Stdio::null())
            .spawn();
        let hog = Self(hog.expect("taskset, of util-linux"));
        std::thread::sleep(Duration::from_millis(100));
        hog
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn last_core() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let list = status
        .lines()
        .find_map(|l| l.strip_prefix("Cpus_allowed_list:"));
    let list = list.unwrap().trim();
    list.rsplit([',', '-']).next().unwrap().to_string()
}

/// Returns the processor time of all processes, and of this one, in ticks of 10 ms.
fn ticks() -> (u64, u64) {
    let stat = std::fs::read_to_string("/proc/stat").unwrap();
    let all = stat.lines().next().unwrap().split_whitespace().skip(1);
    let all: Vec<u64> = all.map(|n| n.parse().unwrap()).collect();
    // user, nice, system; then idle and waiting; then interrupts and time stolen by the host.
    let busy = all[..3].iter().chain(&all[5..8]).sum();
    let own = std::fs::read_to_string("/proc/self/stat").unwrap();
    let own: Vec<&str> = own.rsplit(')').next().unwrap().split_whitespace().collect();
    let own = own[11].parse::<u64>().unwrap() + own[12].parse::<u64>().unwrap();
    (busy, own)
}

/// Runs steps for [`ROUND`]. Returns the mean time of a step in ms, and the number of cores that
/// other processes used.
///
/// The mean and not the least, because a waiting thread waits for the scheduler's next tick, which
/// takes some milliseconds.
fn round(program: &mut dyn Program, live: &[usize]) -> (f64, f64) {
    let (start, (busy, own), mut steps) = (Instant::now(), ticks(), 0);
    while start.elapsed() < ROUND {
        program.run(program.plan().step(), live).unwrap();
        steps += 1;
    }
    let (seconds, (busy_now, own_now)) = (start.elapsed().as_secs_f64(), ticks());
    let others = (busy_now - busy).saturating_sub(own_now - own) as f64 / 100.0;
    (seconds * 1e3 / f64::from(steps), others / seconds)
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

#[test]
#[ignore = "needs an otherwise idle machine"]
fn a_step_beside_a_busy_process() {
    if std::env::var_os(HOG).is_some() {
        // The parent ends this process. If the parent is gone, it ends by itself.
        let start = Instant::now();
        while start.elapsed() < ROUND * 3 {
            std::hint::spin_loop();
        }
        return;
    }
    let _alone = alone();
    let cores = std::thread::available_parallelism().unwrap().get() as f64;
    let mut failed = Vec::new();
    for (name, batch, dtype) in [
        ("small", 1, WeightDtype::F32),
        ("small", 16, WeightDtype::F32),
        ("sudoku", 1, WeightDtype::F32),
        ("sudoku", 1, WeightDtype::Int8),
        ("sudoku", 4, WeightDtype::Int8),
        ("maze", 1, WeightDtype::Int8),
    ] {
        let (config, cells) = models::config(name, Scale::Full);
        let plan = Arc::new(trm_runtime::low_level::build::build_plan(&config, cells));
        let cpu = Cpu::new(None).unwrap().with_dtype(dtype);
        let loaded = cpu.load(models::weights(&config)).unwrap();
        let mut program = loaded.program(plan.clone(), batch).unwrap();
        for slot in 0..batch {
            for buffer in plan.buffers().into_iter().filter(|b| !b.is_integer()) {
                let values = Noise(7).values(buffer.len(&plan.dims));
                program.write(buffer, slot, &values).unwrap();
            }
        }
        let live: Vec<usize> = (0..batch).collect();
        round(&mut *program, &live);
        let (mut quiet, mut busy, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (time, share) = round(&mut *program, &live);
            quiet.push(time);
            others.push(share);
            let hog = Hog::start();
            busy.push(round(&mut *program, &live).0);
            drop(hog);
        }
        let ratios = busy
            .iter()
            .zip(&quiet)
            .map(|(b, q)| b / q)
            .collect::<Vec<_>>();
        let worst = ratios.iter().copied().fold(0.0, f64::max);
        let (ratio, others) = (median(ratios), median(others) / cores);
        println!(
            "{name}, {dtype}, batch {batch}, {} threads: {:.2} ms, with a busy process {:.2} ms: \
             {ratio:.2} x (worst of {ROUNDS} rounds {worst:.2} x); other processes took {:.0} % of \
             the machine",
            cpu.threads(),
            median(quiet),
            median(busy),
            others * 100.0
        );
        if others > MAX_OTHER_LOAD {
            println!("skipped: other processes keep this machine busy");
        } else if ratio > 2.0 {
            failed.push(format!("{name} {dtype} {batch}: {ratio:.2}"));
        }
    }
    assert!(
        failed.is_empty(),
        "more than twice the quiet time: {failed:?}"
    );
}
