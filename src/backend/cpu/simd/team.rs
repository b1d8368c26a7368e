//! A team of threads: awake while a step runs, parked else.
//!
//! The caller takes part. Tasks are claimed from a counter, so a slow or busy core takes fewer; nobody waits for a thread that
//! has claimed nothing, so one that the system does not let run holds nobody up.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use crate::backend::cpu::aligned::Aligned;
use crate::error::{Error, ErrorKind, Result};

/// Memory of a thread's own, kept from task to task.
#[derive(Debug, Default)]
pub(in super::super) struct Scratch {
    floats: Aligned,
    words: Aligned<u32>,
}

impl Scratch {
    /// Pieces of these lengths, each aligned, with whatever was there before.
    pub(in super::super) fn pieces<const N: usize>(&mut self, lengths: [usize; N]) -> [&mut [f32]; N] {
        cut(&mut self.floats, lengths)
    }

    /// The same, and words of four bytes.
    pub(in super::super) fn pieces_and_words<const N: usize, const M: usize>(
        &mut self,
        lengths: [usize; N],
        words: [usize; M],
    ) -> ([&mut [f32]; N], [&mut [u32]; M]) {
        (cut(&mut self.floats, lengths), cut(&mut self.words, words))
    }
}

fn cut<T: Copy + Default, const N: usize>(memory: &mut Aligned<T>, lengths: [usize; N]) -> [&mut [T]; N] {
    let padded = lengths.map(|n| n.next_multiple_of(16));
    let mut rest = memory.room(padded.iter().sum());
    std::array::from_fn(|i| {
        let (piece, more) = std::mem::take(&mut rest).split_at_mut(padded[i]);
        rest = more;
        &mut piece[..lengths[i]]
    })
}

/// What all tasks of a job run.
type Work<'a> = dyn Fn(usize, &mut Scratch) + Sync + 'a;

/// A task that no job has.
const NONE: u64 = 0xffff_ffff;

/// How long a thread looks for work before it lets others run, in looks.
const SPINS: usize = 4_000;
/// How often it lets others run before it parks, between steps.
const YIELDS: usize = 50;

/// How long a thread sleeps when others do not get on.
const PAUSE: Duration = Duration::from_micros(20);

/// The job at hand, and how far it is.
///
/// `ticket` is the job's number in the upper half and the next task in the lower, or [`NONE`] between jobs. A thread that takes a task
/// by raising the ticket from t to t + 1 knows that the job was at hand all the while, so that what it read of `work` and `tasks` after t
/// belongs to it: they change only between jobs, when all tasks are done.
#[derive(Default)]
struct Desk {
    ticket: AtomicU64,
    /// A `&Work`, on the caller's stack.
    work: AtomicPtr<()>,
    tasks: AtomicUsize,
    done: AtomicUsize,
    panicked: AtomicBool,
    /// A step runs: stay awake.
    open: AtomicBool,
    closed: AtomicBool,
}

impl Desk {
    /// Takes tasks of the job at hand until none is left.
    fn work(&self, scratch: &mut Scratch) {
        loop {
            let ticket = self.ticket.load(Ordering::Acquire);
            let task = (ticket & NONE) as usize;
            let work = self.work.load(Ordering::Relaxed);
            if task >= self.tasks.load(Ordering::Acquire) {
                return;
            }
            let taken = self
                .ticket
                .compare_exchange(ticket, ticket + 1, Ordering::AcqRel, Ordering::Relaxed);
            if taken.is_err() {
                continue;
            }
            // Counted even if the task panics, for the caller waits for it.
            let _done = Done(&self.done);
            // SAFETY: `run` put a `&Work` there and does not return before this task is counted as done; see `ticket`.
            let work: &Work<'_> = unsafe { *work.cast_const().cast::<&Work<'_>>() };
            if catch_unwind(AssertUnwindSafe(|| work(task, scratch))).is_err() {
                self.panicked.store(true, Ordering::Relaxed);
            }
        }
    }

    /// What a thread of the team does all its life.
    fn serve(&self) {
        let mut scratch = Scratch::default();
        let (mut last, mut looks) = (0, 0);
        while !self.closed.load(Ordering::Relaxed) {
            let job = self.ticket.load(Ordering::Acquire) >> 32;
            if job != last {
                self.work(&mut scratch);
                (last, looks) = (job, 0);
                continue;
            }
            looks += 1;
            if looks < SPINS + YIELDS || self.open.load(Ordering::Acquire) {
                wait(looks);
            } else {
                std::thread::park();
                looks = 0;
            }
        }
    }
}

/// Waits for others to get on; asked the `looks`-th time.
fn wait(looks: usize) {
    if looks < SPINS {
        std::hint::spin_loop();
    } else if looks < SPINS + YIELDS {
        std::thread::yield_now();
    } else {
        // Somebody is kept from running by another process: leave the core to whom the system wants to move here.
        std::thread::sleep(PAUSE);
    }
}

/// Counts a task as done when it goes.
struct Done<'a>(&'a AtomicUsize);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

/// Threads that work together.
pub(in super::super) struct Team {
    desk: Arc<Desk>,
    threads: Vec<JoinHandle<()>>,
    /// The caller's scratch memory; who holds it has the team.
    caller: Mutex<Scratch>,
}

impl Team {
    /// A team of so many threads, the caller among them.
    ///
    /// # Errors
    /// [`ErrorKind::Device`] if the system refuses to start them.
    pub(in super::super) fn new(threads: usize) -> Result<Team> {
        let mut team = Team {
            desk: Arc::default(),
            threads: Vec::new(),
            caller: Mutex::default(),
        };
        for i in 1..threads {
            let desk = team.desk.clone();
            let thread = std::thread::Builder::new()
                .name(format!("trm-{i}"))
                .spawn(move || desk.serve())
                .map_err(|e| Error::new(ErrorKind::Device, "no threads could be started").because(e))?;
            team.threads.push(thread);
        }
        Ok(team)
    }

    pub(in super::super) fn threads(&self) -> usize {
        self.threads.len() + 1
    }

    /// Wakes the team for the jobs that `jobs` runs, one after the other. Others who want it wait until they are done.
    pub(in super::super) fn shift<R>(&self, jobs: impl FnOnce(&mut Shift<'_>) -> R) -> R {
        // A poisoned lock means that a task panicked; scratch memory is never relied on.
        let mut scratch = self.caller.lock().unwrap_or_else(|e| e.into_inner());
        self.desk.open.store(true, Ordering::Release);
        let _open = Open(&self.desk);
        self.threads
            .iter()
            .map(JoinHandle::thread)
            .for_each(Thread::unpark);
        jobs(&mut Shift {
            team: Some(self),
            scratch: &mut scratch,
        })
    }
}

/// Lets the team park when it goes.
struct Open<'a>(&'a Desk);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.store(false, Ordering::Release);
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.desk.closed.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            // It catches the panics of tasks; there is nobody to tell of another.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Team {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Team({})", self.threads())
    }
}

/// Who runs jobs: a team that is awake, or the caller alone.
pub(in super::super) struct Shift<'a> {
    team: Option<&'a Team>,
    scratch: &'a mut Scratch,
}

impl<'a> Shift<'a> {
    /// The caller alone, with its memory.
    pub(in super::super) fn alone(scratch: &'a mut Scratch) -> Shift<'a> {
        Shift { team: None, scratch }
    }

    pub(in super::super) fn threads(&self) -> usize {
        self.team.map_or(1, Team::threads)
    }

    /// Runs `work(task, scratch)` for every task below `tasks`, each once, on whichever threads are free.
    ///
    /// # Panics
    /// If a task does, after all others are done.
    pub(super) fn run(&mut self, tasks: usize, work: &(impl Fn(usize, &mut Scratch) + Sync)) {
        let Some(team) = self.team.filter(|team| team.threads() > 1 && tasks > 1) else {
            (0..tasks).for_each(|task| work(task, self.scratch));
            return;
        };
        assert!(tasks < 1 << 31, "too many tasks");
        let desk = &*team.desk;
        let work: &Work<'_> = work;
        desk.done.store(0, Ordering::Relaxed);
        // Released after the ticket went to NONE: who sees the new number of tasks cannot take the next one of the last job.
        desk.tasks.store(tasks, Ordering::Release);
        desk.work
            .store((&raw const work).cast_mut().cast(), Ordering::Relaxed);
        let job = (desk.ticket.load(Ordering::Relaxed) >> 32).wrapping_add(1);
        desk.ticket.store(job << 32, Ordering::Release);
        desk.work(self.scratch);
        let mut looks = 0;
        while desk.done.load(Ordering::Acquire) < tasks {
            looks += 1;
            wait(looks);
        }
        desk.ticket.store(job << 32 | NONE, Ordering::Relaxed);
        if desk.panicked.swap(false, Ordering::Relaxed) {
            panic!("a kernel of the CPU backend failed; its message is above");
        }
    }
}
