//! `eval --curve`: accuracy as a function of the maximum number of steps.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use super::metrics::{EvalReport, fraction, ratio};

/// Colours that colour-blind readers can distinguish (Okabe and Ito).
const COLORS: [&str; 6] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
];

/// For each file, the quality of the answers after each step.
#[derive(Debug, Default)]
pub(crate) struct Curve {
    files: BTreeMap<usize, Vec<Step>>,
}

/// Counts for one step of one file.
#[derive(Debug, Clone, Copy, Default)]
struct Step {
    /// Puzzles that took the step.
    taken: Counts,
    /// Puzzles that ended after the step. Their answers stay the same with a higher limit.
    last: Counts,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    puzzles: u64,
    exact: u64,
    valid: u64,
    /// Answers that the rules can judge.
    judged: u64,
}

impl Counts {
    /// Returns the counts of one answer.
    fn of(exact: bool, valid: Option<bool>) -> Self {
        Self {
            puzzles: 1,
            exact: u64::from(exact),
            valid: u64::from(valid == Some(true)),
            judged: u64::from(valid.is_some()),
        }
    }

    fn add(&mut self, other: Self) {
        self.puzzles += other.puzzles;
        self.exact += other.exact;
        self.valid += other.valid;
        self.judged += other.judged;
    }
}

impl Curve {
    /// Adds the answer of a puzzle after a step, from 1.
    pub(crate) fn add(&mut self, file: usize, step: usize, exact: bool, valid: Option<bool>) {
        self.step(file, step).taken.add(Counts::of(exact, valid));
    }

    /// Adds the final answer of a puzzle.
    pub(crate) fn end(&mut self, file: usize, step: usize, exact: bool, valid: Option<bool>) {
        self.step(file, step).last.add(Counts::of(exact, valid));
    }

    fn step(&mut self, file: usize, step: usize) -> &mut Step {
        let steps = self.files.entry(file).or_default();
        steps.resize(steps.len().max(step), Step::default());
        &mut steps[step - 1]
    }

    /// Returns the lines of the plot: for each file, the fractions of exact and of valid answers.
    fn lines<'a>(&'a self, report: &'a EvalReport<'_>) -> impl Iterator<Item = Line<'a>> {
        report.names().filter_map(|(number, name)| {
            let mut ended = Counts::default();
            let answers = |step: &Step| {
                let mut all = step.taken;
                all.add(ended);
                ended.add(step.last);
                all
            };
            let steps: Vec<Counts> = self.files.get(&number)?.iter().map(answers).collect();
            let valid = |counts: &Counts| {
                ratio(counts.valid as f64, counts.puzzles).filter(|_| counts.judged > 0)
            };
            Some(Line {
                name,
                exact: steps
                    .iter()
                    .map(|s| ratio(s.exact as f64, s.puzzles))
                    .collect(),
                valid: steps.iter().map(valid).collect(),
            })
        })
    }

    /// Returns a JSON record for each file: `exact` and `valid` after 1, 2, ... steps.
    pub(crate) fn records(&self, report: &EvalReport<'_>) -> Vec<Value> {
        let fractions =
            |line: &[Option<f64>]| line.iter().map(|x| fraction(*x)).collect::<Vec<_>>();
        self.lines(report)
            .map(|line| {
                json!({
                    "type": "curve",
                    "file": line.name,
                    "exact": fractions(&line.exact),
                    "valid": fractions(&line.valid),
                })
            })
            .collect()
    }

    /// Returns the plot as SVG.
    pub(crate) fn svg(&self, report: &EvalReport<'_>) -> String {
        svg(&self.lines(report).collect::<Vec<_>>())
    }
}

/// The fractions after each step that are drawn for a file.
struct Line<'a> {
    name: &'a str,
    exact: Vec<Option<f64>>,
    valid: Vec<Option<f64>>,
}

/// Returns the plot as SVG: steps on the x axis, percent on the y axis. Each file has a line for
/// exact answers, and a dashed one for valid answers if these differ.
fn svg(lines: &[Line<'_>]) -> String {
    let steps = lines.iter().map(|line| line.exact.len()).max().unwrap_or(0);
    let (left, top, width, height) = (48.0, 16.0, 420.0, 240.0);
    let x = |step: usize| left + width * (step - 1) as f64 / (steps - 1).max(1) as f64;
    let y = |share: f64| top + height * (1.0 - share);
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 760 308\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"760\" height=\"308\" fill=\"#ffffff\"/>\n",
    );
    let mut push = |element: String| {
        svg += &element;
        svg.push('\n');
    };
    let text = |x: f64, y: f64, anchor: &str, text: &str| {
        format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" \
             fill=\"#333333\">{text}</text>"
        )
    };
    for tenth in (0..=10).step_by(2) {
        let y = y(f64::from(tenth) / 10.0);
        push(format!(
            "<path d=\"M{left:.1} {y:.1}h{width:.1}\" stroke=\"#dddddd\"/>"
        ));
        push(text(
            left - 8.0,
            y + 4.0,
            "end",
            &format!("{} %", 10 * tenth),
        ));
    }
    for step in (1..=steps).filter(|step| steps <= 20 || step % (steps / 10) == 0) {
        push(text(
            x(step),
            top + height + 18.0,
            "middle",
            &step.to_string(),
        ));
    }
    push(text(
        left + width / 2.0,
        top + height + 38.0,
        "middle",
        "steps",
    ));
    let mut row = top + 8.0;
    for (line, color) in lines.iter().zip(COLORS.iter().cycle()) {
        let mut curve = |shares: &[Option<f64>], dash: &str, name: &str| {
            let mut path = String::new();
            for (step, share) in (1..)
                .zip(shares)
                .filter_map(|(step, share)| Some((step, (*share)?)))
            {
                let _ = write!(
                    path,
                    "{}{:.1} {:.1}",
                    if path.is_empty() { 'M' } else { 'L' },
                    x(step),
                    y(share)
                );
            }
            let style = format!("fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"{dash}");
            push(format!("<path d=\"{path}\" {style}/>"));
            push(format!(
                "<path d=\"M{:.1} {:.1}h22\" {style}/>",
                left + width + 12.0,
                row - 4.0
            ));
            push(text(left + width + 40.0, row, "start", name));
            row += 18.0;
        };
        let name = escaped(line.name);
        let valid_differs = line.valid != line.exact && line.valid.iter().any(Option::is_some);
        curve(
            &line.exact,
            "",
            &if valid_differs {
                format!("{name}, exact")
            } else {
                name.clone()
            },
        );
        if valid_differs {
            curve(&line.valid, " stroke-dasharray=\"5 3\"", "valid");
        }
    }
    svg += "</svg>\n";
    svg
}

/// Escapes a name for XML.
fn escaped(name: &str) -> String {
    name.replace('&', "&amp;")
        .replace('<', "&lt;")
        .chars()
        .filter(|c| !c.is_control())
        .collect()
}
