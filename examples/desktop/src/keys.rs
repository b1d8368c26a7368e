//! The keyboard: all that the mouse can do.

use egui::{Context, Event, Key, Modifiers};

use crate::app::{App, Tab};
use crate::board::{self, Kind};
use crate::dialog::Wanted;
use crate::thinker::Pace;
use crate::top::toggle_theme;

/// The keys, for the help.
pub(crate) const KEYS: &[(&str, &str)] = &[
    ("Space", "think, pause"),
    ("Enter", "a single step"),
    ("K", "keep thinking past the halt"),
    ("Backspace on step 0, Delete, 0, .", "empty the cell"),
    ("1 ... 9", "a digit, a colour"),
    ("W, S, G, .", "maze: wall, start, goal, free"),
    ("Arrows", "another cell"),
    ("[ and ], Page Up and Down", "a step back, a step forward"),
    ("Home, End", "the puzzle, the last step"),
    ("Ctrl+Z, Ctrl+Shift+Z or Ctrl+Y", "undo, redo"),
    ("Ctrl+V, Ctrl+C", "paste a puzzle, copy it"),
    ("Ctrl+O", "open a puzzle"),
    ("N, L", "a new puzzle; easy, medium, hard"),
    ("X", "clear the board"),
    ("H", "heat: how far each cell's state moved"),
    ("M, D", "the next model, the next device"),
    ("Shift+M, Shift+D", "... of the second board"),
    ("V", "compare two side by side"),
    ("F, Shift+F", "faster, slower"),
    ("T", "light, dark"),
    ("Ctrl+1 ... Ctrl+5", "the boards"),
    ("Ctrl and +, -, 0", "larger, smaller, as it was"),
    ("Tab", "through all buttons"),
    ("F1, Ctrl+Q", "this help, the end"),
];

/// Acts on the keys of this frame that no widget wants.
pub(crate) fn handle(app: &mut App, ctx: &Context) {
    // Someone types in a field.
    if ctx.text_edit_focused() {
        return;
    }
    let events = ctx.input(|i| i.events.clone());
    let on_widget = ctx
        .memory(|m| m.focused())
        .is_some_and(|id| !app.board_ids.contains(&id));
    for event in events {
        match event {
            Event::Paste(text) => app.paste(&text),
            Event::Copy => ctx.copy_text(app.board().to_text()),
            // Digits may need Shift on a keyboard, so that what they write counts, not the keys.
            Event::Text(text) => text.chars().for_each(|c| typed(app, c)),
            Event::Key {
                key,
                pressed: true,
                modifiers,
                ..
            } => pressed(app, ctx, key, modifiers, on_widget),
            _ => {}
        }
    }
}

/// A character for the cell under the cursor.
fn typed(app: &mut App, c: char) {
    let value = match (app.board().kind(), c) {
        (Kind::Maze { .. }, '#' | 'w' | 'W') => board::WALL,
        (Kind::Maze { .. }, 's' | 'S') => board::START,
        (Kind::Maze { .. }, 'g' | 'G') => board::GOAL,
        (Kind::Maze { .. }, '.' | '0' | '_') => board::FREE,
        (Kind::Maze { .. }, _) => return,
        (_, '.') => 0,
        (_, c) => match c.to_digit(10) {
            Some(digit) => digit as u8,
            None => return,
        },
    };
    let cursor = app.cursor;
    app.edit(|board| board.set(cursor, value));
}

fn pressed(app: &mut App, ctx: &Context, key: Key, modifiers: Modifiers, on_widget: bool) {
    if modifiers.command {
        return command(app, ctx, key, modifiers);
    }
    if modifiers.alt {
        return;
    }
    let last = app.last_step();
    let lane = usize::from(modifiers.shift && app.lanes.len() > 1);
    match key {
        Key::F1 => app.help = !app.help,
        Key::Escape => app.help = false,
        // A widget that has the focus is pressed by these, and moved by the arrows.
        Key::Space | Key::Enter | Key::ArrowUp | Key::ArrowDown | Key::ArrowLeft | Key::ArrowRight
            if on_widget => {}
        Key::Space => app.think_or_pause(ctx),
        Key::Enter => app.go(Pace::One, ctx),
        Key::ArrowUp => walk(app, -1, 0),
        Key::ArrowDown => walk(app, 1, 0),
        Key::ArrowLeft => walk(app, 0, -1),
        Key::ArrowRight => walk(app, 0, 1),
        Key::Delete | Key::Backspace => {
            let (cursor, blank) = (app.cursor, app.blank());
            app.edit(|board| board.set(cursor, blank));
        }
        Key::OpenBracket | Key::PageUp => app.scrub(app.shown.saturating_sub(1), ctx),
        Key::CloseBracket | Key::PageDown => app.scrub(app.shown + 1, ctx),
        Key::Home => app.scrub(0, ctx),
        Key::End => app.scrub(last, ctx),
        Key::K => app.go(Pace::On, ctx),
        Key::N => app.new_puzzle(),
        Key::L => app.next_difficulty(),
        Key::X => app.clear(),
        Key::H => app.settings.heat = !app.settings.heat,
        Key::T => toggle_theme(app, ctx),
        Key::V => app.compare(app.lanes.len() == 1),
        Key::M => app.next_model(lane),
        Key::D => app.next_device(lane, ctx),
        Key::F => app.change_speed(!modifiers.shift),
        _ => {}
    }
}

fn command(app: &mut App, ctx: &Context, key: Key, modifiers: Modifiers) {
    let tabs = [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5];
    match key {
        Key::Z if modifiers.shift => app.redo(),
        Key::Z => app.undo(),
        Key::Y => app.redo(),
        Key::O => app.ask_for(Wanted::Puzzle, ctx),
        Key::Q => ctx.send_viewport_cmd(egui::ViewportCommand::Close),
        key => {
            if let Some(n) = tabs.iter().position(|&tab| tab == key) {
                app.choose_tab(Tab::ALL[n]);
            }
        }
    }
}

/// Moves the cursor by so many rows and columns; it stays on the board.
fn walk(app: &mut App, down: isize, right: isize) {
    let (rows, cols) = (app.board().rows(), app.board().cols());
    let (row, col) = (app.cursor / cols.max(1), app.cursor % cols.max(1));
    let row = row.saturating_add_signed(down).min(rows.saturating_sub(1));
    let col = col.saturating_add_signed(right).min(cols.saturating_sub(1));
    app.cursor = row * cols + col;
}
