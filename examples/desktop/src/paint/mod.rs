//! Boards as pictures. What a colour says, a shape says too: corners for changes, bars for heat, crosses and hatching for what is
//! wrong.

use egui::{Align2, Color32, FontId, Painter, Pos2, Rect, Shape, Stroke, StrokeKind, Ui, pos2, vec2};

use crate::board::{self, Board, Kind};
use crate::film::Frame;
use crate::palette::Palette;

mod arc;
mod maze;
mod sudoku;

/// What there is to draw of a lane.
pub(crate) struct View<'a> {
    pub(crate) board: &'a Board,
    /// The step that is shown; `None` is the puzzle.
    pub(crate) frame: Option<&'a Frame>,
    /// The step that fades out.
    pub(crate) before: Option<&'a Frame>,
    /// From `before` to `frame`, 0 to 1.
    pub(crate) blend: f32,
    /// What is as hot as can be; `None` hides the heat.
    pub(crate) hottest: Option<f32>,
    /// The cell that the keyboard writes in.
    pub(crate) cursor: Option<usize>,
    pub(crate) palette: &'a Palette,
    /// The colour of the model's answers.
    pub(crate) accent: Color32,
}

impl View<'_> {
    /// How opaque a cell's answer is: by its probability, fading from the step before.
    fn strength(&self, i: usize) -> f32 {
        /// The palest answer that can still be read.
        const LEAST: f32 = 0.12;
        let of = |frame: &Frame| {
            frame
                .sure
                .get(i)
                .map_or(0.0, |&sure| LEAST + (1.0 - LEAST) * sure)
        };
        let Some(now) = self.frame else { return 0.0 };
        let same = |before: &&Frame| before.answer.cells.get(i) == now.answer.cells.get(i);
        let from = self.before.filter(same).map_or(0.0, of);
        from + (of(now) - from) * self.blend
    }

    fn changed(&self, i: usize) -> bool {
        self.frame
            .is_some_and(|frame| frame.changed.get(i).copied().unwrap_or(false))
    }

    /// The answer's value in a cell.
    fn answer(&self, i: usize) -> Option<u8> {
        self.frame.and_then(|frame| frame.answer.cells.get(i).copied())
    }

    /// The cells that break a rule: of the answer where there is one, else of the puzzle.
    fn conflicts(&self) -> Vec<usize> {
        self.board
            .conflicts(self.frame.map(|frame| frame.answer.cells.as_slice()))
    }

    fn heat(&self, i: usize) -> Option<f32> {
        let moved = self.frame?.moved.get(i).copied()?;
        Some((moved / self.hottest?).clamp(0.0, 1.0))
    }
}

/// Where a grid was drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Painted {
    origin: Pos2,
    /// Side of a cell, in points.
    side: f32,
    rows: usize,
    cols: usize,
}

impl Painted {
    /// The largest grid of square cells in the middle of `room`.
    fn fit(room: Rect, rows: usize, cols: usize) -> Painted {
        let (r, c) = (rows.max(1) as f32, cols.max(1) as f32);
        let side = (room.width() / c).min(room.height() / r).max(1.0);
        // Whole points keep lines sharp.
        let side = if side > 6.0 { side.floor() } else { side };
        let origin = room.center() - vec2(c * side, r * side) / 2.0;
        Painted {
            origin: pos2(origin.x.round(), origin.y.round()),
            side,
            rows,
            cols,
        }
    }

    pub(crate) fn cell_at(&self, pos: Pos2) -> Option<usize> {
        let at = (pos - self.origin) / self.side;
        let inside = at.x >= 0.0 && at.y >= 0.0 && at.x < self.cols as f32 && at.y < self.rows as f32;
        inside.then(|| at.y as usize * self.cols + at.x as usize)
    }

    fn cell(&self, i: usize) -> Rect {
        let (row, col) = (i / self.cols.max(1), i % self.cols.max(1));
        Rect::from_min_size(
            self.origin + vec2(col as f32, row as f32) * self.side,
            vec2(self.side, self.side),
        )
    }

    fn rect(&self) -> Rect {
        Rect::from_min_size(self.origin, vec2(self.cols as f32, self.rows as f32) * self.side)
    }

    fn cells(&self) -> std::ops::Range<usize> {
        0..self.rows * self.cols
    }
}

/// Draws the board as large as `room` allows.
pub(crate) fn board(painter: &Painter, room: Rect, view: &View<'_>) -> Painted {
    let room = room.shrink(6.0);
    match view.board.kind() {
        Kind::Sudoku { boxes, .. } => sudoku::draw(painter, room, view, boxes),
        Kind::Maze { .. } => maze::draw(painter, room, view),
        Kind::Arc { .. } => arc::draw(painter, room, view),
    }
}

/// A cell's value in words.
pub(crate) fn spoken(kind: Kind, value: u8) -> String {
    match (kind, value) {
        (Kind::Sudoku { .. }, 0) => "empty".into(),
        (Kind::Sudoku { .. }, digit) if digit < 10 => digit.to_string(),
        (Kind::Maze { .. }, board::WALL) => "wall".into(),
        (Kind::Maze { .. }, board::FREE) => "free".into(),
        (Kind::Maze { .. }, board::START) => "start".into(),
        (Kind::Maze { .. }, board::GOAL) => "goal".into(),
        (Kind::Maze { .. }, board::PATH) => "path".into(),
        (Kind::Arc { .. }, colour) if colour < 10 => format!("colour {colour}"),
        _ => "nothing".into(),
    }
}

/// Heat as a ground, and as a bar at the bottom that can be read without colour.
fn heat(painter: &Painter, rect: Rect, value: f32, palette: &Palette) {
    painter.rect_filled(rect, 0.0, palette.heat(value));
    let inner = rect.shrink2(vec2(rect.width() * 0.12, rect.height() * 0.06));
    let thick = (rect.height() * 0.07).max(1.5);
    let bar = Rect::from_min_max(
        pos2(inner.left(), inner.bottom() - thick),
        pos2(inner.left() + inner.width() * value, inner.bottom()),
    );
    painter.rect_filled(bar, thick / 2.0, palette.ink.gamma_multiply(0.75));
}

/// A cell that this step changed: a halo, and a corner that can be seen without colour. It flares up while the step fades in.
fn glow(painter: &Painter, rect: Rect, blend: f32, palette: &Palette) {
    let strength = 0.55 + 0.45 * (1.0 - blend);
    let rings = 4;
    for ring in 0..rings {
        let inset = 1.0 + ring as f32 * rect.width() * 0.035;
        let fade = strength * (1.0 - ring as f32 / rings as f32).powi(2);
        let stroke = Stroke::new((rect.width() * 0.04).max(1.2), palette.glow.gamma_multiply(fade));
        painter.rect_stroke(rect.shrink(inset), rect.width() * 0.1, stroke, StrokeKind::Inside);
    }
    let size = (rect.width() * 0.2).clamp(4.0, 14.0);
    let corner = rect.right_top() + vec2(-1.5, 1.5);
    let points = vec![corner, corner + vec2(-size, 0.0), corner + vec2(0.0, size)];
    painter.add(Shape::convex_polygon(points, palette.glow, Stroke::NONE));
}

/// A cell that breaks a rule: hatched, with a cross in its corner.
fn wrong(painter: &Painter, rect: Rect, palette: &Palette) {
    let painter = painter.with_clip_rect(rect.intersect(painter.clip_rect()));
    painter.rect_filled(
        rect,
        0.0,
        palette
            .wrong
            .gamma_multiply(if palette.dark { 0.22 } else { 0.16 }),
    );
    let (side, gap) = (rect.width(), (rect.width() / 5.0).clamp(4.0, 12.0));
    let stroke = Stroke::new(1.0, palette.wrong.gamma_multiply(0.55));
    let mut x = gap / 2.0;
    while x < 2.0 * side {
        painter.line_segment(
            [
                rect.left_top() + vec2(x, 0.0),
                rect.left_top() + vec2(x - side, side),
            ],
            stroke,
        );
        x += gap;
    }
    let arm = (side * 0.1).clamp(2.5, 7.0);
    cross(
        &painter,
        rect.left_top() + vec2(arm + 3.0, arm + 3.0),
        arm,
        palette.wrong,
    );
}

fn cross(painter: &Painter, at: Pos2, arm: f32, colour: Color32) {
    let stroke = Stroke::new((arm * 0.55).max(1.6), colour);
    painter.line_segment([at + vec2(-arm, -arm), at + vec2(arm, arm)], stroke);
    painter.line_segment([at + vec2(-arm, arm), at + vec2(arm, -arm)], stroke);
}

/// Right or wrong, as a tick or a cross.
pub(crate) fn verdict(painter: &Painter, at: Pos2, right: bool, colour: Color32) {
    if right {
        let points = [vec2(-6.0, 0.5), vec2(-2.0, 5.0), vec2(6.5, -5.5)].map(|d| at + d);
        painter.line(points.to_vec(), Stroke::new(2.6, colour));
    } else {
        cross(painter, at, 5.0, colour);
    }
}

/// The cell that the keyboard writes in.
fn cursor(painter: &Painter, rect: Rect, palette: &Palette) {
    let (outer, inner) = (rect.shrink(0.5), rect.shrink(2.5));
    painter.rect_stroke(outer, 3.0, Stroke::new(2.0, palette.cursor), StrokeKind::Inside);
    painter.rect_stroke(inner, 2.0, Stroke::new(1.0, palette.paper), StrokeKind::Inside);
}

/// Text in the middle of a cell.
fn write(painter: &Painter, rect: Rect, text: impl ToString, share: f32, colour: Color32) {
    let font = FontId::proportional((rect.height() * share).max(5.0));
    painter.text(rect.center(), Align2::CENTER_CENTER, text, font, colour);
}

/// What the signs on the board mean.
pub(crate) fn legend(ui: &Ui, rect: Rect, kind: Kind, with_heat: bool) {
    let palette = Palette::of(ui.visuals());
    let painter = ui.painter_at(rect);
    let mut x = rect.left() + 2.0;
    let size = 15.0;
    type Sign = fn(&Painter, Rect, &Palette);
    let glows: Sign = |painter, rect, palette| glow(painter, rect, 1.0, palette);
    let warm: Sign = |painter, rect, palette| heat(painter, rect, 0.6, palette);
    let mut signs: Vec<(Sign, &str)> = vec![(glows, "changed by this step"), (wrong, "breaks a rule")];
    match kind {
        Kind::Sudoku { .. } => signs.push((pale, "paler: less sure")),
        Kind::Maze { .. } => signs.push((maze::sign, "way; paler: less sure")),
        Kind::Arc { .. } => {}
    }
    if with_heat {
        signs.push((warm, "bar: how far the cell's state moved"));
    }
    for (sign, text) in signs {
        let cell = Rect::from_center_size(pos2(x + size / 2.0, rect.center().y), vec2(size, size));
        let galley = painter.layout_no_wrap(text.into(), FontId::proportional(12.0), palette.faint);
        if cell.right() + galley.size().x + 6.0 > rect.right() {
            return;
        }
        painter.rect_filled(cell, 0.0, palette.paper);
        sign(&painter, cell, &palette);
        let at = pos2(cell.right() + 6.0, rect.center().y - galley.size().y / 2.0);
        x = at.x + galley.size().x + 18.0;
        painter.galley(at, galley, palette.faint);
    }
}

fn pale(painter: &Painter, rect: Rect, palette: &Palette) {
    write(painter, rect, "7", 0.9, palette.answer.gamma_multiply(0.45));
}
