//! The keyboard. It can do everything that the mouse can.

use egui::{Context, Event, Key, Modifiers};

use crate::app::{App, SpeedChange, Tab};
use crate::board::{self, Kind};
use crate::file_dialog::DialogKind;
use crate::toolbar::toggle_theme;
use crate::worker::RunMode;

/// The keys and their actions, for the help window.
pub(crate) const KEYS: &[(&str, &str)] = &[
    ("Space", "start, pause"),
    ("Enter", "take one step"),
    ("K", "continue past the halt"),
    ("Delete, Backspace, 0, .", "clear the cell"),
    ("1 ... 9", "write a digit or a colour"),
    ("W, S, G, .", "maze: wall, start, goal, free"),
    ("Arrows", "move the cursor"),
    (
        "[ and ], Page Up and Down",
        "show the previous step, the next step",
    ),
    ("Home, End", "show the puzzle, the last step"),
    ("Ctrl+Z, Ctrl+Shift+Z or Ctrl+Y", "undo, redo"),
    ("Ctrl+V, Ctrl+C", "paste a puzzle, copy it"),
    ("Ctrl+O", "open a puzzle"),
    ("N, L", "new puzzle, next difficulty"),
    ("X", "clear the board"),
    ("H", "show how far each cell's state moved"),
    ("M, D", "next model, next device"),
    ("Shift+M, Shift+D", "the same for the second board"),
    ("V", "compare two models or devices"),
    ("F, Shift+F", "faster, slower"),
    ("T", "light or dark theme"),
    ("Ctrl+1 ... Ctrl+5", "switch to another board"),
    ("Ctrl and +, -, 0", "zoom in, zoom out, reset the zoom"),
    ("Tab", "next button"),
    ("F1, Ctrl+Q", "help, quit"),
];

/// Handles the keys of this frame that no widget needs.
pub(crate) fn handle(app: &mut App, ctx: &Context) {
    // The keys belong to a text field.
    if ctx.text_edit_focused() {
        return;
    }
    let events = ctx.input(|i| i.events.clone());
    let focused = ctx.memory(|m| m.focused());
    let focus = match focused {
        Some(id) if !app.board_ids.contains(&id) => Focus::Widget,
        _ => Focus::Board,
    };
    for event in events {
        match event {
            Event::Paste(text) => app.paste(&text),
            Event::Copy => ctx.copy_text(app.board().to_text()),
            // Digits may need Shift on some keyboards, so that the text counts, not the key.
            Event::Text(text) => text.chars().for_each(|c| write_char(app, c)),
            Event::Key {
                key,
                pressed: true,
                modifiers,
                ..
            } => press(app, ctx, key, modifiers, focus),
            _ => {}
        }
    }
}

/// Writes a character to the cell under the cursor.
fn write_char(app: &mut App, c: char) {
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

/// What has the keyboard focus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Focus {
    /// A board, or nothing.
    Board,
    /// Another widget.
    Widget,
}

fn press(app: &mut App, ctx: &Context, key: Key, modifiers: Modifiers, focus: Focus) {
    if modifiers.command {
        return press_command(app, ctx, key, modifiers);
    }
    if modifiers.alt {
        return;
    }
    let last = app.last_step();
    let index = usize::from(modifiers.shift && app.runners.len() > 1);
    let speed_change = match modifiers.shift {
        true => SpeedChange::Slower,
        false => SpeedChange::Faster,
    };
    match key {
        Key::F1 => app.help_open = !app.help_open,
        Key::Escape => app.help_open = false,
        // Space and Enter press the widget with the focus, and the arrows move it.
        Key::Space
        | Key::Enter
        | Key::ArrowUp
        | Key::ArrowDown
        | Key::ArrowLeft
        | Key::ArrowRight
            if focus == Focus::Widget => {}
        Key::Space => app.toggle_run(ctx),
        Key::Enter => app.run(RunMode::OneStep, ctx),
        Key::ArrowUp => move_cursor(app, -1, 0),
        Key::ArrowDown => move_cursor(app, 1, 0),
        Key::ArrowLeft => move_cursor(app, 0, -1),
        Key::ArrowRight => move_cursor(app, 0, 1),
        Key::Delete | Key::Backspace => {
            let (cursor, blank) = (app.cursor, app.board().kind().blank());
            app.edit(|board| board.set(cursor, blank));
        }
        Key::OpenBracket | Key::PageUp => app.seek(app.shown_step.saturating_sub(1), ctx),
        Key::CloseBracket | Key::PageDown => app.seek(app.shown_step + 1, ctx),
        Key::Home => app.seek(0, ctx),
        Key::End => app.seek(last, ctx),
        Key::K => app.run(RunMode::Endless, ctx),
        Key::N => app.new_puzzle(),
        Key::L => app.cycle_difficulty(),
        Key::X => app.clear(),
        Key::H => app.settings.heat = !app.settings.heat,
        Key::T => toggle_theme(app, ctx),
        Key::V => app.toggle_comparison(),
        Key::M => app.next_model(index),
        Key::D => app.next_device(index, ctx),
        Key::F => app.change_speed(speed_change),
        _ => {}
    }
}

fn press_command(app: &mut App, ctx: &Context, key: Key, modifiers: Modifiers) {
    let tabs = [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5];
    match key {
        Key::Z if modifiers.shift => app.redo(),
        Key::Z => app.undo(),
        Key::Y => app.redo(),
        Key::O => app.open_dialog(DialogKind::Puzzle, ctx),
        Key::Q => ctx.send_viewport_cmd(egui::ViewportCommand::Close),
        key => {
            if let Some(index) = tabs.iter().position(|&tab| tab == key) {
                app.choose_tab(Tab::ALL[index]);
            }
        }
    }
}

/// Moves the cursor down and right, within the board.
fn move_cursor(app: &mut App, down: isize, right: isize) {
    let (rows, cols) = (app.board().rows(), app.board().cols());
    let (row, col) = (app.cursor / cols.max(1), app.cursor % cols.max(1));
    let row = row.saturating_add_signed(down).min(rows.saturating_sub(1));
    let col = col.saturating_add_signed(right).min(cols.saturating_sub(1));
    app.cursor = row * cols + col;
}
