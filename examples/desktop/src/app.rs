//! The state of the window, and what a frame of it does. It needs no window: tests and pictures run the same code.

use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use egui::{Context, ThemePreference, Ui};
use trm::{Device, HaltRule};

use crate::board::{self, Board, Kind};
use crate::choice::ModelChoice;
use crate::dialog::{Dialog, Wanted};
use crate::generate::Difficulty;
use crate::lane::Lane;
use crate::probe::{Probe, device_name};
use crate::settings::Settings;
use crate::thinker::Turn;
use crate::{help, keys, palette, panel, strip, top};

mod arrange;
mod puzzle;
mod thinking;

/// What the window starts with.
#[derive(Debug, Default)]
pub struct Start {
    /// The puzzle; a generated one unless given.
    pub board: Option<Board>,
    /// The model, instead of the one that was used last.
    pub model: Option<ModelChoice>,
    /// The device, instead of the one that was used last.
    pub device: Option<Device>,
    /// What is remembered.
    pub settings: Settings,
    /// Where it is kept; nowhere unless given.
    pub settings_path: Option<PathBuf>,
    /// Something to say at first.
    pub note: Option<String>,
}

/// Boards that can be chosen; each keeps its puzzle while another is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tab {
    Four,
    Six,
    Nine,
    Maze,
    Arc,
}

impl Tab {
    pub(crate) const ALL: [Tab; 5] = [Tab::Four, Tab::Six, Tab::Nine, Tab::Maze, Tab::Arc];

    pub(crate) fn of(kind: Kind) -> Tab {
        match kind {
            Kind::Sudoku { side: 4, .. } => Tab::Four,
            Kind::Sudoku { side: 6, .. } => Tab::Six,
            Kind::Sudoku { .. } => Tab::Nine,
            Kind::Maze { .. } => Tab::Maze,
            Kind::Arc { .. } => Tab::Arc,
        }
    }

    /// On its button.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Tab::Four => "4 × 4",
            Tab::Six => "6 × 6",
            Tab::Nine => "9 × 9",
            Tab::Maze => "Maze",
            Tab::Arc => "ARC",
        }
    }

    /// In a hint.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Tab::Four | Tab::Six | Tab::Nine => "Sudoku",
            Tab::Maze => "mazes",
            Tab::Arc => "grids of the Abstraction and Reasoning Corpus",
        }
    }

    /// In the settings.
    fn name(self) -> &'static str {
        match self {
            Tab::Four => "4",
            Tab::Six => "6",
            Tab::Nine => "9",
            Tab::Maze => "maze",
            Tab::Arc => "arc",
        }
    }

    fn kind(self) -> Kind {
        match self {
            Tab::Four => Kind::sudoku(4),
            Tab::Six => Kind::sudoku(6),
            Tab::Nine => Kind::sudoku(9),
            Tab::Maze => Kind::maze(10),
            Tab::Arc => Kind::arc(5, 5),
        }
    }
}

/// The window's state.
#[derive(Debug)]
pub struct App {
    pub(crate) tab: Tab,
    /// A board for each of [`Tab::ALL`].
    boards: [Option<Board>; 5],
    /// Boards that were replaced as a whole, and those that were brought back from there.
    replaced: Vec<Board>,
    restored: Vec<Board>,
    /// The widgets that are boards: keys that others want are theirs.
    pub(crate) board_ids: Vec<egui::Id>,
    /// The cell that the keyboard writes in.
    pub(crate) cursor: usize,
    /// What the mouse draws in a maze or an ARC grid.
    pub(crate) brush: u8,
    /// The stroke that is being drawn: its last cell, and what it draws.
    stroke: Option<(usize, u8)>,
    pub(crate) lanes: Vec<Lane>,
    /// Threads of lanes that are gone, which end after the step in flight.
    leaving: Vec<JoinHandle<()>>,
    turn: Turn,
    /// The step that is shown; 0 is the puzzle.
    pub(crate) shown: usize,
    /// The step that was shown before, and when it was left: pictures fade from one to the other.
    pub(crate) faded: (usize, f64),
    /// Whether the newest step is shown as it comes.
    pub(crate) follow: bool,
    pub(crate) rule: HaltRule,
    pub(crate) threshold: f32,
    pub(crate) max_steps: Option<usize>,
    pub(crate) difficulty: Difficulty,
    seed: u64,
    pub(crate) settings: Settings,
    settings_path: Option<PathBuf>,
    saved: Settings,
    pub(crate) probe: Probe,
    dialog: Option<Dialog>,
    pub(crate) note: Option<String>,
    pub(crate) help: bool,
    dressed: bool,
    frame_times: FrameTimes,
}

/// How long the frames of the window took to describe.
#[derive(Debug, Clone, Copy, Default)]
pub struct FrameTimes {
    /// Frames.
    pub frames: usize,
    /// All of them together.
    pub total: Duration,
    /// The slowest but the first, which lays out all letters.
    pub slowest: Duration,
    /// The first.
    pub first: Duration,
}

impl App {
    /// A window's state as `start` says.
    pub fn new(start: Start) -> App {
        let settings = start.settings;
        let last = ModelChoice::named(&settings.model);
        let kind = start.board.as_ref().map(Board::kind);
        // The bundled model that was used last may be for another board than this one.
        let fits = kind.is_none() || last.board().is_none_or(|own| Some(own) == kind);
        let last = if fits { last } else { ModelChoice::Fitting };
        let model = start.model.unwrap_or(last);
        // A device that is not understood is as good as none.
        let device = start
            .device
            .or_else(|| settings.device.parse().ok())
            .unwrap_or_default();
        let remembered = Tab::ALL.into_iter().find(|tab| tab.name() == settings.board);
        let tab = start.board.as_ref().map(|board| Tab::of(board.kind()));
        let wanted = model.board().map(Tab::of);
        let mut app = App {
            tab: tab.or(wanted).or(remembered).unwrap_or(Tab::Nine),
            boards: Default::default(),
            replaced: Vec::new(),
            restored: Vec::new(),
            board_ids: Vec::new(),
            cursor: 0,
            brush: board::WALL,
            stroke: None,
            lanes: vec![Lane::new(model, device)],
            leaving: Vec::new(),
            turn: Turn::default(),
            shown: 0,
            faded: (0, f64::NEG_INFINITY),
            follow: true,
            rule: HaltRule::Verified,
            threshold: 0.5,
            max_steps: None,
            difficulty: difficulty(&settings.difficulty),
            seed: 1,
            saved: settings.clone(),
            settings,
            settings_path: start.settings_path,
            probe: Probe::default(),
            dialog: None,
            note: start.note,
            help: false,
            dressed: false,
            frame_times: FrameTimes::default(),
        };
        match start.board {
            Some(board) => app.boards[app.tab as usize] = Some(board),
            None => app.new_puzzle(),
        }
        app.reset_brush();
        app
    }

    /// A frame: takes in what the threads have told, what the person has done, and draws.
    pub fn ui(&mut self, ui: &mut Ui) {
        let start = Instant::now();
        let ctx = ui.ctx().clone();
        if !self.dressed {
            self.dressed = true;
            palette::dress(&ctx);
            ctx.set_theme(self.theme());
            ctx.set_zoom_factor(self.settings.zoom);
        }
        self.listen(&ctx);
        keys::handle(self, &ctx);
        self.take_dropped(&ctx);
        top::show(self, ui);
        strip::show(self, ui);
        panel::show(self, ui);
        self.board_ids.clear();
        arrange::boards(self, ui);
        help::show(self, &ctx);
        self.settings.zoom = ctx.zoom_factor();
        self.note_time(start.elapsed());
    }

    fn note_time(&mut self, time: Duration) {
        let times = &mut self.frame_times;
        times.frames += 1;
        times.total += time;
        if times.frames == 1 {
            times.first = time;
        } else {
            times.slowest = times.slowest.max(time);
        }
    }

    /// How long the frames took to describe; drawing them comes on top.
    pub fn frame_times(&self) -> FrameTimes {
        self.frame_times
    }

    /// Takes in what the threads have told.
    fn listen(&mut self, ctx: &Context) {
        self.probe.look();
        self.leaving.retain(|thread| !thread.is_finished());
        for lane in &mut self.lanes {
            lane.listen();
        }
        if self.follow {
            self.show_step(self.last_step(), ctx);
        }
        if let Some((wanted, path)) = self.dialog.as_ref().and_then(Dialog::answer) {
            self.dialog = None;
            match (wanted, path) {
                (_, None) => {}
                (Wanted::Puzzle, Some(path)) => self.open_puzzle(&path),
                (Wanted::ModelFolder | Wanted::ModelFile, Some(path)) => {
                    self.choose_model(0, ModelChoice::Path(path))
                }
            }
        }
    }

    /// What is to be seen, in a line: for logs, and for scripts that press the keys of a real window.
    pub fn status(&self) -> String {
        let lane = |lane: &Lane| {
            let how = match (lane.is_thinking(), &lane.error, lane.film.stop) {
                (_, Some(error), _) => format!("failed: {error}"),
                (true, ..) => "thinks".into(),
                (_, _, Some(stop)) => format!("{stop:?}"),
                _ => "waits".into(),
            };
            let right = match lane.film.frames.last().and_then(|frame| frame.verdict.valid) {
                Some(true) => ", right",
                Some(false) => ", wrong",
                None => "",
            };
            format!(
                "{} on {}: {how}{right}",
                lane.model.name(),
                device_name(lane.device)
            )
        };
        let lanes: Vec<String> = self.lanes.iter().map(lane).collect();
        format!(
            "{}, cell {}, step {} of {}; {}",
            self.board().kind().name(),
            self.cursor,
            self.shown,
            self.last_step(),
            lanes.join("; ")
        )
    }

    pub(crate) fn theme(&self) -> ThemePreference {
        match self.settings.theme.as_str() {
            "light" => ThemePreference::Light,
            "dark" => ThemePreference::Dark,
            _ => ThemePreference::System,
        }
    }

    pub(crate) fn set_theme(&mut self, theme: ThemePreference, ctx: &Context) {
        self.settings.theme = match theme {
            ThemePreference::Light => "light",
            ThemePreference::Dark => "dark",
            ThemePreference::System => "system",
        }
        .into();
        ctx.set_theme(theme);
    }

    /// Remembers the size of the window, in points at zoom 1.
    pub fn remember_size(&mut self, size: [f32; 2]) {
        self.settings.window = size;
    }

    /// Writes what is remembered, if it has changed.
    pub fn save(&mut self) {
        if let Some(lane) = self.lanes.first() {
            self.settings.model = lane.model.name();
            self.settings.device = device_name(lane.device);
        }
        self.settings.board = self.tab.name().into();
        self.settings.difficulty = difficulty_name(self.difficulty).into();
        if let Some(path) = self
            .settings_path
            .as_ref()
            .filter(|_| self.settings != self.saved)
        {
            match self.settings.save(path) {
                Ok(()) => self.saved = self.settings.clone(),
                Err(e) => log::warn!("{}: {e}", path.display()),
            }
        }
    }

    /// For pictures that are compared: the times and names of this machine become the same everywhere.
    #[doc(hidden)]
    pub fn forget_the_machine(&mut self) {
        for lane in &mut self.lanes {
            lane.film
                .frames
                .iter_mut()
                .for_each(|frame| frame.time = Duration::from_millis(20));
            if let Some(ready) = &mut lane.ready {
                ready.device = "cpu".into();
                ready.load_time = Duration::from_millis(10);
            }
        }
    }
}

impl Drop for App {
    /// The lanes that are there end their threads themselves.
    fn drop(&mut self) {
        for thread in self.leaving.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Asks the window to draw, from any thread.
pub(crate) fn waker(ctx: &Context) -> impl Fn() + Send + 'static {
    let ctx = ctx.clone();
    move || ctx.request_repaint()
}

/// In the settings and on the buttons.
pub(crate) const DIFFICULTIES: [(Difficulty, &str); 3] = [
    (Difficulty::Easy, "easy"),
    (Difficulty::Medium, "medium"),
    (Difficulty::Hard, "hard"),
];

fn difficulty(name: &str) -> Difficulty {
    let known = DIFFICULTIES.into_iter().find(|known| known.1 == name);
    known.map_or(Difficulty::Easy, |known| known.0)
}

fn difficulty_name(difficulty: Difficulty) -> &'static str {
    let known = DIFFICULTIES.into_iter().find(|known| known.0 == difficulty);
    known.map_or("easy", |known| known.1)
}
