//! Output while a command works: progress bars on a terminal, plain
//! lines otherwise, and log messages that don't tear the bars.
//!
//! All that goes to standard error goes through [`message`]: its reader may have closed it
//! (`2>&1 | head -1`, a lost terminal), or its disk may be full, and the work continues.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use nephos::predict::ProgressCallback;
use nephos::text::{self, one_line, printable};

use crate::options::in_words_of_the_command_line;

/// Interval between plain progress lines where the output is no terminal.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// Output of progress.
pub struct Ui {
    bars: MultiProgress,
    quiet: bool,
    terminal: bool,
}

/// Progress of one piece of work with a known number of steps.
pub struct Progress {
    bar: ProgressBar,
    plain: Option<(String, Instant)>,
}

impl Ui {
    pub fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if quiet || !terminal {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        Self {
            bars: MultiProgress::with_draw_target(target),
            quiet,
            terminal,
        }
    }

    /// The bars, for log output that must not tear them.
    pub fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Whether bars are visible: standard error is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Starts a piece of work of `total` steps called `name`.
    pub fn progress(&self, name: &str, total: usize) -> Progress {
        let style =
            ProgressStyle::with_template("{prefix:>12} {bar:32} {pos}/{len} {elapsed}<{eta} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = self
            .bars
            .add(ProgressBar::new(total as u64).with_style(style));
        bar.set_prefix(one_line(name).into_owned());
        Progress {
            bar,
            plain: (!self.quiet && !self.terminal).then(|| (name.to_owned(), Instant::now())),
        }
    }

    /// Starts the work on a scene of `total` pixels called `name`.
    pub fn pixels(&self, name: &str, total: u64) -> Pixels {
        let template = "{prefix:>12} {bar:32} {percent:>3} % {msg} {elapsed}<{eta}";
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = self.bars.add(ProgressBar::new(total).with_style(style));
        bar.set_prefix(shortened(&one_line(name)));
        Pixels {
            bar,
            start: Instant::now(),
            plain: (!self.quiet && !self.terminal).then(|| Mutex::new(Instant::now())),
        }
    }

    /// Prints a line of status (not a result) above the bars; silent with `--quiet`.
    pub fn status(&self, line: impl AsRef<str>) {
        if !self.quiet {
            self.message(line.as_ref());
        }
    }

    /// Prints a line above the bars, also with `--quiet`.
    pub fn message(&self, line: &str) {
        self.suspend(|| message(line));
    }

    /// Hides the bars while `print` prints.
    pub fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        suspend(&self.bars, print)
    }
}

/// Prints a line on standard error, as far as that is possible.
pub fn message(line: &str) {
    let line = in_words_of_the_command_line(line);
    // Whole lines, so that those of several threads don't mix.
    let _ = std::io::stderr()
        .lock()
        .write_all(format!("{}\n", printable(&line)).as_bytes());
}

/// Hides bars while `print` prints. The bars' library panics where the terminal is
/// lost; then they are left as they are.
fn suspend<T>(bars: &MultiProgress, print: impl FnOnce() -> T) -> T {
    if !bars.is_hidden() && bars.clear().is_err() {
        bars.set_draw_target(ProgressDrawTarget::hidden());
    }
    match bars.is_hidden() {
        true => print(),
        false => bars.suspend(print),
    }
}

/// An error as text, its causes after it, none of them twice: an error often names its
/// cause itself, and callers name the file that the error names too.
pub fn in_words(error: &anyhow::Error) -> String {
    let mut words: Vec<String> = Vec::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if words.iter().any(|said| said.ends_with(&cause)) {
            continue;
        }
        // The subject of a cause may be part of an earlier message: `a.npy, sample 3`.
        let known = |about: &str| {
            let rest = words.last().and_then(|said| said.strip_prefix(about));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(','))
        };
        let cause = match cause.split_once(": ") {
            Some((about, rest)) if known(about) => rest.to_owned(),
            _ => cause,
        };
        words.push(cause);
    }
    words.join(": ")
}

impl Progress {
    /// One step done; `message` is beside the bar.
    pub fn step(&mut self, message: &str) {
        self.bar.set_message(one_line(message).into_owned());
        self.bar.inc(1);
        if let Some((name, last)) = &mut self.plain
            && last.elapsed() >= PLAIN_INTERVAL
        {
            *last = Instant::now();
            let (done, total) = (self.bar.position(), self.bar.length().unwrap_or(0));
            self::message(&one_line(&format!("{name} {done}/{total} {message}")));
        }
    }

    /// The work is done; the bar goes.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Progress of one scene, in pixels.
pub struct Pixels {
    bar: ProgressBar,
    start: Instant,
    plain: Option<Mutex<Instant>>,
}

impl Pixels {
    /// What a prediction calls with its progress.
    pub fn callback(self: &Arc<Self>) -> ProgressCallback {
        let bar = Arc::clone(self);
        Arc::new(move |progress| bar.set(progress.pixels_done))
    }

    /// So many pixels are final.
    pub fn set(&self, done: u64) {
        let total = self.bar.length().unwrap_or(0);
        let seconds = self.start.elapsed().as_secs_f64().max(1e-3);
        let speed = text::rate(done as f64 / 1e6 / seconds, "MP");
        let message = format!("{}, {speed}", amount(done, total));
        if let Some(last) = &self.plain
            && let Ok(mut last) = last.lock()
            && last.elapsed() >= PLAIN_INTERVAL
        {
            *last = Instant::now();
            let left = match done {
                0 => String::new(),
                _ => {
                    let left = seconds * total.saturating_sub(done) as f64 / done as f64;
                    format!(", {} left", text::duration(left))
                }
            };
            self::message(&format!("{} {message}{left}", self.bar.prefix()));
        }
        self.bar.set_message(message);
        self.bar.set_position(done);
    }

    /// The work is done; the bar goes.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// So many of `total` pixels, in a unit in which the total is no 0.
fn amount(done: u64, total: u64) -> String {
    match total {
        100_000.. => format!("{:.1}/{:.1} MP", done as f64 / 1e6, total as f64 / 1e6),
        _ => format!("{done}/{total} pixels"),
    }
}

/// A name shortened to fit beside the bar.
fn shortened(name: &str) -> String {
    const LONGEST: usize = 24;
    match name.char_indices().nth(LONGEST) {
        None => name.to_owned(),
        Some((end, _)) => format!("{}…", &name[..end]),
    }
}

/// Prints a line of results on standard output.
///
/// A reader that closed the pipe (`nephos info … | head`) does not stop the work; any other
/// failure, as of a full disk, ends the program: results must not be lost unseen.
pub fn say_line(line: std::fmt::Arguments<'_>) {
    use std::io::ErrorKind;
    let line = line.to_string();
    let line = in_words_of_the_command_line(&line);
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "{}", printable(&line)).and_then(|()| stdout.flush());
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        message(&format!("error: standard output: {error}"));
        std::process::exit(1);
    }
}

/// [`say_line`] with the syntax of `println!`.
macro_rules! say {
    ($($words:tt)*) => { $crate::ui::say_line(format_args!($($words)*)) };
}
pub(crate) use say;

/// Writes log lines above the bars.
pub struct LogWriter(MultiProgress);

impl LogWriter {
    pub fn new(bars: MultiProgress) -> Self {
        Self(bars)
    }
}

impl Write for LogWriter {
    /// Never fails: the log would report it on standard error, with a panic where that is
    /// closed.
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        suspend(&self.0, || {
            let _ = std::io::stderr().lock().write_all(bytes);
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn a_cause_is_printed_once() {
        let missing = || {
            let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
            nephos::Error::io("a.tif", missing)
        };
        let said = in_words(&missing().into());
        assert_eq!(said, "a.tif: entity not found");
        let named = Err::<(), _>(missing())
            .with_context(|| "a.tif")
            .unwrap_err();
        assert_eq!(in_words(&named), "a.tif: entity not found");
        let sample = Err::<(), _>(missing()).with_context(|| "a.tif, sample 3");
        let said = in_words(&sample.unwrap_err());
        assert_eq!(said, "a.tif, sample 3: entity not found");
        let chained = Err::<(), _>(missing())
            .with_context(|| "--config")
            .unwrap_err();
        assert_eq!(in_words(&chained), "--config: a.tif: entity not found");
        let plain = anyhow::anyhow!("the disk is full")
            .context("can't write")
            .context("m.tif");
        assert_eq!(in_words(&plain), "m.tif: can't write: the disk is full");
    }

    #[test]
    fn small_scenes_are_counted_in_pixels() {
        assert_eq!(amount(100, 10_000), "100/10000 pixels");
        assert_eq!(amount(1_000_000, 120_560_400), "1.0/120.6 MP");
    }
}
