//! A block of lines at the bottom of a terminal that is drawn anew, with lines for good above it.

use std::io::Write;

/// Lines of a frame when the terminal does not tell its height.
const ROWS_FALLBACK: usize = 24;

/// Columns likewise.
const COLUMNS_FALLBACK: usize = 80;

/// Standard output: live on a terminal, plain lines otherwise.
#[derive(Debug)]
pub(super) struct Screen {
    live: bool,
    /// Lines of the last frame.
    drawn: usize,
}

impl Screen {
    pub(super) fn new(live: bool) -> Self {
        Self { live, drawn: 0 }
    }

    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    /// A line that stays.
    pub(super) fn say(&mut self, text: &str) {
        self.clear();
        crate::output::line(text);
    }

    /// Draws a frame over the last one, cut to the terminal: a frame is a view, the whole is `loket tree`.
    pub(super) fn draw(&mut self, text: &str) {
        let (rows, columns) = size();
        let shown: Vec<String> = text
            .lines()
            .rev()
            .take(rows.saturating_sub(2))
            .map(|line| cut(line, columns.saturating_sub(1)))
            .collect();
        self.clear();
        let mut out = std::io::stdout().lock();
        for line in shown.iter().rev() {
            if writeln!(out, "{line}").is_err() {
                self.live = false;
                return;
            }
        }
        self.drawn = shown.len();
        let _ = out.flush();
    }

    /// Takes the last frame away.
    pub(super) fn clear(&mut self) {
        if self.drawn > 0 {
            let mut out = std::io::stdout().lock();
            // Cursor up, then erase to the end of the screen.
            let _ = write!(out, "\x1b[{}A\x1b[J", self.drawn).and_then(|()| out.flush());
            self.drawn = 0;
        }
    }
}

/// A line that fits; one that does not says so, so that no number is shown cut.
fn cut(line: &str, columns: usize) -> String {
    if line.chars().count() <= columns {
        return line.to_owned();
    }
    let kept: String = line.chars().take(columns.saturating_sub(1)).collect();
    let words = kept.rfind(' ').map_or(kept.as_str(), |end| &kept[..end]);
    format!("{words}…")
}

fn size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(std::io::stdout()) {
        Ok(size) if size.ws_row > 0 => (usize::from(size.ws_row), usize::from(size.ws_col)),
        _ => (ROWS_FALLBACK, COLUMNS_FALLBACK),
    }
}
