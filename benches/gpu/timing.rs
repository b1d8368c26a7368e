//! Measuring by repetition.

use std::time::{Duration, Instant};

use crate::models::Scale;

/// Time of one repetition, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// The least of all runs.
    pub(crate) best: f64,
    /// Their median.
    pub(crate) median: f64,
}

impl Sample {
    /// Of times in milliseconds.
    pub(crate) fn of(mut times: Vec<f64>) -> Sample {
        times.sort_by(f64::total_cmp);
        let at = |index: usize| times.get(index).copied().unwrap_or(f64::NAN);
        Sample {
            best: at(0),
            median: at(times.len() / 2),
        }
    }
}

/// How long is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// A run repeats the work until it takes as long.
    run: Duration,
    /// Runs at most,
    runs: usize,
    /// and no more of them after this time, but two.
    all: Duration,
}

impl Patience {
    pub(crate) fn of(scale: Scale) -> Patience {
        let [run, all] = match scale {
            Scale::Full => [20, 400],
            Scale::Quick => [2, 20],
        }
        .map(Duration::from_millis);
        Patience { run, runs: 9, all }
    }

    /// The time after which no further run begins.
    pub(crate) fn whole(self) -> Duration {
        self.all
    }
}

/// What a repetition of `work` takes. `work` gets a number of repetitions, at most `most`, and returns when they are done.
pub(crate) fn measure<E>(
    patience: Patience,
    most: usize,
    mut work: impl FnMut(usize) -> Result<(), E>,
) -> Result<Sample, E> {
    let mut time = |repetitions: usize| {
        let start = Instant::now();
        work(repetitions).map(|()| start.elapsed())
    };
    // The first time compiles.
    time(1)?;
    let mut repetitions = 1;
    loop {
        let took = time(repetitions)?;
        if took * 3 >= patience.run * 2 || repetitions >= most {
            break;
        }
        let factor = patience.run.as_secs_f64() / took.as_secs_f64().max(1e-9);
        repetitions = (repetitions * factor.clamp(2.0, 16.0) as usize).min(most);
    }
    let start = Instant::now();
    let mut times = Vec::with_capacity(patience.runs);
    while times.len() < patience.runs && (times.len() < 2 || start.elapsed() < patience.all) {
        times.push(time(repetitions)?.as_secs_f64() * 1e3 / repetitions as f64);
    }
    Ok(Sample::of(times))
}
