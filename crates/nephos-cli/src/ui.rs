//! What the user sees while a command works: progress bars on a terminal, plain
//! lines elsewhere, and log messages that don't tear the bars.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Interval between plain progress lines where the output is no terminal.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// Where progress goes.
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

    /// Whether bars are seen: standard error is a terminal.
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
        bar.set_prefix(name.to_owned());
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
        bar.set_prefix(shortened(name));
        Pixels {
            bar,
            start: Instant::now(),
            plain: (!self.quiet && !self.terminal).then(|| Mutex::new(Instant::now())),
        }
    }

    /// Prints a line of status (not a result) above the bars; silent with `--quiet`.
    pub fn status(&self, line: impl AsRef<str>) {
        if !self.quiet {
            self.bars.suspend(|| eprintln!("{}", line.as_ref()));
        }
    }
}

impl Progress {
    /// One step done; `message` stands beside the bar.
    pub fn step(&mut self, message: &str) {
        self.bar.set_message(message.to_owned());
        self.bar.inc(1);
        if let Some((name, last)) = &mut self.plain
            && last.elapsed() >= PLAIN_INTERVAL
        {
            *last = Instant::now();
            let (done, total) = (self.bar.position(), self.bar.length().unwrap_or(0));
            eprintln!("{name} {done}/{total} {message}");
        }
    }

    /// The work is done; the bar goes.
    pub fn finish(self) {
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
    /// So many pixels are final.
    pub fn set(&self, done: u64) {
        let total = self.bar.length().unwrap_or(0);
        let seconds = self.start.elapsed().as_secs_f64().max(1e-3);
        let mega = |pixels: u64| pixels as f64 / 1e6;
        let message = format!(
            "{:.1}/{:.1} MP, {:.2} MP/s",
            mega(done),
            mega(total),
            mega(done) / seconds
        );
        if let Some(last) = &self.plain
            && let Ok(mut last) = last.lock()
            && last.elapsed() >= PLAIN_INTERVAL
        {
            *last = Instant::now();
            let left = match done {
                0 => String::new(),
                _ => {
                    let left = seconds * total.saturating_sub(done) as f64 / done as f64;
                    format!(", {left:.0} s left")
                }
            };
            eprintln!("{} {message}{left}", self.bar.prefix());
        }
        self.bar.set_message(message);
        self.bar.set_position(done);
    }

    /// The work is done; the bar goes.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}

/// A name that leaves room for the bar.
fn shortened(name: &str) -> String {
    const LONGEST: usize = 24;
    match name.char_indices().nth(LONGEST) {
        None => name.to_owned(),
        Some((end, _)) => format!("{}…", &name[..end]),
    }
}

/// Prints a line of results on standard output.
///
/// A reader who left (`nephos info … | head`) does not stop the work; any other
/// failure, as of a full disk, ends the program: results must not be lost unseen.
pub fn say_line(line: std::fmt::Arguments<'_>) {
    use std::io::{ErrorKind, Write};
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        eprintln!("error: standard output: {error}");
        std::process::exit(1);
    }
}

/// [`say_line`] with the words of `println!`.
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

impl std::io::Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.suspend(|| std::io::stderr().write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}
