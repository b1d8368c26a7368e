//! A team of threads: awake while a step runs, parked else.
//!
//! The caller takes part. Tasks are claimed from a counter, so a slow or busy core takes fewer; nobody waits for a thread that
//! has claimed nothing, so one that the system does not let run holds nobody up.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use crate::backend::cpu::aligned::Aligned;
use crate::backend::cpu::cores::physical_cores;
use crate::error::{Error, ErrorKind, Result};

/// Memory of a thread's own, kept from task to task.
#[derive(Debug, Default)]
pub(in super::super) struct Scratch {
    floats: Aligned,
    words: Aligned<u32>,
}

/// How much scratch memory tasks ask for.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(in super::super) struct Room {
    floats: usize,
    words: usize,
}

impl Room {
    /// What [`Scratch::pieces_and_words`] of these lengths takes.
    pub(in super::super) fn of(lengths: &[usize], words: &[usize]) -> Room {
        let all = |lengths: &[usize]| lengths.iter().map(|n| padded(*n)).sum();
        Room {
            floats: all(lengths),
            words: all(words),
        }
    }

    /// What suffices for either.
    pub(in super::super) fn or(self, other: Room) -> Room {
        Room {
            floats: self.floats.max(other.floats),
            words: self.words.max(other.words),
        }
    }
}

/// Each piece starts where a vector does.
fn padded(length: usize) -> usize {
    length.next_multiple_of(16)
}

impl Scratch {
    fn reserve(&mut self, room: Room) {
        self.floats.room(room.floats);
        self.words.room(room.words);
    }

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
    let padded = lengths.map(padded);
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

/// Threads that take part in steps, callers among them, in all teams of this process.
static AWAKE: AtomicUsize = AtomicUsize::new(0);

/// The part that a step has of [`AWAKE`].
struct Part {
    threads: usize,
    awake: &'static AtomicUsize,
}

impl Part {
    /// A caller, and of its team of `threads` as many more as leave no more awake than `most`.
    fn claim(awake: &'static AtomicUsize, threads: usize, most: usize) -> Part {
        let mut part = 1;
        let claim = |awake: usize| {
            part = 1 + most.saturating_sub(awake + 1).min(threads - 1);
            Some(awake + part)
        };
        let _ = awake.fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim);
        Part { threads: part, awake }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.awake.fetch_sub(self.threads, Ordering::Relaxed);
    }
}

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
    /// How many of the team's own threads take part in the step that runs; 0 between steps.
    open: AtomicUsize,
    closed: AtomicBool,
    /// Threads that have begun; what the system allocates for one is there by then.
    begun: AtomicUsize,
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

    /// What the thread `number` of the team, counted from 1, does all its life.
    fn serve(&self, number: usize, scratch: &Mutex<Scratch>) {
        self.begun.fetch_add(1, Ordering::Release);
        let (mut last, mut looks) = (0, 0);
        while !self.closed.load(Ordering::Relaxed) {
            let takes_part = self.open.load(Ordering::Acquire) >= number;
            let job = self.ticket.load(Ordering::Acquire) >> 32;
            if takes_part && job != last {
                self.work(&mut locked(scratch));
                (last, looks) = (job, 0);
                continue;
            }
            looks += 1;
            if takes_part || looks < SPINS + YIELDS {
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

/// A poisoned lock means that a task panicked; what is in scratch memory is never relied on.
fn locked(scratch: &Mutex<Scratch>) -> MutexGuard<'_, Scratch> {
    scratch.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Threads that work together.
pub(in super::super) struct Team {
    desk: Arc<Desk>,
    threads: Vec<JoinHandle<()>>,
    /// The caller's scratch memory, and that of each thread. Who holds the caller's has the team.
    scratch: Arc<[Mutex<Scratch>]>,
    /// No more threads than this are awake in all teams together, but for callers.
    most: usize,
    awake: &'static AtomicUsize,
}

impl Team {
    /// A team of so many threads, the caller among them.
    ///
    /// # Errors
    /// [`ErrorKind::Device`] if the system refuses to start them.
    pub(in super::super) fn new(threads: usize) -> Result<Team> {
        Team::among(&AWAKE, threads, physical_cores())
    }

    fn among(awake: &'static AtomicUsize, threads: usize, cores: usize) -> Result<Team> {
        let mut team = Team {
            desk: Arc::default(),
            threads: Vec::new(),
            scratch: (0..threads).map(|_| Mutex::default()).collect(),
            // A team that was asked to be larger than the machine may be so.
            most: cores.max(threads),
            awake,
        };
        for i in 1..threads {
            let (desk, scratch) = (team.desk.clone(), team.scratch.clone());
            let thread = std::thread::Builder::new()
                .name(format!("trm-{i}"))
                .spawn(move || desk.serve(i, &scratch[i]))
                .map_err(|e| Error::new(ErrorKind::Device, "no threads could be started").with_source(e))?;
            team.threads.push(thread);
        }
        Ok(team)
    }

    pub(in super::super) fn threads(&self) -> usize {
        self.threads.len() + 1
    }

    /// Gives every thread at least so much scratch memory, so that no task has to allocate. Waits for a step that runs, and until all
    /// threads have begun.
    pub(in super::super) fn reserve(&self, room: Room) {
        for scratch in &*self.scratch {
            locked(scratch).reserve(room);
        }
        let mut looks = 0;
        while self.desk.begun.load(Ordering::Acquire) < self.threads.len() {
            looks += 1;
            wait(looks);
        }
    }

    /// Wakes the team for the jobs that `jobs` runs, one after the other. Others who want it wait until they are done.
    ///
    /// Where other teams of this process are at work, only as many threads wake as the machine has cores for.
    pub(in super::super) fn shift<R>(&self, jobs: impl FnOnce(&mut Shift<'_>) -> R) -> R {
        let mut scratch = locked(&self.scratch[0]);
        let open = Open::of(&self.desk, Part::claim(self.awake, self.threads(), self.most));
        let awake = self.threads.iter().take(open.part.threads - 1);
        awake.map(JoinHandle::thread).for_each(Thread::unpark);
        jobs(&mut Shift {
            team: Some(self),
            scratch: &mut scratch,
        })
    }
}

/// A step; lets the team park when it goes.
struct Open<'a> {
    desk: &'a Desk,
    part: Part,
}

impl Open<'_> {
    fn of(desk: &Desk, part: Part) -> Open<'_> {
        desk.open.store(part.threads - 1, Ordering::Release);
        Open { desk, part }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.desk.open.store(0, Ordering::Release);
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread::ThreadId;
    use std::time::Instant;

    use super::*;

    /// Fails unless a step of a team has so many threads while `inside` runs.
    fn at_work(team: &Team, expected: usize, inside: impl FnOnce()) {
        team.shift(|shift| {
            let (seen, start) = (Mutex::<HashSet<ThreadId>>::default(), Instant::now());
            let count = || seen.lock().unwrap().len();
            shift.run(64, &|_, _| {
                seen.lock().unwrap().insert(std::thread::current().id());
                // The system may take its time to let a thread run; one too many has the other tasks to show up.
                while count() < expected && start.elapsed() < Duration::from_secs(20) {
                    std::thread::sleep(PAUSE);
                }
                std::thread::sleep(Duration::from_millis(1));
            });
            assert_eq!(count(), expected);
            inside();
        });
    }

    #[test]
    fn teams_at_work_share_the_cores() {
        static AWAKE: AtomicUsize = AtomicUsize::new(0);
        let [first, second, larger] = [4, 4, 7].map(|threads| Team::among(&AWAKE, threads, 4).unwrap());
        let nothing = || {};
        // A team that was asked to be larger than the machine may be so.
        at_work(&larger, 7, nothing);
        at_work(&first, 4, || at_work(&second, 1, || at_work(&larger, 2, nothing)));
        // What was given back is there again.
        at_work(&second, 4, nothing);
        assert_eq!(AWAKE.load(Ordering::Relaxed), 0);
    }
}
