//! Colours and the style of the window. The eight colours of Okabe and Ito are distinguishable with
//! any kind of colour vision.

use egui::{Color32, Stroke, Visuals, lerp};

pub(crate) const ORANGE: Color32 = Color32::from_rgb(0xE6, 0x9F, 0x00);
pub(crate) const SKY: Color32 = Color32::from_rgb(0x56, 0xB4, 0xE9);
pub(crate) const GREEN: Color32 = Color32::from_rgb(0x00, 0x9E, 0x73);
pub(crate) const YELLOW: Color32 = Color32::from_rgb(0xF0, 0xE4, 0x42);
pub(crate) const BLUE: Color32 = Color32::from_rgb(0x00, 0x72, 0xB2);
pub(crate) const VERMILLION: Color32 = Color32::from_rgb(0xD5, 0x5E, 0x00);
pub(crate) const PURPLE: Color32 = Color32::from_rgb(0xCC, 0x79, 0xA7);

/// The ten colours of ARC, by number.
pub(crate) const ARC: [Color32; 10] = [
    Color32::from_rgb(0x18, 0x1B, 0x20),
    BLUE,
    VERMILLION,
    GREEN,
    YELLOW,
    Color32::from_rgb(0x99, 0x99, 0x99),
    PURPLE,
    ORANGE,
    SKY,
    Color32::from_rgb(0x6B, 0x2E, 0x0C),
];

/// The colours of a theme.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Palette {
    pub(crate) dark: bool,
    /// The background of a board.
    pub(crate) background: Color32,
    /// The background of a given cell.
    pub(crate) given: Color32,
    /// Clues, and other important text.
    pub(crate) text: Color32,
    /// Answers of the model.
    pub(crate) answer: Color32,
    /// Answers on the right side of a comparison.
    pub(crate) second_answer: Color32,
    /// Lines between cells.
    pub(crate) thin_line: Color32,
    /// Lines between boxes, and frames.
    pub(crate) thick_line: Color32,
    /// Walls of a maze.
    pub(crate) wall: Color32,
    /// Cells that this step changed.
    pub(crate) highlight: Color32,
    /// Cells that break a rule, and error messages.
    pub(crate) error: Color32,
    /// Messages about valid answers.
    pub(crate) success: Color32,
    /// Less important text.
    pub(crate) muted_text: Color32,
    /// The frame of the cell that keys write to.
    pub(crate) cursor: Color32,
}

impl Palette {
    pub(crate) fn of(visuals: &Visuals) -> Self {
        let gray = Color32::from_gray;
        if visuals.dark_mode {
            Self {
                dark: true,
                background: Color32::from_rgb(0x1D, 0x21, 0x28),
                given: Color32::from_rgb(0x2B, 0x31, 0x3B),
                text: gray(0xF2),
                answer: SKY,
                second_answer: ORANGE,
                thin_line: Color32::from_rgb(0x3A, 0x42, 0x4E),
                thick_line: Color32::from_rgb(0x8A, 0x95, 0xA5),
                wall: Color32::from_rgb(0x55, 0x5F, 0x6E),
                highlight: YELLOW,
                error: Color32::from_rgb(0xFF, 0x8A, 0x3C),
                success: Color32::from_rgb(0x2F, 0xC9, 0x9B),
                muted_text: gray(0xA2),
                cursor: gray(0xFF),
            }
        } else {
            Self {
                dark: false,
                background: gray(0xFF),
                given: Color32::from_rgb(0xEC, 0xEF, 0xF3),
                text: gray(0x14),
                answer: BLUE,
                second_answer: Color32::from_rgb(0xA8, 0x5A, 0x00),
                thin_line: Color32::from_rgb(0xC9, 0xCF, 0xD8),
                thick_line: Color32::from_rgb(0x3C, 0x45, 0x52),
                wall: Color32::from_rgb(0x4A, 0x52, 0x60),
                highlight: ORANGE,
                error: Color32::from_rgb(0xB8, 0x46, 0x00),
                success: Color32::from_rgb(0x00, 0x7A, 0x58),
                muted_text: gray(0x5C),
                cursor: gray(0x00),
            }
        }
    }

    /// Returns the colour of heat from 0 to 1. Hotter is darker on a light theme, lighter on a dark
    /// one.
    pub(crate) fn heat(self, value: f32) -> Color32 {
        let hot = match self.dark {
            true => Color32::from_rgb(0xC8, 0x6A, 0x9C),
            false => Color32::from_rgb(0xD0, 0x70, 0xA2),
        };
        mix(self.background, hot, value.clamp(0.0, 1.0))
    }
}

/// Returns the colour at `t` between two colours, 0 to 1.
pub(crate) fn mix(a: Color32, b: Color32, t: f32) -> Color32 {
    let part = |a: u8, b: u8| lerp(f32::from(a)..=f32::from(b), t) as u8;
    Color32::from_rgb(part(a.r(), b.r()), part(a.g(), b.g()), part(a.b(), b.b()))
}

/// Returns black or white, whichever has more contrast on `background`.
pub(crate) fn text_on(background: Color32) -> Color32 {
    let [r, g, b] = [background.r(), background.g(), background.b()].map(f32::from);
    if 0.299 * r + 0.587 * g + 0.114 * b > 128.0 {
        Color32::BLACK
    } else {
        Color32::WHITE
    }
}

/// Sets the style of all widgets: egui's own, with more space and softer surfaces.
pub(crate) fn apply_style(ctx: &egui::Context) {
    ctx.all_styles_mut(|style| {
        style.spacing.item_spacing = egui::vec2(8.0, 7.0);
        style.spacing.button_padding = egui::vec2(9.0, 4.0);
        style.spacing.interact_size.y = 24.0;
        style.spacing.slider_width = 130.0;
        for (text, size) in [
            (egui::TextStyle::Body, 14.0),
            (egui::TextStyle::Button, 14.0),
            (egui::TextStyle::Small, 11.5),
            (egui::TextStyle::Heading, 19.0),
        ] {
            if let Some(font) = style.text_styles.get_mut(&text) {
                font.size = size;
            }
        }
        let visuals = &mut style.visuals;
        let (panel, faint) = if visuals.dark_mode {
            (
                Color32::from_rgb(0x14, 0x17, 0x1C),
                Color32::from_rgb(0x1A, 0x1E, 0x25),
            )
        } else {
            (
                Color32::from_rgb(0xF6, 0xF7, 0xF9),
                Color32::from_rgb(0xEE, 0xF0, 0xF4),
            )
        };
        visuals.panel_fill = panel;
        visuals.faint_bg_color = faint;
        visuals.selection.bg_fill = if visuals.dark_mode {
            Color32::from_rgb(0x0B, 0x5C, 0x8C)
        } else {
            Color32::from_rgb(0xA9, 0xD6, 0xF2)
        };
        let text = if visuals.dark_mode { 0xE2 } else { 0x1E };
        visuals.widgets.noninteractive.fg_stroke = Stroke::new(1.0, Color32::from_gray(text));
        visuals.widgets.inactive.fg_stroke = Stroke::new(1.0, Color32::from_gray(text));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the contrast ratio of two opaque colours, as WCAG defines it.
    fn contrast(a: Color32, b: Color32) -> f32 {
        let linear = |c: u8| {
            let c = f32::from(c) / 255.0;
            if c <= 0.04045 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        };
        let luminance =
            |c: Color32| 0.2126 * linear(c.r()) + 0.7152 * linear(c.g()) + 0.0722 * linear(c.b());
        let (a, b) = (luminance(a), luminance(b));
        let (a, b) = (a.max(b), a.min(b));
        (a + 0.05) / (b + 0.05)
    }

    #[test]
    fn texts_and_heat_have_enough_contrast() {
        for visuals in [Visuals::dark(), Visuals::light()] {
            let p = Palette::of(&visuals);
            for text in [
                p.text,
                p.answer,
                p.second_answer,
                p.error,
                p.success,
                p.muted_text,
            ] {
                assert!(
                    contrast(text, p.background) >= 4.5,
                    "{text:?} on {:?}",
                    p.background
                );
            }
            assert!(contrast(p.text, p.given) >= 7.0);
            // Heat must be legible by lightness alone.
            assert!(
                contrast(p.heat(1.0), p.heat(0.0)) >= 3.0,
                "{:?}",
                p.heat(1.0)
            );
            assert!(contrast(p.text, p.heat(1.0)) >= 3.0);
        }
        for color in ARC {
            assert!(contrast(text_on(color), color) >= 3.0, "{color:?}");
        }
    }
}
