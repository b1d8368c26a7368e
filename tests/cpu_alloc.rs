//! Checks that the CPU backend allocates no memory after the first step of a batch. The test has no
//! test harness, because it counts the allocations of all threads.
#![allow(unsafe_code, reason = "an allocator that counts")]

#[path = "common/data.rs"]
mod data;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use data::data;
use trm_runtime::low_level::backend::Backend;
use trm_runtime::low_level::backend::cpu::Cpu;
use trm_runtime::low_level::{PlanStepper, Stepper};
use trm_runtime::{LoadOptions, Model, WeightDtype};

struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is forwarded to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Returns the number of allocations of all threads while `work` runs.
fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATED.load(Ordering::Relaxed);
    work();
    ALLOCATED.load(Ordering::Relaxed) - before
}

fn main() {
    // The counter must see allocations on other threads.
    let known = allocations(|| drop(std::thread::spawn(|| vec![0u8; 100]).join().unwrap()));
    assert!(known > 0, "allocations are not counted");
    for case in ["trm_mlp", "trm_attention"] {
        let model = Model::open(data("golden").join(case), &LoadOptions::default()).unwrap();
        let (model, tokens) = (Arc::new(model), 9);
        for dtype in [WeightDtype::F32, WeightDtype::Int8, WeightDtype::Bf16] {
            // With many threads, some get their first task late.
            for (threads, batch) in [(1, 1), (1, 16), (2, 1), (2, 16), (3, 16), (12, 2)] {
                let cpu = Cpu::new(Some(threads)).unwrap().with_dtype(dtype);
                let loaded = cpu.load(model.take_weights().unwrap()).unwrap();
                let tokens = model.config.seq_len.unwrap_or(tokens);
                let mut stepper = PlanStepper::new(model.clone(), &*loaded, tokens, batch).unwrap();
                for slot in 0..batch {
                    stepper.load(slot, &vec![1; tokens], 0).unwrap();
                }
                let live: Vec<usize> = (0..batch).collect();
                stepper.step(&live).unwrap();
                let found = allocations(|| {
                    // Puzzles halt one after the other. Every thread must have its buffers, in
                    // whatever order the threads start.
                    for end in [16, 15, 14, 7, 2, 1]
                        .into_iter()
                        .filter(|end| *end <= batch)
                    {
                        (0..3).for_each(|_| stepper.step(&live[..end]).unwrap());
                    }
                });
                assert_eq!(
                    found, 0,
                    "{case}, {dtype:?}, {threads} threads, batch {batch}"
                );
            }
        }
    }
    println!("no allocation after the first step: ok");
}
