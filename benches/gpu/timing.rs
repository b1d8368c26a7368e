//! Times work by repeating it.

use std::time::{Duration, Instant};

use crate::models::Scale;

/// Time of one repetition, in ms.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// The least over all runs.
    pub(crate) best: f64,
    /// The median over all runs.
    pub(crate) median: f64,
}

impl Sample {
    /// Summarises times in ms.
    pub(crate) fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        let at = |index: usize| times.get(index).copied().unwrap_or(f64::NAN);
        Self {
            best: at(0),
            median: at(times.len() / 2),
        }
    }
}

/// How long a measurement may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeBudget {
    /// The least time of a run, reached by repetition.
    min_run: Duration,
    /// The most runs.
    max_runs: usize,
    /// No further run starts after this time, but there are at least two.
    total: Duration,
}

impl TimeBudget {
    pub(crate) fn of(scale: Scale) -> Self {
        let [min_run, total] = match scale {
            Scale::Full => [20, 400],
            Scale::Quick => [2, 20],
        }
        .map(Duration::from_millis);
        Self {
            min_run,
            max_runs: 9,
            total,
        }
    }

    /// Returns the time after which no further run starts.
    pub(crate) fn total(self) -> Duration {
        self.total
    }
}

/// Times a repetition of `work`. `work` gets a number of repetitions, at most `max_repetitions`,
/// and returns when they are done.
pub(crate) fn measure<E>(
    budget: TimeBudget,
    max_repetitions: usize,
    mut work: impl FnMut(usize) -> Result<(), E>,
) -> Result<Sample, E> {
    let mut time = |repetitions: usize| {
        let start = Instant::now();
        work(repetitions).map(|()| start.elapsed())
    };
    // The first run compiles.
    time(1)?;
    let mut repetitions = 1;
    loop {
        let took = time(repetitions)?;
        if took * 3 >= budget.min_run * 2 || repetitions >= max_repetitions {
            break;
        }
        let factor = budget.min_run.as_secs_f64() / took.as_secs_f64().max(1e-9);
        repetitions = (repetitions * factor.clamp(2.0, 16.0) as usize).min(max_repetitions);
    }
    let start = Instant::now();
    let mut times = Vec::with_capacity(budget.max_runs);
    while times.len() < budget.max_runs && (times.len() < 2 || start.elapsed() < budget.total) {
        times.push(time(repetitions)?.as_secs_f64() * 1e3 / repetitions as f64);
    }
    Ok(Sample::of(times))
}
