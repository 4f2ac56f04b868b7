//! `nephos train`: the files of a run, and that stopping it, killing it or
//! filling the disk costs nothing but time.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use nephos::raster::DType;
use nephos::samples::pickle::Writer;
use nephos::weights::Bundle;

const SIDE: usize = 48;
const CHANNELS: usize = 15;

/// A small network with dropout, on two bands.
const CONFIG: &str = r#"
name = "tiny"
seed = 7
[data]
bands = ["red", "green"]
[model]
image_size = 48
[model.patch]
size = 8
stride = 8
padding = 0
width = 32
[model.encoder]
depth = 2
heads = 4
feed_forward = 64
dropout = 0.2
[model.graph]
width = 32
dropout = 0.2
[model.decoder]
width = 32
[train]
epochs = 3
batch_size = 2
[train.optimizer]
lr = 1e-3
"#;

/// A folder with a configuration, training and validation pickles.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        std::fs::write(place.path("tiny.toml"), CONFIG).unwrap();
        write_samples(&place.path("train.pkl"), &[SIDE; 23], 1);
        write_samples(&place.path("val.pkl"), &[SIDE; 4], 2);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `nephos train` into the run folder `out`, with both sets of samples.
    fn train(&self, out: &str, more: &[&str]) -> Command {
        let mut command = self.train_without_val(out, &["--set", "data.val=val.pkl"]);
        command.args(more);
        command
    }

    /// `nephos train` into the run folder `out`, with no validation samples.
    fn train_without_val(&self, out: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nephos"));
        command
            .current_dir(self.folder.path())
            .args([
                "train",
                "--config",
                "tiny.toml",
                "--device",
                "cpu",
                "--out",
                out,
            ])
            .args(["--set", "data.train=train.pkl"])
            .args(more)
            .stdin(Stdio::null());
        command
    }

    fn read(&self, name: &str) -> Vec<u8> {
        let path = self.path(name);
        std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// The text of `history.csv` without the columns of time.
    fn history(&self, out: &str) -> Vec<String> {
        let text = String::from_utf8(self.read(&format!("{out}/history.csv"))).unwrap();
        let row = |line: &str| line.rsplitn(3, ',').last().unwrap_or_default().to_owned();
        text.lines().map(row).collect()
    }

    /// Both runs end with the same bytes of weights and the same history.
    fn assert_same_end(&self, a: &str, b: &str) {
        for name in ["best.nephos", "last.nephos"] {
            let (first, second) = (format!("{a}/{name}"), format!("{b}/{name}"));
            assert!(
                self.read(&first) == self.read(&second),
                "{first} and {second} differ"
            );
        }
        assert_eq!(self.history(a), self.history(b));
        // One event per step, two more per end of an epoch, none twice.
        let events =
            |out| steps_of_events(&self.read(&format!("{out}/events.out.tfevents.nephos")));
        assert_eq!(events(a), events(b));
    }

    /// Whether a checkpoint is there, and its `state` as TOML text.
    fn state(&self, out: &str) -> Option<String> {
        let bytes = std::fs::read(self.path(&format!("{out}/checkpoint.safetensors"))).ok()?;
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        let tensors = header.as_object().unwrap().iter();
        let end = tensors
            .filter_map(|(_, t)| t["data_offsets"][1].as_u64())
            .max();
        assert_eq!(
            bytes.len() as u64,
            8 + length as u64 + end.unwrap(),
            "a cut checkpoint"
        );
        Some(header["__metadata__"]["state"].as_str().unwrap().to_owned())
    }
}

/// Samples in which bright squares on dark ground are thick cloud.
fn write_samples(path: &Path, sides: &[usize], seed: u32) {
    let mut random = seed;
    let mut next = move |bound: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) % bound
    };
    let mut writer = Writer::new(std::io::BufWriter::new(File::create(path).unwrap())).unwrap();
    for &side in sides {
        let (top, left) = (
            next(side as u32 / 2) as usize,
            next(side as u32 / 2) as usize,
        );
        let mut numbers = vec![0u16; CHANNELS * side * side];
        for row in 0..side {
            for col in 0..side {
                let cloud =
                    (top..top + side / 2).contains(&row) && (left..left + side / 2).contains(&col);
                for channel in 0..13 {
                    let value = if cloud { 4000 } else { 800 } + next(400) as u16;
                    numbers[(channel * side + row) * side + col] = value;
                }
                numbers[(13 * side + row) * side + col] = u16::from(cloud);
            }
        }
        let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        writer
            .push(DType::U16, [CHANNELS, side, side], &bytes)
            .unwrap();
    }
    writer.finish().unwrap().flush().unwrap();
}

/// The step of each record of an event file.
fn steps_of_events(bytes: &[u8]) -> Vec<u8> {
    let (mut rest, mut steps) = (bytes, Vec::new());
    while let Some((length, after)) = rest.split_first_chunk::<8>() {
        let length = u64::from_le_bytes(*length) as usize;
        let payload = &after[4..4 + length];
        // wall_time is 9 bytes; key 0x10 is the step, here below 128.
        if payload[9] == 0x10 {
            steps.push(payload[10]);
        }
        rest = &after[8 + length..];
    }
    steps
}

fn succeed(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn fail(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    String::from_utf8(output.stderr).unwrap()
}

fn text(output: &Output) -> String {
    format!(
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Runs `command` for a while, then sends it `signal`; its exit status.
fn interrupt(mut command: Command, after: Duration, signal: &str) -> Option<i32> {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(after);
    let sent = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .output();
    sent.unwrap();
    child.wait().unwrap().code()
}

#[test]
fn a_run_learns_and_writes_weights_history_and_curves() {
    let place = Place::new();
    let out = succeed(place.train("run", &["--set", "train.epochs=6"]));
    for name in [
        "best.nephos",
        "last.nephos",
        "loss.png",
        "miou.png",
        "config.toml",
    ] {
        assert!(!place.read(&format!("run/{name}")).is_empty());
    }
    let history = place.history("run");
    assert_eq!(history.len(), 7, "{history:?}");
    assert!(history[0].starts_with("epoch,step,lr,train_loss,val_loss,val_miou,iou_clear"));
    let loss = |row: &str| row.split(',').nth(4).unwrap().parse::<f64>().unwrap();
    assert!(loss(&history[6]) < 0.8 * loss(&history[1]), "{history:?}");
    let number = |from: &str| {
        let rest = out
            .split(from)
            .nth(1)
            .unwrap_or_else(|| panic!("no `{from}` in {out}"));
        let digits = |c: char| c.is_ascii_digit() || c == '.';
        let number: String = rest.trim().chars().take_while(|c| digits(*c)).collect();
        number.parse::<f64>().unwrap()
    };
    assert!(
        number("Validation mIoU:") > number("majority-class baseline:") + 0.1,
        "{out}"
    );
    let bundle = Bundle::load(&place.path("run/best.nephos"));
    assert_eq!(bundle.unwrap().summary.train_samples, Some(23));
    // The folder holds a run: a second one must not overwrite it.
    assert!(fail(place.train("run", &[])).contains("resume"));
}

/// How long a run continues before it is stopped, for one that takes `whole`: another share
/// of that with each attempt.
fn share(whole: Duration, attempt: u32) -> Duration {
    whole.mul_f64(0.3 + 0.1 * f64::from(attempt % 6))
}

#[test]
fn ctrl_c_saves_and_resume_ends_with_the_same_weights() {
    let place = Place::new();
    let started = Instant::now();
    succeed(place.train("whole", &[]));
    let whole = started.elapsed();
    let (mut interrupted, mut mid_epoch) = (0, 0);
    for attempt in 0..60 {
        let mut more = Vec::new();
        if place.state("parts").is_some() {
            more.push("--resume");
        }
        match interrupt(place.train("parts", &more), share(whole, attempt), "-INT") {
            Some(0) if mid_epoch > 0 => break,
            // Only ever stopped between epochs: once more from the start.
            Some(0) => std::fs::remove_dir_all(place.path("parts")).unwrap(),
            // Before the handler was installed, nothing was written yet.
            None => {}
            code => {
                assert_eq!(code, Some(130));
                interrupted += 1;
                let state = place.state("parts").expect("Ctrl-C saves");
                mid_epoch += usize::from(!state.contains("epoch_step = 0"));
                assert!(place.path("parts/last.nephos").exists());
            }
        }
    }
    if place.history("parts").len() < 4 {
        succeed(place.train("parts", &["--resume"]));
    }
    assert!(
        interrupted > 0 && mid_epoch > 0,
        "{interrupted} {mid_epoch}"
    );
    place.assert_same_end("whole", "parts");
}

/// Chosen by class and difficulty from two containers, varied in every way, the weights
/// averaged.
const VARIED: [&str; 8] = [
    "data.optional_bands=['green']",
    "data.mix=[{ train = 'val.pkl', share = 0.25 }]",
    "data.sampling={ epoch = 14, class_balance = 0.5, difficulty = 0.5 }",
    "data.augment={ rotate = true, flip = true, crop = 32, zoom = [0.8, 1.3], gain = 0.1, \
     haze = 0.2, blur = 0.8, noise = 0.01, saturation = [0.6, 1.0], nodata = 0.2, \
     band_dropout = 0.5, paste = { probability = 0.5 } }",
    "data.labels.annotated_in={ 3 = ['0', '5', '7'] }",
    "train.epochs=4",
    "train.ema=0.9",
    "train.optimizer.layer_decay=0.8",
];

#[test]
fn a_varied_run_that_was_stopped_ends_with_the_same_weights() {
    let place = Place::new();
    let mut more: Vec<&str> = VARIED.iter().flat_map(|set| ["--set", *set]).collect();
    more.extend(["--checkpoint-every", "1"]);
    let started = Instant::now();
    succeed(place.train("whole", &more));
    let whole = started.elapsed();
    let mut mid_epoch = 0;
    for attempt in 0..60 {
        let mut more = more.clone();
        if let Some(state) = place.state("parts") {
            mid_epoch += usize::from(!state.contains("epoch_step = 0"));
            more.push("--resume");
        }
        let wait = share(whole, attempt);
        if interrupt(place.train("parts", &more), wait, "-KILL") == Some(0) {
            if mid_epoch > 0 {
                break;
            }
            // Only ever stopped between epochs: once more from the start.
            std::fs::remove_dir_all(place.path("parts")).unwrap();
        }
    }
    if place
        .state("parts")
        .is_none_or(|state| !state.contains("epochs = 4\n"))
    {
        more.push("--resume");
        succeed(place.train("parts", &more));
    }
    assert!(mid_epoch > 0);
    for name in ["best.nephos", "last.nephos"] {
        let read = |run: &str| place.read(&format!("{run}/{name}"));
        assert!(read("whole") == read("parts"), "{name} differs");
    }
    assert_eq!(place.history("whole"), place.history("parts"));
}

#[test]
fn a_process_killed_while_it_writes_checkpoints_leaves_one_that_loads() {
    let place = Place::new();
    let every_step = ["--checkpoint-every", "1"];
    succeed(place.train("whole", &every_step));
    let (mut killed, mut finished) = (0, false);
    for attempt in 0..60 {
        let mut more = every_step.to_vec();
        if place.state("parts").is_some() {
            more.push("--resume");
        }
        let wait = Duration::from_millis(90 + 13 * (attempt % 11));
        match interrupt(place.train("parts", &more), wait, "-KILL") {
            Some(code) => {
                assert_eq!(code, 0);
                finished = true;
                break;
            }
            None => killed += 1,
        }
    }
    assert!(killed > 0);
    if !finished {
        succeed(place.train("parts", &["--resume"]));
    }
    place.assert_same_end("whole", "parts");
}

#[test]
fn a_full_disk_is_an_error_and_the_checkpoint_stays() {
    let place = Place::new();
    succeed(place.train("whole", &[]));
    succeed(place.train("run", &["--set", "train.epochs=1"]));
    let before = place.read("run/checkpoint.safetensors");
    let others = ["best.nephos", "last.nephos", "loss.png", "miou.png"];
    let largest = others.map(|name| place.read(&format!("run/{name}")).len());
    let largest = largest.into_iter().max().unwrap_or(0);
    assert!(
        largest + 64 * 1024 < before.len(),
        "the checkpoint is the largest file"
    );
    // No file may grow beyond so many blocks of 512 bytes: enough for the
    // history and not for weights, then for all but the checkpoint.
    for (blocks, file) in [
        (20, "best.nephos"),
        (largest / 512 + 64, "checkpoint.safetensors"),
    ] {
        let resume = place.train("run", &["--resume"]);
        let mut shell = Command::new("sh");
        shell
            .current_dir(place.folder.path())
            .args([
                "-c",
                &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\""),
                "sh",
            ])
            .arg(resume.get_program())
            .args(resume.get_args())
            .stdin(Stdio::null());
        let error = fail(shell);
        assert!(
            error.contains(file) && error.contains("File too large"),
            "{error}"
        );
        assert!(place.read("run/checkpoint.safetensors") == before);
        let names = std::fs::read_dir(place.path("run")).unwrap();
        for name in names.map(|entry| entry.unwrap().file_name()) {
            assert!(
                !name.to_string_lossy().starts_with(".nephos-"),
                "{name:?} was left"
            );
        }
    }
    succeed(place.train("run", &["--resume"]));
    place.assert_same_end("whole", "run");
}

#[test]
fn a_running_training_locks_its_folder_and_a_killed_one_does_not() {
    let place = Place::new();
    let long = ["--checkpoint-every", "1", "--set", "train.epochs=100000"];
    let mut first = place.train("run", &long);
    let mut first = first
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while place.state("run").is_none() {
        assert!(
            started.elapsed() < Duration::from_secs(120),
            "no checkpoint"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let resume: Vec<&str> = long.into_iter().chain(["--resume"]).collect();
    for more in [&long[..], &resume] {
        let error = fail(place.train("run", more));
        assert!(
            error.contains("run: another process is training in this folder"),
            "{error}"
        );
    }
    // Another folder is free.
    succeed(place.train("other", &["--set", "train.epochs=1"]));
    assert!(!place.path("other/.nephos.lock").exists());
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(
        place.path("run/.nephos.lock").exists(),
        "a file that locks nothing"
    );
    let error = fail(place.train("run", &long));
    assert!(error.contains("holds a run already"), "{error}");
    let code = interrupt(place.train("run", &resume), Duration::from_secs(2), "-INT");
    assert!(matches!(code, Some(130) | None), "{code:?}");
}

#[test]
fn a_benchmark_locks_its_folder_too() {
    let place = Place::new();
    let run = |steps: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nephos"));
        command
            .current_dir(place.folder.path())
            .args(["benchmark", "train.pkl", "--models", "tiny.toml"])
            .args(["--folds", "2", "--steps", steps, "--out", "bench"])
            .stdin(Stdio::null());
        command
    };
    let mut first = run("100000");
    let mut first = first
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !place.path("bench/.nephos.lock").exists() {
        assert!(started.elapsed() < Duration::from_secs(120), "no lock");
        std::thread::sleep(Duration::from_millis(20));
    }
    let error = fail(run("100000"));
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(error.contains("bench: another process"), "{error}");
    // The lock was released with its process; more steps than can be counted are none.
    let error = fail(run("18446744073709551615"));
    assert!(
        error.contains("--steps") && error.contains("at most 500000000 steps"),
        "{error}"
    );
}

/// A checkpoint's header as JSON, and the numbers after it.
fn parts(bytes: &[u8]) -> (serde_json::Value, Vec<u8>) {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    (header, bytes[8 + length..].to_vec())
}

fn whole(header: &serde_json::Value, numbers: &[u8]) -> Vec<u8> {
    let mut text = header.to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    [&(text.len() as u64).to_le_bytes()[..], &text, numbers].concat()
}

#[test]
fn a_checkpoint_whose_bytes_changed_is_refused_by_name() {
    let place = Place::new();
    succeed(place.train("run", &["--set", "train.epochs=1"]));
    let file = place.path("run/checkpoint.safetensors");
    let bytes = place.read("run/checkpoint.safetensors");
    let (mut header, numbers) = parts(&bytes);
    let length = bytes.len() - numbers.len();
    let rate = bytes
        .windows(10)
        .position(|part| part == b"loss_sum =")
        .unwrap();
    for place_of in [
        length + 5,
        length + numbers.len() / 2,
        bytes.len() - 1,
        rate + 11,
    ] {
        let mut changed = bytes.clone();
        changed[place_of] ^= 1;
        std::fs::write(&file, &changed).unwrap();
        let error = fail(place.train("run", &["--resume"]));
        assert!(error.contains("run/checkpoint.safetensors"), "{error}");
        assert!(error.contains("checksum"), "{place_of}: {error}");
    }
    std::fs::write(&file, &bytes[..bytes.len() - 100]).unwrap();
    let error = fail(place.train("run", &["--resume"]));
    assert!(error.contains("run/checkpoint.safetensors"), "{error}");

    // One of a version without a checksum, whose moments are too short by a number.
    let old = header.as_object_mut().unwrap();
    old.remove("checksum");
    let state = old["__metadata__"]["state"].as_str().unwrap();
    let state = state.replacen("version = 2", "version = 1", 1);
    old["__metadata__"]["state"] = state.into();
    let numbers = &numbers[..numbers.len() - 32];
    let good = whole(&header, numbers);
    let last = (header.as_object().unwrap().iter())
        .filter(|(name, _)| *name != "__metadata__")
        .max_by_key(|(_, tensor)| tensor["data_offsets"][1].as_u64())
        .map(|(name, _)| name.clone())
        .unwrap();
    assert!(last.starts_with("second."), "{last}");
    let tensor = &mut header[&last];
    let end = tensor["data_offsets"][1].as_u64().unwrap() - 4;
    tensor["data_offsets"][1] = end.into();
    tensor["shape"][0] = (tensor["shape"][0].as_u64().unwrap() - 1).into();
    std::fs::write(&file, whole(&header, &numbers[..end as usize])).unwrap();
    let error = fail(place.train("run", &["--resume"]));
    assert!(
        error.contains("run/checkpoint.safetensors") && error.contains(&last),
        "{error}"
    );
    // A valid one of that version resumes.
    std::fs::write(&file, good).unwrap();
    succeed(place.train("run", &["--resume"]));
}

#[test]
fn more_epochs_report_the_new_learning_rate() {
    let place = Place::new();
    let run = |out: &str, more: &[&str]| {
        let output = place.train(out, more).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8(output.stderr).unwrap()
    };
    let cosine = [
        "--set",
        "train.schedule.kind=cosine",
        "--set",
        "train.epochs=1",
    ];
    let message = run("cosine", &cosine);
    assert!(!message.contains("learning rate"), "{message}");
    let more = [&cosine[..2], &["--resume", "--set", "train.epochs=2"]].concat();
    let message = run("cosine", &more);
    let expected = "note: train.epochs goes from 1 to 2; the cosine schedule now spans 24 steps: the \
                  learning rate goes from 0.000e0 at the last step to ";
    assert!(
        message.contains(expected) && message.contains("and ends at 0.000e0"),
        "{message}"
    );
    run("constant", &["--set", "train.epochs=1"]);
    let message = run("constant", &["--resume"]);
    let expected = "train.epochs goes from 1 to 3; the learning rate stays at 1.000e-3";
    assert!(message.contains(expected), "{message}");
    // An epoch's line, and its time, as text.
    let line = message
        .lines()
        .find(|line| line.starts_with("epoch 2/3: loss "));
    assert!(
        line.is_some_and(|line| {
            line.contains(", validation 0.")
                && line.contains(" images/s, ")
                && (line.ends_with(" s") || line.ends_with(" s (best so far)"))
        }),
        "{message}"
    );
    // Nothing changed, no message.
    assert!(!run("constant", &["--resume"]).contains("learning rate"));
}

#[test]
fn absurd_settings_are_errors_before_anything_is_written() {
    let place = Place::new();
    for (set, expected) in [
        (
            "train.prefetch=999999999999",
            "`train.prefetch` must be 1 to 1024 batches, not 999999999999",
        ),
        (
            "train.batch_size=999999999999",
            "`train.batch_size` must be 1 to 65536, not",
        ),
        (
            "train.epochs=999999999999",
            "`train.epochs` must be 1 to 1000000, not",
        ),
        ("data.size=65536", "train.batch_size = 2"),
        (
            "model.encoder={ depth = 1000, feed_forward = 65536, heads = 4 }",
            "[model]",
        ),
    ] {
        let mut more = vec!["--set", set];
        if set.starts_with("model.encoder") {
            more.extend([
                "--set",
                "model.patch.width=65536",
                "--set",
                "train.batch_size=1",
            ]);
        }
        let error = fail(place.train("run", &more));
        assert!(error.contains(expected), "{set}: {error}");
        assert!(!place.path("run").exists(), "{set}");
    }
    let output = place
        .train("run", &["--checkpoint-every", "0"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(
        text(&output).contains("--checkpoint-every"),
        "{}",
        text(&output)
    );
}

/// Lists of annotated samples apply only to samples of these names.
#[test]
fn names_of_other_samples_change_nothing_in_training() {
    let place = Place::new();
    let run = |out: &str, more: &[&str]| {
        let output = place.train(out, &[&["--set", "train.epochs=1"], more].concat());
        let output = { output }.output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        (
            place.read(&format!("{out}/last.nephos")),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (plain, _) = run("plain", &[]);
    let (foreign, message) = run(
        "foreign",
        &["--set", "data.labels.annotated_in={3=['Forest_05']}"],
    );
    assert!(plain == foreign, "the same weights");
    for file in ["train.pkl", "val.pkl"] {
        let note = format!("note: data.labels.annotated_in does not apply to {file}");
        assert!(message.contains(&note), "{message}");
    }
    // A name of the training samples applies to both: 20 is none of the four of validation.
    let (own, message) = run("own", &["--set", "data.labels.annotated_in={3=['20']}"]);
    assert!(plain != own);
    assert!(
        !message.contains("apply to train.pkl") && message.contains("apply to val.pkl"),
        "{message}"
    );
    // What is held out of the training samples is of the same container.
    let held = [
        "--set",
        "data.val_names=['1', '2']",
        "--set",
        "data.labels.annotated_in={3=['0']}",
    ];
    let mut command =
        place.train_without_val("held", &[&["--set", "train.epochs=1"], &held[..]].concat());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(
        !text(&output).contains("does not count"),
        "{}",
        text(&output)
    );
}

#[test]
fn a_changed_configuration_does_not_resume() {
    let place = Place::new();
    succeed(place.train("run", &["--set", "train.epochs=1"]));
    let changed = [
        "--resume",
        "--set",
        "seed=8",
        "--set",
        "train.optimizer.lr=1e-2",
    ];
    let error = fail(place.train("run", &changed));
    assert!(error.contains("seed (was 7, now 8)"), "{error}");
    assert!(error.contains("train.optimizer.lr"), "{error}");
    assert!(!error.contains("train.epochs"), "{error}");
    let error = fail(place.train("elsewhere", &["--resume"]));
    assert!(
        error.contains("elsewhere holds no checkpoint.safetensors"),
        "{error}"
    );
}

#[test]
fn losses_precisions_and_schedules_train() {
    let place = Place::new();
    for (number, sets) in [
        [
            "train.precision=bf16",
            "loss.kind=dice",
            "train.optimizer.kind=adamw",
        ],
        [
            "train.precision=f16",
            "loss.kind=focal",
            "train.schedule.kind=one-cycle",
        ],
        [
            "train.accumulate=3",
            "loss.kind=cross-entropy-dice",
            "train.clip_norm=0.5",
        ],
        [
            "loss.label_smoothing=0.1",
            "loss.class_weights=[1, 2, 1, 1]",
            "train.patience=1",
        ],
    ]
    .iter()
    .enumerate()
    {
        let mut more: Vec<&str> = sets.iter().flat_map(|set| ["--set", *set]).collect();
        more.extend([
            "--set",
            "train.epochs=2",
            "--set",
            "train.schedule.warmup=0.2",
        ]);
        let out = format!("run{number}");
        succeed(place.train(&out, &more));
        let history = place.history(&out);
        let loss = |row: &str| row.split(',').nth(3).unwrap().parse::<f64>().unwrap();
        assert!(
            loss(&history[2]) < loss(&history[1]),
            "{sets:?}: {history:?}"
        );
    }
}

#[test]
fn divergence_names_step_and_samples_and_keeps_the_checkpoint() {
    let place = Place::new();
    let sets = [
        "--set",
        "train.optimizer.lr=1e30",
        "--checkpoint-every",
        "1",
    ];
    let error = fail(place.train("run", &sets));
    assert!(error.contains("diverged at step"), "{error}");
    assert!(error.contains("samples"), "{error}");
    // The weights of the last finite step are there still.
    let state = place.state("run").expect("a checkpoint");
    let diverged = error
        .split("at step ")
        .nth(1)
        .and_then(|rest| rest.split(':').next());
    let step: usize = diverged.unwrap().parse().unwrap();
    assert!(
        state.contains(&format!("\nstep = {}\n", step - 1)),
        "{error} {state}"
    );
}

#[test]
fn samples_can_be_held_out_of_the_training_set() {
    let place = Place::new();
    let train = |out: &str, set: &str| {
        place.train_without_val(out, &["--set", "train.epochs=1", "--set", set])
    };
    succeed(train("fraction", "data.val_fraction=0.2"));
    let bundle = Bundle::load(&place.path("fraction/best.nephos"));
    assert_eq!(bundle.unwrap().summary.train_samples, Some(18));
    succeed(train("names", "data.val_names=[\"0\", \"5\"]"));
    let error = fail(train("wrong", "data.val_names=[\"nowhere\"]"));
    assert!(error.contains("no sample `nowhere`"), "{error}");
    // Without any validation the training loss decides.
    let out = succeed(train("none", "seed=3"));
    assert!(out.contains("training loss"), "{out}");
}

#[test]
fn samples_of_two_sizes_are_an_error_that_names_both() {
    let place = Place::new();
    write_samples(&place.path("train.pkl"), &[SIDE, SIDE, 40, SIDE], 1);
    let error = fail(place.train("run", &["--set", "train.batch_size=4"]));
    assert!(
        error.contains("48×48") && error.contains("40×40"),
        "{error}"
    );
    assert!(error.contains("data.size"), "{error}");
    succeed(place.train(
        "sized",
        &["--set", "data.size=48", "--set", "train.epochs=1"],
    ));
    write_samples(&place.path("train.pkl"), &[6], 1);
    let error = fail(place.train("small", &[]));
    assert!(error.contains("smaller than one patch"), "{error}");
}
