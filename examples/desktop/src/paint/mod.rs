//! Boards as pictures. No meaning depends on colour alone: changed cells have a corner, heat has a
//! bar, and errors have a cross and hatching.

use egui::{
    Align2, Color32, FontId, Painter, Pos2, Rect, Shape, Stroke, StrokeKind, Ui, pos2, vec2,
};

use crate::board::{self, Board, Kind};
use crate::history::StepRecord;
use crate::palette::Palette;
use crate::runner_view::Tone;

mod arc;
mod maze;
mod sudoku;

/// What to draw of a runner.
pub(crate) struct BoardView<'a> {
    pub(crate) board: &'a Board,
    /// The step on the board. `None` shows the puzzle.
    pub(crate) step: Option<&'a StepRecord>,
    /// The step that fades out.
    pub(crate) previous_step: Option<&'a StepRecord>,
    /// The progress of the fade from `previous_step` to `step`, 0 to 1.
    pub(crate) blend: f32,
    /// The state change of the hottest cell. `None` hides the heat map.
    pub(crate) max_state_change: Option<f32>,
    /// The cell that keys write to.
    pub(crate) cursor: Option<usize>,
    pub(crate) palette: &'a Palette,
    /// The colour of the model's answers.
    pub(crate) accent: Color32,
}

impl BoardView<'_> {
    /// Returns the opacity of a cell's answer. It shows the confidence, and fades between steps.
    fn opacity(&self, i: usize) -> f32 {
        /// The opacity at which an answer is still legible.
        const MIN_OPACITY: f32 = 0.12;
        let opacity_at = |step: &StepRecord| {
            let confidence = step.confidence.get(i);
            confidence.map_or(0.0, |confidence| {
                MIN_OPACITY + (1.0 - MIN_OPACITY) * confidence
            })
        };
        let Some(step) = self.step else { return 0.0 };
        let is_same = |other: &&StepRecord| other.answer.cells.get(i) == step.answer.cells.get(i);
        let from = self.previous_step.filter(is_same).map_or(0.0, opacity_at);
        from + (opacity_at(step) - from) * self.blend
    }

    /// Returns whether this step changed a cell.
    fn is_changed(&self, i: usize) -> bool {
        self.step
            .is_some_and(|step| step.changed.get(i).copied().unwrap_or(false))
    }

    /// Returns the value of the answer in a cell.
    fn answer(&self, i: usize) -> Option<u8> {
        self.step?.answer.cells.get(i).copied()
    }

    /// Returns the cells that break a rule: of the answer if there is one, else of the puzzle.
    fn conflicts(&self) -> Vec<usize> {
        self.board
            .conflicts(self.step.map(|step| step.answer.cells.as_slice()))
    }

    /// Returns the heat of a cell, 0 to 1, if the heat map is shown.
    fn heat(&self, i: usize) -> Option<f32> {
        let state_change = self.step?.state_change.get(i).copied()?;
        Some((state_change / self.max_state_change?).clamp(0.0, 1.0))
    }
}

/// The position of a grid in a picture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GridLayout {
    origin: Pos2,
    /// The side of a cell, in points.
    side: f32,
    rows: usize,
    cols: usize,
}

impl GridLayout {
    /// Returns the largest grid of square cells in the middle of `area`.
    fn fit(area: Rect, rows: usize, cols: usize) -> Self {
        let (r, c) = (rows.max(1) as f32, cols.max(1) as f32);
        let side = (area.width() / c).min(area.height() / r).max(1.0);
        // Whole points keep lines sharp.
        let side = if side > 6.0 { side.floor() } else { side };
        let origin = area.center() - vec2(c * side, r * side) / 2.0;
        Self {
            origin: pos2(origin.x.round(), origin.y.round()),
            side,
            rows,
            cols,
        }
    }

    /// Returns the cell at a position.
    pub(crate) fn cell_at(&self, pos: Pos2) -> Option<usize> {
        let at = (pos - self.origin) / self.side;
        let (rows, cols) = (self.rows as f32, self.cols as f32);
        let is_inside = at.x >= 0.0 && at.y >= 0.0 && at.x < cols && at.y < rows;
        is_inside.then(|| at.y as usize * self.cols + at.x as usize)
    }

    /// Returns the rectangle of a cell.
    fn cell(&self, i: usize) -> Rect {
        let (row, col) = (i / self.cols.max(1), i % self.cols.max(1));
        Rect::from_min_size(
            self.origin + vec2(col as f32, row as f32) * self.side,
            vec2(self.side, self.side),
        )
    }

    fn rect(&self) -> Rect {
        Rect::from_min_size(
            self.origin,
            vec2(self.cols as f32, self.rows as f32) * self.side,
        )
    }

    fn cells(&self) -> std::ops::Range<usize> {
        0..self.rows * self.cols
    }
}

/// Draws the board, as large as `area` allows.
pub(crate) fn draw_board(painter: &Painter, area: Rect, view: &BoardView<'_>) -> GridLayout {
    let area = area.shrink(6.0);
    match view.board.kind() {
        Kind::Sudoku { boxes, .. } => sudoku::draw(painter, area, view, boxes),
        Kind::Maze { .. } => maze::draw(painter, area, view),
        Kind::Arc { .. } => arc::draw(painter, area, view),
    }
}

/// Describes the value of a cell to screen readers.
pub(crate) fn describe_value(kind: Kind, value: u8) -> String {
    match (kind, value) {
        (Kind::Sudoku { .. }, 0) => "empty".into(),
        (Kind::Sudoku { .. }, digit) if digit < 10 => digit.to_string(),
        (Kind::Maze { .. }, board::WALL) => "wall".into(),
        (Kind::Maze { .. }, board::FREE) => "free".into(),
        (Kind::Maze { .. }, board::START) => "start".into(),
        (Kind::Maze { .. }, board::GOAL) => "goal".into(),
        (Kind::Maze { .. }, board::PATH) => "path".into(),
        (Kind::Arc { .. }, color) if color < 10 => format!("colour {color}"),
        _ => "nothing".into(),
    }
}

/// Draws heat as a background, and as a bar at the bottom that is legible without colour.
fn draw_heat(painter: &Painter, rect: Rect, value: f32, palette: &Palette) {
    painter.rect_filled(rect, 0.0, palette.heat(value));
    let inner = rect.shrink2(vec2(rect.width() * 0.12, rect.height() * 0.06));
    let thickness = (rect.height() * 0.07).max(1.5);
    let bar = Rect::from_min_max(
        pos2(inner.left(), inner.bottom() - thickness),
        pos2(inner.left() + inner.width() * value, inner.bottom()),
    );
    painter.rect_filled(bar, thickness / 2.0, palette.text.gamma_multiply(0.75));
}

/// Marks a cell that this step changed: a halo, and a corner that is visible without colour. It is
/// brighter while the step fades in.
fn draw_highlight(painter: &Painter, rect: Rect, blend: f32, palette: &Palette) {
    let opacity = 0.55 + 0.45 * (1.0 - blend);
    let rings = 4;
    for ring in 0..rings {
        let inset = 1.0 + ring as f32 * rect.width() * 0.035;
        let fade = opacity * (1.0 - ring as f32 / rings as f32).powi(2);
        let width = (rect.width() * 0.04).max(1.2);
        let stroke = Stroke::new(width, palette.highlight.gamma_multiply(fade));
        painter.rect_stroke(
            rect.shrink(inset),
            rect.width() * 0.1,
            stroke,
            StrokeKind::Inside,
        );
    }
    let size = (rect.width() * 0.2).clamp(4.0, 14.0);
    let corner = rect.right_top() + vec2(-1.5, 1.5);
    let points = vec![corner, corner + vec2(-size, 0.0), corner + vec2(0.0, size)];
    painter.add(Shape::convex_polygon(
        points,
        palette.highlight,
        Stroke::NONE,
    ));
}

/// Marks a cell that breaks a rule: hatching, and a cross in the corner.
fn draw_error(painter: &Painter, rect: Rect, palette: &Palette) {
    let painter = painter.with_clip_rect(rect.intersect(painter.clip_rect()));
    let opacity = if palette.dark { 0.22 } else { 0.16 };
    painter.rect_filled(rect, 0.0, palette.error.gamma_multiply(opacity));
    let (side, gap) = (rect.width(), (rect.width() / 5.0).clamp(4.0, 12.0));
    let stroke = Stroke::new(1.0, palette.error.gamma_multiply(0.55));
    let mut x = gap / 2.0;
    while x < 2.0 * side {
        let from = rect.left_top() + vec2(x, 0.0);
        let to = rect.left_top() + vec2(x - side, side);
        painter.line_segment([from, to], stroke);
        x += gap;
    }
    let arm = (side * 0.1).clamp(2.5, 7.0);
    let center = rect.left_top() + vec2(arm + 3.0, arm + 3.0);
    draw_cross(&painter, center, arm, palette.error);
}

fn draw_cross(painter: &Painter, at: Pos2, arm: f32, color: Color32) {
    let stroke = Stroke::new((arm * 0.55).max(1.6), color);
    painter.line_segment([at + vec2(-arm, -arm), at + vec2(arm, arm)], stroke);
    painter.line_segment([at + vec2(-arm, arm), at + vec2(arm, -arm)], stroke);
}

/// Draws the mark of a caption: a tick or a cross.
pub(crate) fn draw_mark(painter: &Painter, at: Pos2, tone: Tone, color: Color32) {
    match tone {
        Tone::Neutral => {}
        Tone::Good => {
            let points = [vec2(-6.0, 0.5), vec2(-2.0, 5.0), vec2(6.5, -5.5)].map(|d| at + d);
            painter.line(points.to_vec(), Stroke::new(2.6, color));
        }
        Tone::Bad => draw_cross(painter, at, 5.0, color),
    }
}

/// Draws the frame of the cell that keys write to.
fn draw_cursor(painter: &Painter, layout: &GridLayout, view: &BoardView<'_>) {
    let Some(i) = view.cursor.filter(|i| layout.cells().contains(i)) else {
        return;
    };
    let (rect, palette) = (layout.cell(i), view.palette);
    let outer = Stroke::new(2.0, palette.cursor);
    let inner = Stroke::new(1.0, palette.background);
    painter.rect_stroke(rect.shrink(0.5), 3.0, outer, StrokeKind::Inside);
    painter.rect_stroke(rect.shrink(2.5), 2.0, inner, StrokeKind::Inside);
}

/// Draws text in the middle of a cell. Its size is a share of the cell's height.
fn draw_text(painter: &Painter, rect: Rect, text: impl ToString, share: f32, color: Color32) {
    let font = FontId::proportional((rect.height() * share).max(5.0));
    painter.text(rect.center(), Align2::CENTER_CENTER, text, font, color);
}

/// Draws the legend: a sample of each mark, with its meaning.
pub(crate) fn draw_legend(ui: &Ui, rect: Rect, kind: Kind, show_heat: bool) {
    let palette = Palette::of(ui.visuals());
    let painter = ui.painter_at(rect);
    let mut x = rect.left() + 2.0;
    let size = 15.0;
    type Sample = fn(&Painter, Rect, &Palette);
    let changed: Sample = |painter, rect, palette| draw_highlight(painter, rect, 1.0, palette);
    let heat: Sample = |painter, rect, palette| draw_heat(painter, rect, 0.6, palette);
    let mut samples: Vec<(Sample, &str)> = vec![
        (changed, "changed by this step"),
        (draw_error, "breaks a rule"),
    ];
    match kind {
        Kind::Sudoku { .. } => samples.push((draw_sample_digit, "paler: less confident")),
        Kind::Maze { .. } => {
            samples.push((maze::draw_sample_path, "path; paler: less confident"));
        }
        Kind::Arc { .. } => {}
    }
    if show_heat {
        samples.push((heat, "bar: how far the cell's state moved"));
    }
    for (draw_sample, text) in samples {
        let cell = Rect::from_center_size(pos2(x + size / 2.0, rect.center().y), vec2(size, size));
        let font = FontId::proportional(12.0);
        let galley = painter.layout_no_wrap(text.into(), font, palette.muted_text);
        if cell.right() + galley.size().x + 6.0 > rect.right() {
            return;
        }
        painter.rect_filled(cell, 0.0, palette.background);
        draw_sample(&painter, cell, &palette);
        let at = pos2(cell.right() + 6.0, rect.center().y - galley.size().y / 2.0);
        x = at.x + galley.size().x + 18.0;
        painter.galley(at, galley, palette.muted_text);
    }
}

fn draw_sample_digit(painter: &Painter, rect: Rect, palette: &Palette) {
    draw_text(painter, rect, "7", 0.9, palette.answer.gamma_multiply(0.45));
}
