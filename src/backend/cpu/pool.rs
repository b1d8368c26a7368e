//! A pool of worker threads that are awake while a step runs and parked between steps.
//!
//! The calling thread takes part. Threads claim tasks from a counter, so a slow or busy core takes
//! fewer tasks. No thread waits for a thread that has claimed nothing, so a thread that the system
//! does not schedule delays nobody.
#![allow(
    unsafe_code,
    reason = "a closure on the caller's stack is handed to the worker threads"
)]

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use super::cores::physical_cores;
use super::scratch::{Scratch, ScratchSize};
use crate::error::{Error, ErrorKind, Hint, Result};
use crate::process::ProcessId;

/// The function that a job calls once for each task number.
type Task<'a> = dyn Fn(usize, &mut Scratch) + Sync + 'a;

/// The task number of a ticket between jobs. No job has so many tasks.
const NO_TASK: u64 = 0xffff_ffff;

/// How often a thread polls for work before it yields its core.
const SPINS_BEFORE_YIELD: usize = 4_000;
/// How often a thread yields before it parks (between steps) or sleeps (within a step).
const YIELDS_BEFORE_PARK: usize = 50;

/// How long a thread sleeps while it waits for a thread that makes no progress.
const SLEEP: Duration = Duration::from_micros(20);

/// Threads of all pools of this process that take part in steps, callers included.
static AWAKE: AtomicUsize = AtomicUsize::new(0);

/// The share of the awake threads that a step has claimed. Dropping it gives them back.
struct WakeLease {
    threads: usize,
    awake: &'static AtomicUsize,
}

impl WakeLease {
    /// Claims the caller and up to `threads - 1` workers, so that at most `max_awake` threads are
    /// awake in all. The caller is always granted.
    fn claim(awake: &'static AtomicUsize, threads: usize, max_awake: usize) -> Self {
        let mut granted = 1;
        let claim = |awake: usize| {
            granted = 1 + max_awake.saturating_sub(awake + 1).min(threads - 1);
            Some(awake + granted)
        };
        let _ = awake.fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim);
        Self {
            threads: granted,
            awake,
        }
    }
}

impl Drop for WakeLease {
    fn drop(&mut self) {
        self.awake.fetch_sub(self.threads, Ordering::Relaxed);
    }
}

/// The current job and its progress.
///
/// `ticket` holds the job's number in the upper half and the next task in the lower half, or
/// [`NO_TASK`] between jobs. A thread that takes a task by raising the ticket from t to t + 1 knows
/// that the job was current all the while. So what it read of `task` and `task_count` after t
/// belongs to that job: they change only between jobs, when all tasks are done.
#[derive(Default)]
struct JobSlot {
    ticket: AtomicU64,
    /// A `&Task`, on the caller's stack.
    task: AtomicPtr<()>,
    task_count: AtomicUsize,
    finished: AtomicUsize,
    panicked: AtomicBool,
    /// Workers that take part in the running step. 0 between steps.
    active_workers: AtomicUsize,
    shut_down: AtomicBool,
    /// Workers that have started. What the system allocates for a thread is allocated by then.
    started: AtomicUsize,
}

impl JobSlot {
    /// Runs tasks of the current job until all are claimed.
    fn run_tasks(&self, scratch: &mut Scratch) {
        loop {
            let ticket = self.ticket.load(Ordering::Acquire);
            let number = (ticket & NO_TASK) as usize;
            let task = self.task.load(Ordering::Relaxed);
            if number >= self.task_count.load(Ordering::Acquire) {
                return;
            }
            let taken = self.ticket.compare_exchange(
                ticket,
                ticket + 1,
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            if taken.is_err() {
                continue;
            }
            // Counts the task even if it panics, because the caller waits for it.
            let _completion = CompletionGuard(&self.finished);
            // SAFETY: `PoolScope::run` put a `&Task` there and does not return before this task is
            // counted as finished; see `ticket`.
            let task: &Task<'_> = unsafe { *task.cast_const().cast::<&Task<'_>>() };
            if catch_unwind(AssertUnwindSafe(|| task(number, scratch))).is_err() {
                self.panicked.store(true, Ordering::Relaxed);
            }
        }
    }

    /// The main loop of worker `number`, counted from 1.
    fn worker_loop(&self, number: usize, scratch: &Mutex<Scratch>) {
        self.started.fetch_add(1, Ordering::Release);
        let (mut last, mut spins) = (0, 0);
        while !self.shut_down.load(Ordering::Relaxed) {
            let takes_part = self.active_workers.load(Ordering::Acquire) >= number;
            let job = self.ticket.load(Ordering::Acquire) >> 32;
            if takes_part && job != last {
                self.run_tasks(&mut lock(scratch));
                (last, spins) = (job, 0);
                continue;
            }
            spins += 1;
            if takes_part || spins < SPINS_BEFORE_YIELD + YIELDS_BEFORE_PARK {
                back_off(spins);
            } else {
                std::thread::park();
                spins = 0;
            }
        }
    }
}

/// Waits a moment: longer as `spins`, the number of fruitless polls, grows.
fn back_off(spins: usize) {
    if spins < SPINS_BEFORE_YIELD {
        std::hint::spin_loop();
    } else if spins < SPINS_BEFORE_YIELD + YIELDS_BEFORE_PARK {
        std::thread::yield_now();
    } else {
        // Another process keeps a thread of this pool from running. Sleeping frees this core, so
        // that the system can move that thread here.
        std::thread::sleep(SLEEP);
    }
}

/// Counts a task as finished when dropped.
struct CompletionGuard<'a>(&'a AtomicUsize);

impl Drop for CompletionGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

/// Locks scratch memory. A poisoned lock means that a task panicked. No task relies on the contents
/// of scratch memory.
fn lock(scratch: &Mutex<Scratch>) -> MutexGuard<'_, Scratch> {
    scratch.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A pool of threads.
pub(super) struct ThreadPool {
    job: Arc<JobSlot>,
    workers: Vec<JoinHandle<()>>,
    /// Scratch memory of the caller (index 0) and of each worker. The lock of the caller's memory
    /// is also the lock of the pool.
    scratch: Arc<[Mutex<Scratch>]>,
    /// Limit of awake threads in all pools together. Callers are always awake.
    max_awake: usize,
    awake: &'static AtomicUsize,
    /// The process that has the threads.
    process: ProcessId,
}

impl ThreadPool {
    /// Starts a pool of `threads` threads, caller included.
    ///
    /// # Errors
    /// [`ErrorKind::Device`] if the system refuses to start them.
    pub(super) fn new(threads: usize) -> Result<Self> {
        let pool = Self::up_to(threads);
        if pool.threads() == threads {
            return Ok(pool);
        }
        let message = format!(
            "only {} of {threads} threads could be started; the system allows no more",
            pool.threads()
        );
        Err(Error::new(ErrorKind::Device, message).with_hint(Hint::ReduceThreads))
    }

    /// Starts a pool of `threads` threads, caller included, or of fewer if the system refuses to
    /// start more. The caller is always there.
    pub(super) fn up_to(threads: usize) -> Self {
        Self::with_counter(&AWAKE, threads, physical_cores())
    }

    fn with_counter(awake: &'static AtomicUsize, threads: usize, cores: usize) -> Self {
        let mut pool = Self {
            job: Arc::default(),
            workers: Vec::new(),
            scratch: (0..threads).map(|_| Mutex::default()).collect(),
            // A pool that was requested to be larger than the machine may use all its threads.
            max_awake: cores.max(threads),
            awake,
            process: ProcessId::current(),
        };
        for i in 1..threads {
            let (job, scratch) = (pool.job.clone(), pool.scratch.clone());
            let worker = std::thread::Builder::new()
                .name(format!("trm-{i}"))
                .spawn(move || job.worker_loop(i, &scratch[i]));
            match worker {
                Ok(worker) => pool.workers.push(worker),
                Err(e) => {
                    log::debug!("{} of {threads} threads started: {e}", pool.threads());
                    break;
                }
            }
        }
        pool
    }

    /// Checks that the threads are those of the running process, and not of one that it was forked
    /// from. The other functions would wait for ever for threads that do not exist.
    ///
    /// # Errors
    /// [`ErrorKind::Device`] in a child of a fork.
    pub(super) fn check_process(&self) -> Result<()> {
        self.process.check()
    }

    /// Returns the number of threads, caller included.
    pub(super) fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Gives every thread at least `size` of scratch memory, so that no task allocates. Waits for a
    /// running step, and until all workers have started.
    pub(super) fn reserve(&self, size: ScratchSize) {
        for scratch in &*self.scratch {
            lock(scratch).reserve(size);
        }
        let mut spins = 0;
        while self.job.started.load(Ordering::Acquire) < self.workers.len() {
            spins += 1;
            back_off(spins);
        }
    }

    /// Wakes the workers for the jobs that `jobs` runs, one after the other. Other callers wait
    /// until `jobs` returns.
    ///
    /// While other pools of this process run steps, only as many workers wake as there are free
    /// cores.
    pub(super) fn scope<R>(&self, jobs: impl FnOnce(&mut PoolScope<'_>) -> R) -> R {
        let mut scratch = lock(&self.scratch[0]);
        let lease = WakeLease::claim(self.awake, self.threads(), self.max_awake);
        let step = StepGuard::new(&self.job, lease);
        let awake = self.workers.iter().take(step.lease.threads - 1);
        awake.map(JoinHandle::thread).for_each(Thread::unpark);
        jobs(&mut PoolScope {
            pool: Some(self),
            scratch: &mut scratch,
        })
    }
}

/// A running step. Dropping it lets the workers park.
struct StepGuard<'a> {
    job: &'a JobSlot,
    lease: WakeLease,
}

impl StepGuard<'_> {
    fn new(job: &JobSlot, lease: WakeLease) -> StepGuard<'_> {
        job.active_workers
            .store(lease.threads - 1, Ordering::Release);
        StepGuard { job, lease }
    }
}

impl Drop for StepGuard<'_> {
    fn drop(&mut self) {
        self.job.active_workers.store(0, Ordering::Release);
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        if self.process.is_other() {
            // A child of a fork has no such threads. Their handles are leaked.
            return std::mem::forget(std::mem::take(&mut self.workers));
        }
        self.job.shut_down.store(true, Ordering::Relaxed);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // Workers catch the panics of tasks. Any other panic cannot be reported from here.
            let _ = worker.join();
        }
    }
}

impl fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ThreadPool({})", self.threads())
    }
}

/// Runs jobs on an awake pool, or on the calling thread alone.
pub(super) struct PoolScope<'a> {
    pool: Option<&'a ThreadPool>,
    scratch: &'a mut Scratch,
}

impl<'a> PoolScope<'a> {
    /// Returns a scope that runs all tasks on the calling thread.
    pub(super) fn single_thread(scratch: &'a mut Scratch) -> Self {
        PoolScope {
            pool: None,
            scratch,
        }
    }

    /// Returns the number of threads that may run tasks.
    pub(super) fn threads(&self) -> usize {
        self.pool.map_or(1, ThreadPool::threads)
    }

    /// Calls `task(number, scratch)` for every number below `count`, each exactly once, on
    /// whichever threads are free.
    ///
    /// # Panics
    /// If a task panics, after all other tasks are done.
    pub(super) fn run(&mut self, count: usize, task: &(impl Fn(usize, &mut Scratch) + Sync)) {
        let Some(pool) = self.pool.filter(|pool| pool.threads() > 1 && count > 1) else {
            (0..count).for_each(|number| task(number, self.scratch));
            return;
        };
        assert!(count < 1 << 31, "too many tasks");
        let slot = &*pool.job;
        let task: &Task<'_> = task;
        slot.finished.store(0, Ordering::Relaxed);
        // Released after the ticket went to NO_TASK: a thread that sees the new number of tasks
        // cannot take the next task of the last job.
        slot.task_count.store(count, Ordering::Release);
        slot.task
            .store((&raw const task).cast_mut().cast(), Ordering::Relaxed);
        let job = (slot.ticket.load(Ordering::Relaxed) >> 32).wrapping_add(1);
        slot.ticket.store(job << 32, Ordering::Release);
        slot.run_tasks(self.scratch);
        let mut spins = 0;
        while slot.finished.load(Ordering::Acquire) < count {
            spins += 1;
            back_off(spins);
        }
        slot.ticket.store(job << 32 | NO_TASK, Ordering::Relaxed);
        if slot.panicked.swap(false, Ordering::Relaxed) {
            panic!("a kernel of the CPU backend failed; its message is above");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread::ThreadId;
    use std::time::Instant;

    use super::*;

    /// Fails unless a step of `pool` runs on `expected` threads while `inside` runs.
    fn expect_threads(pool: &ThreadPool, expected: usize, inside: impl FnOnce()) {
        pool.scope(|scope| {
            let (seen, start) = (Mutex::<HashSet<ThreadId>>::default(), Instant::now());
            let count = || seen.lock().unwrap().len();
            scope.run(64, &|_, _| {
                seen.lock().unwrap().insert(std::thread::current().id());
                // The system may delay a thread. A thread too many has the other tasks to show up.
                while count() < expected && start.elapsed() < Duration::from_secs(20) {
                    std::thread::sleep(SLEEP);
                }
                std::thread::sleep(Duration::from_millis(1));
            });
            assert_eq!(count(), expected);
            inside();
        });
    }

    #[test]
    fn pools_that_run_at_once_share_the_cores() {
        static AWAKE: AtomicUsize = AtomicUsize::new(0);
        let [first, second, larger] =
            [4, 4, 7].map(|threads| ThreadPool::with_counter(&AWAKE, threads, 4));
        let nothing = || {};
        // A pool that was requested to be larger than the machine may use all its threads.
        expect_threads(&larger, 7, nothing);
        expect_threads(&first, 4, || {
            expect_threads(&second, 1, || expect_threads(&larger, 2, nothing));
        });
        // The threads that were given back are available again.
        expect_threads(&second, 4, nothing);
        assert_eq!(AWAKE.load(Ordering::Relaxed), 0);
    }
}
