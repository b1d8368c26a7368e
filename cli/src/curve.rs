//! Accuracy over steps: how many puzzles would be solved if no more steps were allowed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde_json::{Value, json};

use crate::marks::{Marks, fraction, share};
use crate::output::write_file;

/// Colours of the lines that can be told apart by who sees few of them (Okabe and Ito).
const COLOURS: [&str; 6] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
];

/// For each file what its puzzles' answers were after each step that one of them took.
#[derive(Debug, Default)]
pub(crate) struct Curve {
    files: BTreeMap<usize, Vec<Step>>,
}

/// Of one step.
#[derive(Debug, Clone, Copy, Default)]
struct Step {
    /// Answers of all puzzles that took it.
    taken: Sums,
    /// Of those for which it was the last: with more steps they would be no other.
    last: Sums,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    puzzles: u64,
    exact: u64,
    valid: u64,
    judged: u64,
}

impl Sums {
    /// Of one answer.
    fn of(exact: bool, valid: Option<bool>) -> Sums {
        Sums {
            puzzles: 1,
            exact: u64::from(exact),
            valid: u64::from(valid == Some(true)),
            judged: u64::from(valid.is_some()),
        }
    }

    fn add(&mut self, other: Sums) {
        self.puzzles += other.puzzles;
        self.exact += other.exact;
        self.valid += other.valid;
        self.judged += other.judged;
    }
}

impl Curve {
    /// Adds the answer that a puzzle of a file has after a step, from 1.
    pub(crate) fn add(&mut self, file: usize, step: usize, exact: bool, valid: Option<bool>) {
        self.step(file, step).taken.add(Sums::of(exact, valid));
    }

    /// Adds the answer with which a puzzle of a file ended.
    pub(crate) fn end(&mut self, file: usize, step: usize, exact: bool, valid: Option<bool>) {
        self.step(file, step).last.add(Sums::of(exact, valid));
    }

    fn step(&mut self, file: usize, step: usize) -> &mut Step {
        let steps = self.files.entry(file).or_default();
        steps.resize(steps.len().max(step), Step::default());
        &mut steps[step - 1]
    }

    /// For each file its name and the fractions, step by step, of puzzles with the right answer and of those whose answer keeps the rules.
    fn lines<'a>(&'a self, marks: &'a Marks<'_>) -> impl Iterator<Item = Line<'a>> {
        marks.names().filter_map(|(number, name)| {
            let mut ended = Sums::default();
            let answers = |step: &Step| {
                let mut all = step.taken;
                all.add(ended);
                ended.add(step.last);
                all
            };
            let steps: Vec<Sums> = self.files.get(&number)?.iter().map(answers).collect();
            let valid =
                |sums: &Sums| share(sums.valid as f64, sums.puzzles).filter(|_| sums.judged > 0);
            Some(Line {
                name,
                exact: steps
                    .iter()
                    .map(|s| share(s.exact as f64, s.puzzles))
                    .collect(),
                valid: steps.iter().map(valid).collect(),
            })
        })
    }

    /// A record for each file: `exact` and `valid` after 1, 2, ... steps.
    pub(crate) fn records(&self, marks: &Marks<'_>) -> Vec<Value> {
        let fractions =
            |line: &[Option<f64>]| line.iter().map(|x| fraction(*x)).collect::<Vec<_>>();
        self.lines(marks)
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

    /// Writes the picture.
    pub(crate) fn draw(&self, marks: &Marks<'_>, file: &Path) -> trm_runtime::Result<()> {
        write_file(file, &picture(&self.lines(marks).collect::<Vec<_>>()))
    }
}

/// What is drawn of a file.
struct Line<'a> {
    name: &'a str,
    exact: Vec<Option<f64>>,
    valid: Vec<Option<f64>>,
}

/// The picture: steps to the right, percent up; a line for each file, and a dashed one where valid answers are not the exact ones.
fn picture(lines: &[Line<'_>]) -> String {
    let steps = lines.iter().map(|line| line.exact.len()).max().unwrap_or(0);
    let (left, top, width, height) = (48.0, 16.0, 420.0, 240.0);
    let x = |step: usize| left + width * (step - 1) as f64 / (steps - 1).max(1) as f64;
    let y = |share: f64| top + height * (1.0 - share);
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 760 308\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"760\" height=\"308\" fill=\"#ffffff\"/>\n",
    );
    let mut put = |element: String| {
        svg += &element;
        svg.push('\n');
    };
    let text = |x: f64, y: f64, anchor: &str, text: &str| {
        format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"#333333\">{text}</text>"
        )
    };
    for tenth in (0..=10).step_by(2) {
        let y = y(f64::from(tenth) / 10.0);
        put(format!(
            "<path d=\"M{left:.1} {y:.1}h{width:.1}\" stroke=\"#dddddd\"/>"
        ));
        put(text(
            left - 8.0,
            y + 4.0,
            "end",
            &format!("{} %", 10 * tenth),
        ));
    }
    for step in (1..=steps).filter(|step| steps <= 20 || step % (steps / 10) == 0) {
        put(text(
            x(step),
            top + height + 18.0,
            "middle",
            &step.to_string(),
        ));
    }
    put(text(
        left + width / 2.0,
        top + height + 38.0,
        "middle",
        "steps",
    ));
    let mut row = top + 8.0;
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
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
            let style = format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dash}");
            put(format!("<path d=\"{path}\" {style}/>"));
            put(format!(
                "<path d=\"M{:.1} {:.1}h22\" {style}/>",
                left + width + 12.0,
                row - 4.0
            ));
            put(text(left + width + 40.0, row, "start", name));
            row += 18.0;
        };
        let name = escaped(line.name);
        let apart = line.valid != line.exact && line.valid.iter().any(Option::is_some);
        curve(
            &line.exact,
            "",
            &if apart {
                format!("{name}, exact")
            } else {
                name.clone()
            },
        );
        if apart {
            curve(&line.valid, " stroke-dasharray=\"5 3\"", "valid");
        }
    }
    svg += "</svg>\n";
    svg
}

/// A name as XML has it.
fn escaped(name: &str) -> String {
    name.replace('&', "&amp;")
        .replace('<', "&lt;")
        .chars()
        .filter(|c| !c.is_control())
        .collect()
}
