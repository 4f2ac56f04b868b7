//! Outputs never overwrite inputs, and skipped scenes are reported.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use ndarray::Array4;
use ndarray_npy::WriteNpyExt;
use nephos::mask::{self, CogSpec, CogWriter, Resampling};
use nephos::raster::Georeference;

use super::scenes::{PREDICT, Place, text, write_scene};

#[test]
fn an_output_is_never_an_input() {
    let place = Place::new(&["a", "c"]);
    fs::create_dir_all(place.path("bands")).unwrap();
    for (name, from) in [("B02", "a"), ("B03", "c")] {
        fs::copy(
            place.path(&format!("{from}.tif")),
            place.path(&format!("bands/{name}.tif")),
        )
        .unwrap();
    }
    fs::hard_link(place.path("a.tif"), place.path("hard.tif")).unwrap();
    fs::hard_link(place.path("bands/B02.tif"), place.path("band.tif")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(place.path("a.tif"), place.path("soft.tif")).unwrap();
    fs::copy(place.path("m.nephos"), place.path("model.tif")).unwrap();
    place.succeed(&format!("{PREDICT} a.tif --out label.tif"));
    fs::copy(place.path("a.tif"), place.path("x_cloud.tif")).unwrap();
    fs::write(place.path("config.toml"), "name = \"mine\"").unwrap();
    let files = [
        "a.tif",
        "c.tif",
        "bands/B02.tif",
        "bands/B03.tif",
        "m.nephos",
        "model.tif",
        "label.tif",
        "x_cloud.tif",
        "config.toml",
    ];
    let before = files.map(|name| place.read(name));
    let cut = "--set data.size=32";
    for arguments in [
        format!("{PREDICT} a.tif c.tif --out-dir ."),
        format!("{PREDICT} a.tif --out a.tif"),
        format!("{PREDICT} a.tif --out ./bands/../a.tif"),
        format!("{PREDICT} a.tif --out hard.tif"),
        format!("{PREDICT} a.tif --out soft.tif"),
        format!("{PREDICT} soft.tif --out a.tif"),
        format!("{PREDICT} bands --out bands/B02.tif"),
        format!("{PREDICT} bands --out bands/mask.tif"),
        format!("{PREDICT} bands --out band.tif"),
        format!("{PREDICT} x_cloud.tif --out x.tif --with cloud"),
        "predict a.tif --scale 255 --model model.tif --out model.tif".to_owned(),
        format!("overlay a.tif {cut} -o a.tif"),
        format!("overlay a.tif {cut} --prediction label.tif -o label.tif"),
        "explain a.tif --model m.nephos --at 9,9 -o a.tif".to_owned(),
        "explain a.tif --model m.nephos --at 9,9 -o m.nephos".to_owned(),
        "weights export m.nephos -o m.nephos".to_owned(),
        "weights import m.nephos --config config.toml -o m.nephos".to_owned(),
        "weights import m.nephos --config config.toml -o config.toml".to_owned(),
        "evaluate a.tif --scale 255 --model m.nephos --calibrate m.nephos".to_owned(),
        "evaluate a.tif --labels label.tif --scale 255 --model m.nephos --calibrate label.tif"
            .to_owned(),
    ] {
        for overwrite in ["", " --overwrite"] {
            let error = place.fail(&format!("{arguments}{overwrite}"));
            assert!(
                error.contains("this run reads") || error.contains("one file"),
                "{arguments}: {error}"
            );
        }
    }
    let after = files.map(|name| place.read(name));
    assert!(before == after);
    assert!(!place.path("c_mask.tif").exists() && !place.path("x.tif").exists());
}

#[test]
fn only_overwrite_replaces_and_only_files_of_nephos() {
    let place = Place::new(&["a", "b"]);
    // Of others, wherever an output could go.
    let theirs = [
        "p.png",
        "w.pth",
        "w.safetensors",
        "s/metadata.csv",
        "s/train_split.pkl",
        "m.tif",
    ];
    fs::create_dir(place.path("s")).unwrap();
    for name in theirs {
        fs::write(place.path(name), "something of the user's").unwrap();
    }
    let simulate = "simulate --train 1 --val 0 --test 0 --size 32";
    for arguments in [
        "overlay a.tif --set data.size=32 -o p.png".to_owned(),
        "weights export m.nephos -o w.pth".to_owned(),
        "weights export m.nephos -o w.safetensors".to_owned(),
        format!("{simulate} --out s"),
        format!("{simulate} --preview p.png"),
        format!("{PREDICT} a.tif --out m.tif"),
    ] {
        for overwrite in ["", " --overwrite"] {
            let error = place.fail(&format!("{arguments}{overwrite}"));
            assert!(
                error.contains("nephos did not write it"),
                "{arguments}: {error}"
            );
        }
    }
    for name in theirs {
        assert_eq!(place.read(name), b"something of the user's", "{name}");
        fs::remove_file(place.path(name)).unwrap();
    }
    // Its own, of every kind, is replaced on request.
    let with = "--with probabilities,cloud,polygons,stac,quicklook,html,style,summary";
    for arguments in [
        "overlay a.tif -o p.png".to_owned(),
        "weights export m.nephos -o w.pth".to_owned(),
        "weights export m.nephos -o w.safetensors".to_owned(),
        format!("{simulate} --out s --preview p2.png"),
        "split s/train_split.pkl --train 1 --val 0 --test 0 --out t".to_owned(),
        "explain a.tif --model m.nephos --at 9,9 -o e.png".to_owned(),
        "evaluate s/train_split.pkl --model m.nephos --out scores".to_owned(),
        format!("{PREDICT} b.tif --out m.png"),
        format!("{PREDICT} b.tif --out m.npy"),
    ] {
        place.succeed(&arguments);
        let error = place.fail(&arguments);
        assert!(
            error.contains("--overwrite replaces it"),
            "{arguments}: {error}"
        );
        place.succeed(&format!("{arguments} --overwrite"));
    }
    place.succeed(&format!("{PREDICT} a.tif --out m.tif {with}"));
    let before = place.read("m.tif");
    let error = place.fail(&format!("{PREDICT} b.tif --out m.tif {with}"));
    assert!(
        error.contains("a.tif, not of ") && error.contains("b.tif"),
        "{error}"
    );
    assert!(before == place.read("m.tif"));
    place.succeed(&format!("{PREDICT} b.tif --out m.tif {with} --overwrite"));
    assert!(before != place.read("m.tif"));
}

#[test]
fn up_to_date_means_the_same_scene_model_and_options() {
    let place = Place::new(&["a", "b"]);
    let modified = |name: &str| place.path(name).metadata().unwrap().modified().unwrap();
    for (arguments, mask) in [("--out m.tif", "m.tif"), ("--out-dir masks", "masks/a.tif")] {
        let run = format!("{PREDICT} a.tif {arguments}");
        place.succeed(&run);
        let before = modified(mask);
        let again = place.run(&run);
        assert!(again.status.success());
        if mask == "m.tif" {
            let said = text(&again.stderr);
            assert!(
                said.contains("skipped (up to date)") && said.contains("m.tif"),
                "{said}"
            );
            assert!(text(&again.stdout).contains("valid pixels"));
        }
        let untouched = |arguments: &str, why: &str| {
            let error = place.fail(arguments);
            assert!(
                error.contains(why) && error.contains("--overwrite"),
                "{error}"
            );
            assert_eq!(modified(mask), before);
        };
        // Other options, another model, another scene of the same name.
        untouched(&format!("{run} --overlap 0.4"), "other options");
        fs::create_dir_all(place.path("sub")).unwrap();
        write_scene(&place.path("sub/a.tif"), [150, 90], 7);
        untouched(&run.replace(" a.tif", " sub/a.tif"), "sub/a.tif");
        super::tiny::save_untrained(
            "name = \"other\"\n[data]\nbands = [\"red\", \"green\", \"blue\"]\n",
            &place.path("other.nephos"),
        );
        untouched(&run.replace("m.nephos", "other.nephos"), "other");
        // Changed in place, by as much as its time.
        let scene = place.read("a.tif");
        let time = modified("a.tif");
        write_scene(&place.path("a.tif"), [150, 90], 9);
        untouched(&run, "changed since");
        fs::write(place.path("a.tif"), scene).unwrap();
        let file = File::options()
            .write(true)
            .open(place.path("a.tif"))
            .unwrap();
        file.set_modified(time + Duration::from_secs(5)).unwrap();
        untouched(&run, "changed since");
        file.set_modified(time).unwrap();
        place.succeed(&run);
        assert_eq!(modified(mask), before);
        place.succeed(&format!("{run} --overwrite"));
        assert!(modified(mask) > before);
    }
    let summary: serde_json::Value = serde_json::from_slice(&place.read("masks/a.json")).unwrap();
    let (run, scene) = (&summary["run"], place.path("a.tif").canonicalize().unwrap());
    assert_eq!(run["scene"]["path"], scene.to_str().unwrap());
    assert_eq!(run["scene"]["bytes"], scene.metadata().unwrap().len());
    assert_eq!(
        run["scene"]["sha256_of_beginning"].as_str().unwrap().len(),
        64
    );
    assert!(run["scene"]["modified"].as_str().unwrap().starts_with("20"));
    assert_eq!(run["model_sha256"], summary["made"]["model_sha256"]);
}

#[test]
fn a_summary_applies_only_to_its_own_mask() {
    let place = Place::new(&["a"]);
    let run = format!("{PREDICT} a.tif --out-dir masks");
    place.succeed(&run);
    // A mask replaced by a run that wrote no summary.
    let summary = place.read("masks/a.json");
    place.succeed(&format!(
        "{PREDICT} a.tif --overlap 0.6 --out masks/a.tif --overwrite"
    ));
    assert_eq!(place.read("masks/a.json"), summary);
    let error = place.fail(&run);
    assert!(
        error.contains("other options") && error.contains("--overwrite"),
        "{error}"
    );
    // One that lost its records does not count as done either.
    fs::remove_file(place.path("masks/a.json")).unwrap();
    fs::remove_file(place.path("masks/a.tif.aux.xml")).unwrap();
    let error = place.fail(&run);
    assert!(error.contains("--overwrite replaces it"), "{error}");
    place.succeed(&format!("{run} --overwrite"));
    // A missing output of an interrupted run is written.
    fs::remove_file(place.path("masks/a.json")).unwrap();
    place.succeed(&run);
    assert!(place.path("masks/a.json").exists());
}

#[test]
fn leftovers_of_killed_runs_are_removed_and_of_running_ones_are_not() {
    let place = Place::new(&["a", "b"]);
    fs::create_dir(place.path("masks")).unwrap();
    for name in [
        ".nephos-aB3dE6",
        ".nephos-living",
        ".b.tif.lock",
        ".old.tif.lock",
    ] {
        fs::write(place.path(&format!("masks/{name}")), "").unwrap();
    }
    let living = File::options()
        .write(true)
        .open(place.path("masks/.nephos-living"))
        .unwrap();
    living.lock().unwrap();
    place.succeed(&format!("{PREDICT} a.tif --out-dir masks"));
    let names = place.names("masks");
    assert_eq!(
        names,
        [".nephos-living", "a.json", "a.tif", "a.tif.aux.xml"]
    );
    // A single mask cleans its folder too.
    drop(living);
    place.succeed(&format!("{PREDICT} a.tif --out masks/other.tif"));
    assert!(!place.path("masks/.nephos-living").exists());
}

#[test]
fn a_scene_of_a_killed_process_is_predicted_in_the_end() {
    let place = Place::new(&["a", "b", "c"]);
    fs::create_dir(place.path("masks")).unwrap();
    let lock = File::create(place.path("masks/.a.tif.lock")).unwrap();
    lock.lock().unwrap();
    let mut command = place.command(&format!("{PREDICT} a.tif b.tif c.tif --out-dir masks"));
    let mut process = (command.stdout(Stdio::piped()).stderr(Stdio::piped()))
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("b.tif"));
    assert!(lines.next().unwrap().unwrap().contains("c.tif"));
    std::thread::sleep(Duration::from_millis(300));
    assert!(process.try_wait().unwrap().is_none(), "it waits");
    drop(lock);
    assert!(lines.next().unwrap().unwrap().contains("a.tif"));
    let output = process.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success() && said.contains("3 done"), "{said}");
    assert!(
        said.contains("waiting for 1 scene that other processes"),
        "{said}"
    );
    assert!(!place.path("masks/.a.tif.lock").exists());
}

#[test]
fn a_closed_standard_error_does_not_stop_the_run() {
    let place = Place::new(&["a", "b"]);
    let batch =
        |out: &str| format!("{PREDICT} a.tif missing.tif b.tif -vv --jobs 2 --out-dir {out}");
    // A reader that is gone, a full disk, no descriptor at all.
    let mut process = (place.command(&batch("gone")).stdout(Stdio::null()))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(process.stderr.take());
    assert_eq!(process.wait().unwrap().code(), Some(1));
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let status = (place.command(&batch("full")).stdout(Stdio::null()))
        .stderr(full())
        .status();
    assert_eq!(status.unwrap().code(), Some(1));
    let mut shell = std::process::Command::new("sh");
    let closed = place.command(&batch("closed"));
    let status = (shell.current_dir(place.path(".")))
        .args(["-c", "exec \"$@\" 2>&- >/dev/null", "sh"])
        .arg(closed.get_program())
        .args(closed.get_args())
        .status();
    assert_eq!(status.unwrap().code(), Some(1));
    for folder in ["gone", "full", "closed"] {
        for name in ["a.tif", "b.tif"] {
            assert!(
                place.path(&format!("{folder}/{name}")).exists(),
                "{folder}/{name}"
            );
        }
    }
    // Errors of a command line and of a file.
    for arguments in ["predict --no-such-option", "info missing.tif"] {
        let status = place.command(arguments).stderr(full()).status().unwrap();
        assert!(
            status.code().is_some_and(|code| code == 1 || code == 2),
            "{arguments}"
        );
    }
    // Results that can't be written are an error.
    let output = place
        .command("info a.tif")
        .stdout(full())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(
        error.contains("standard output") && !error.contains("panicked"),
        "{error}"
    );
}

#[test]
fn a_file_that_shrinks_is_an_error_of_its_own_samples() {
    let place = Place::new(&["a"]);
    let samples = Array4::from_shape_fn((60, 3, 96, 96), |(n, b, r, c)| {
        ((n + b * 40 + r * 3 + c * 7) % 251) as u8
    });
    (samples.write_npy(File::create(place.path("big.npy")).unwrap())).unwrap();
    let channels = "--bands blue,green,red";
    let run = format!("{PREDICT} {channels} big.npy a.tif --out-dir masks");
    let log = File::create(place.path("log")).unwrap();
    let mut command = place.command(&run);
    let mut process = (command.stdout(Stdio::piped()).stderr(log))
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let said = || std::fs::read_to_string(place.path("log")).unwrap();
    assert!(lines.next().is_some(), "{}", said());
    let file = File::options()
        .write(true)
        .open(place.path("big.npy"))
        .unwrap();
    file.set_len(40_000).unwrap();
    lines.for_each(|line| drop(line.unwrap()));
    let code = process.wait().unwrap().code();
    let error = text(&place.read("log"));
    assert_eq!(code, Some(1), "{error}");
    let last = "big_59: big.npy: the file was cut from 1659008 to 40000 bytes";
    assert!(error.contains(last), "{error}");
    assert!(place.path("masks/a.tif").exists());
}

#[test]
fn impossible_requests_are_refused_before_the_work() {
    let place = Place::new(&["a"]);
    let write = |name: &str, [rows, cols]: [usize; 2], georeference: Georeference| {
        let spec = CogSpec {
            width: cols,
            height: rows,
            bands: 3,
            georeference,
            nodata: None,
            palette: None,
            band_names: ["blue", "green", "red"].map(String::from).into(),
            scale: None,
            tags: Vec::new(),
            overview: Resampling::Mean,
        };
        let pixels = ndarray::Array3::from_shape_fn((3, rows, cols), |(b, r, c)| {
            (20 + b * 9 + (r + c) % 90) as u8
        });
        let mut writer = CogWriter::create(&place.path(name), spec).unwrap();
        writer.write_rows(pixels.view()).unwrap();
        writer.finish().unwrap();
    };
    write("nowhere.tif", [40, 50], Georeference::default());
    let uncoded = Georeference {
        transform: Some([0.0, 10.0, 0.0, 0.0, 0.0, -10.0]),
        keys: None,
        ..Georeference::default()
    };
    write("uncoded.tif", [40, 50], uncoded);
    write("large.tif", [2100, 2100], Georeference::default());
    for (arguments, what) in [
        ("nowhere.tif --with polygons", "polygons"),
        ("nowhere.tif --with cloud,stac", "EPSG"),
        ("uncoded.tif --with stac", "EPSG"),
        ("nowhere.tif --dilate 60", "metres"),
        // Its graph compares all pairs of patches, of which there are too many.
        (
            "large.tif --graph scene -m tiny",
            "which goes up to 65536 patches, 2048 × 2048 pixels",
        ),
    ] {
        let model = if arguments.contains("-m") {
            ""
        } else {
            "-m m.nephos"
        };
        let error = place.fail(&format!(
            "predict --scale 255 {model} {arguments} --out m.tif"
        ));
        assert!(error.contains(what), "{arguments}: {error}");
        assert_eq!(
            place.names("."),
            [
                "a.tif",
                "large.tif",
                "m.nephos",
                "nowhere.tif",
                "uncoded.tif"
            ]
        );
    }
    // In a batch the others have theirs.
    let error = place.fail(&format!(
        "{PREDICT} nowhere.tif a.tif --with stac --out-dir masks"
    ));
    assert!(error.contains("1 of 2 scenes failed"), "{error}");
    let names = ["a.json", "a.stac.json", "a.tif", "a.tif.aux.xml"];
    assert_eq!(place.names("masks"), names);
    // A quick-look is drawn of a mask of any format.
    for format in ["png", "npy"] {
        place.succeed(&format!(
            "{PREDICT} a.tif --out q_{format}.{format} --with quicklook"
        ));
        assert!(place.path(&format!("q_{format}_quicklook.png")).exists());
    }
    let [png, npy] = ["q_png_quicklook.png", "q_npy_quicklook.png"].map(|name| place.read(name));
    assert!(png == npy);
    let threads = place.fail(&format!("{PREDICT} a.tif --out m.tif --threads 65535"));
    assert!(threads.contains("at most 1024"), "{threads}");
}

#[test]
fn errors_are_printed_once_and_without_colour() {
    let place = Place::new(&["a"]);
    for arguments in [
        "info missing.tif".to_owned(),
        "weights export missing.nephos -o w.pth".to_owned(),
        "overlay missing.pkl -o p.png".to_owned(),
        format!("{PREDICT} missing.tif --out m.tif"),
        "predict a.tif --model missing.nephos --out m.tif".to_owned(),
    ] {
        let error = place.fail(&arguments);
        assert_eq!(error.matches("No such file").count(), 1, "{error}");
        assert_eq!(error.matches("missing").count(), 1, "{error}");
    }
    // A warning of all bands is one line of the log, and no terminal reads it.
    let output = place.run("predict a.tif --scale 1 --model m.nephos --out m.tif");
    let said = text(&output.stderr);
    assert!(said.matches("WARN").count() <= 1, "{said}");
    assert!(!said.contains('\u{1b}'), "{said}");
}

#[test]
fn masks_are_named_after_their_scenes() {
    let place = Place::new(&["a"]);
    fs::rename(place.path("a.tif"), place.path("scène ☁ 1.tif")).unwrap();
    let mut command = place.command(PREDICT);
    let output = command
        .args(["scène ☁ 1.tif", "--out-dir", "masks"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(mask::read(&place.path("masks/scène ☁ 1.tif")).is_ok());
    fs::rename(place.path("scène ☁ 1.tif"), place.path("a.tif")).unwrap();
    // As `predict * --out-dir masks` comes from the shell the second time.
    let output = place.run(&format!("{PREDICT} a.tif masks --out-dir masks"));
    let said = text(&output.stderr);
    assert!(
        output.status.success() && said.contains("is no scene"),
        "{said}"
    );

    let error = place.fail(&format!("{PREDICT} a.tif --out m.tif --format png"));
    assert!(
        error.contains("--format png") && error.contains("m.tif"),
        "{error}"
    );
    place.succeed(&format!("{PREDICT} a.tif --out m.png --format png"));
    for (option, expected) in [
        ("--nodata -9999", "--nodata -9999 is no uint8 number"),
        ("--scale -1", "scale"),
        ("--dilate -1", "--dilate must be a number of metres above 0"),
        ("--overlap -0.5", "--overlap must be within 0 to 0.9"),
        ("--window -3", "invalid value '-3'"),
        ("--threads -3", "invalid value '-3'"),
        ("--resolution -10", "--resolution"),
    ] {
        let error = place.fail(&format!("{PREDICT} a.tif --out n.tif {option}"));
        assert!(error.contains(expected), "{option}: {error}");
    }
    place.succeed(&format!("{PREDICT} a.tif --out n.tif --offset -10"));
    assert!(place.path("n.tif").metadata().unwrap().modified().unwrap() <= SystemTime::now());
}
