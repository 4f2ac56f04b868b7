//! The streamed run, with models simple enough to have a closed-form result.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use ndarray::{Array2, Array3, Array4, ArrayView2, ArrayView3, Axis, s};
use nephos::network::Forward;
use nephos::predict::{Progress, RowSink, RunOptions, RunStats, run};
use nephos::raster::{Georeference, Window};
use nephos::scene::{MemoryScene, Plan, Scene, SceneInfo};
use nephos::{Error, Result};
use proptest::prelude::*;

const CLASSES: usize = 3;

/// Scores that depend on the pixel alone.
struct PerPixel;

impl Forward for PerPixel {
    fn forward(&self, windows: Array4<f32>) -> Result<Array4<f32>> {
        let (count, _, height, width) = windows.dim();
        Ok(Array4::from_shape_fn(
            (count, CLASSES, height, width),
            |(n, class, row, col)| {
                let pixel = windows.slice(s![n, .., row, col]);
                score(class, pixel.iter().copied())
            },
        ))
    }
}

fn score(class: usize, pixel: impl Iterator<Item = f32>) -> f32 {
    let weighted = |(band, value): (usize, f32)| value * (1 + (band * 5 + class * 3) % 7) as f32;
    pixel.enumerate().map(weighted).sum::<f32>().sin()
}

/// Any function as a model.
struct Model<F>(F);

impl<F: Fn(Array4<f32>) -> Result<Array4<f32>>> Forward for Model<F> {
    fn forward(&self, windows: Array4<f32>) -> Result<Array4<f32>> {
        (self.0)(windows)
    }
}

/// Keeps all rows.
#[derive(Default)]
struct RowCollector {
    classes: Vec<u8>,
    probabilities: Vec<f32>,
    next: usize,
}

impl RowSink for RowCollector {
    fn rows(
        &mut self,
        first: usize,
        classes: ArrayView2<'_, u8>,
        probabilities: Option<ArrayView3<'_, f32>>,
    ) -> Result<()> {
        assert_eq!(first, self.next, "rows follow one another");
        self.next += classes.nrows();
        self.classes.extend(classes.iter());
        for row in probabilities.iter().flat_map(|p| p.axis_iter(Axis(1))) {
            self.probabilities.extend(row.iter());
        }
        Ok(())
    }
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|band| format!("band{band}")).collect()
}

/// Smooth bands with a wedge that has no data in one band or another.
fn reflectance(bands: usize, height: usize, width: usize) -> Array3<f32> {
    Array3::from_shape_fn((bands, height, width), |(band, row, col)| {
        let phase = band as f32 + row as f32 / 9.0 + col as f32 / 13.0;
        if band == (row + col) % bands && 3 * col > 2 * width + row {
            f32::NAN
        } else {
            0.5 + 0.5 * phase.sin()
        }
    })
}

fn scene(reflectance: Array3<f32>) -> MemoryScene {
    let names = names(reflectance.dim().0);
    MemoryScene::new("made up", &names, reflectance, Georeference::default()).unwrap()
}

fn options(window: usize, size: (usize, usize)) -> RunOptions {
    RunOptions {
        batch_pixels: 3 * window * window,
        probabilities: true,
        ..RunOptions::new([window.min(size.0), window.min(size.1)])
    }
}

fn quiet(_: &Progress) {}

/// Classes and probabilities of a run, `[rows][class][col]` in one piece.
fn mask(
    forward: &dyn Forward,
    scene: &dyn Scene,
    options: &RunOptions,
) -> (Vec<u8>, Vec<f32>, RunStats) {
    let mut kept = RowCollector::default();
    let bands: Vec<usize> = (0..scene.info().bands.len()).collect();
    let stats = run(
        forward, CLASSES, scene, &bands, 2.0, options, &mut kept, &quiet,
    )
    .unwrap();
    assert_eq!(kept.next, scene.info().size[0]);
    (kept.classes, kept.probabilities, stats)
}

/// The result of [`PerPixel`] by its definition.
fn expected(reflectance: &Array3<f32>) -> Vec<u8> {
    let (_, height, width) = reflectance.dim();
    let classes = Array2::from_shape_fn((height, width), |(row, col)| {
        let pixel = reflectance.slice(s![.., row, col]);
        if pixel.iter().any(|value| value.is_nan()) {
            return 255;
        }
        let scores: Vec<f32> = (0..CLASSES)
            .map(|class| score(class, pixel.iter().map(|value| value * 2.0)))
            .collect();
        let highest = scores.iter().copied().fold(f32::MIN, f32::max);
        scores.iter().position(|score| *score == highest).unwrap() as u8
    });
    classes.into_raw_vec_and_offset().0
}

fn check_exact(height: usize, width: usize, window: usize, shift: usize) {
    let image = reflectance(2, height, width);
    let scene = scene(image.clone());
    let mut options = options(window, (height, width));
    let whole = RunOptions::new([height, width]);
    let whole = RunOptions {
        probabilities: true,
        ..whole
    };
    options.shift = shift.min(options.window[0].min(options.window[1]) - 1);
    let (classes, probabilities, stats) = mask(&PerPixel, &scene, &options);
    let (whole_classes, whole_probabilities, _) = mask(&PerPixel, &scene, &whole);
    let case = format!("{height} × {width}, window {window}, shift {shift}");
    assert_eq!(classes, expected(&image), "{case}");
    assert_eq!(classes, whole_classes, "{case}");
    let bits = |p: &[f32]| p.iter().map(|p| p.to_bits()).collect::<Vec<_>>();
    assert!(
        bits(&probabilities) == bits(&whole_probabilities),
        "{case}: probabilities differ"
    );
    let valid = classes.iter().filter(|code| **code != 255).count() as u64;
    assert_eq!(stats.valid, valid);
    assert_eq!(stats.no_data, (height * width) as u64 - valid);
    for (code, count) in stats.counts.iter().enumerate() {
        let found = classes.iter().filter(|c| usize::from(**c) == code).count();
        assert_eq!(*count, found as u64);
    }
}

#[test]
fn windows_change_nothing_for_a_per_pixel_model() {
    let window = 16;
    for (height, width) in [
        (1, 1),
        (1, 50),
        (50, 1),
        (window - 1, window - 1),
        (window, window),
        (window + 1, window + 1),
        (window - 1, window + 1),
        (97, 45),
        (200, 33),
    ] {
        check_exact(height, width, window, 0);
        check_exact(height, width, window, 5);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn windows_change_nothing_at_any_size(
        height in 1usize..90, width in 1usize..90, window in 1usize..40, shift in 0usize..40,
    ) {
        check_exact(height, width, window, shift);
    }
}

#[test]
fn a_scene_smaller_than_a_window_is_filled_up_with_its_reflection_and_cropped() {
    let image = reflectance(2, 3, 5);
    let seen = Mutex::new(Vec::new());
    let model = Model(|windows: Array4<f32>| {
        seen.lock().unwrap().push(windows.clone());
        PerPixel.forward(windows)
    });
    let (classes, _, stats) = mask(&model, &scene(image.clone()), &RunOptions::new([9, 9]));
    assert_eq!(classes, expected(&image));
    assert_eq!((stats.windows, stats.computed_pixels), (1, 81));
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen[0].dim(), (1, 2, 9, 9));
    assert_eq!(seen[0][[0, 1, 2, 0]], image[[1, 2, 0]] * 2.0);
    let (rows, cols) = ([0, 1, 2, 1, 0, 1, 2, 1, 0], [0, 1, 2, 3, 4, 3, 2, 1, 0]);
    for ((_, band, row, col), seen) in seen[0].indexed_iter() {
        let pixel = image.slice(ndarray::s![.., rows[row], cols[col]]);
        let expected = match pixel.iter().all(|value| value.is_finite()) {
            true => pixel[band] * 2.0,
            false => 0.0,
        };
        assert_eq!(*seen, expected, "{row}, {col}");
    }
}

#[test]
fn pixels_without_data_are_zero_in_the_input() {
    let mut image = reflectance(2, 12, 12).mapv(|value| value.max(0.1));
    image.fill(0.5);
    image[[1, 4, 7]] = f32::NAN;
    image[[0, 5, 5]] = f32::INFINITY;
    let model = Model(|windows: Array4<f32>| {
        for band in 0..2 {
            assert_eq!(windows[[0, band, 4, 7]], 0.0);
            assert_eq!(windows[[0, band, 5, 5]], 0.0);
            assert_eq!(windows[[0, band, 5, 6]], 1.0);
        }
        PerPixel.forward(windows)
    });
    let (classes, probabilities, stats) = mask(&model, &scene(image), &options(12, (12, 12)));
    assert_eq!((classes[4 * 12 + 7], classes[5 * 12 + 5]), (255, 255));
    assert_eq!((stats.valid, stats.no_data), (142, 2));
    assert!(probabilities[(4 * CLASSES) * 12 + 7].is_nan());
}

#[test]
fn no_pixel_is_computed_more_often_than_planned() {
    let image = reflectance(1, 150, 130).mapv(|value| if value.is_nan() { 0.3 } else { value });
    let pixels = AtomicUsize::new(0);
    let model = Model(|windows: Array4<f32>| {
        let (count, _, height, width) = windows.dim();
        pixels.fetch_add(count * height * width, Ordering::Relaxed);
        PerPixel.forward(windows)
    });
    let options = options(40, (150, 130));
    let (_, _, stats) = mask(&model, &scene(image), &options);
    // 150 pixels take five windows of 40 that share at least 10: ⌈110/30⌉ + 1.
    let plan = Plan::new([150, 130], options.window, options.overlap, 1, 0).unwrap();
    assert_eq!((plan.tops.len(), plan.lefts.len()), (5, 4));
    assert_eq!(
        pixels.load(Ordering::Relaxed) as u64,
        plan.computed_pixels()
    );
    assert_eq!(stats.computed_pixels, plan.computed_pixels());
    assert_eq!(stats.windows, 20);
}

#[test]
fn windows_without_data_are_skipped() {
    let mut image = Array3::from_elem((2, 100, 100), 0.4);
    // One band is enough to make a pixel invalid.
    image.slice_mut(s![1, .., 50..]).fill(f32::NAN);
    let windows = AtomicUsize::new(0);
    let model = Model(|input: Array4<f32>| {
        for window in input.outer_iter() {
            assert!(window.iter().any(|value| *value != 0.0));
            windows.fetch_add(1, Ordering::Relaxed);
        }
        PerPixel.forward(input)
    });
    let last = Mutex::new(Progress::default());
    let mut kept = RowCollector::default();
    let scene = scene(image.clone());
    let options = RunOptions::new([20, 20]);
    let report = |progress: &Progress| {
        let mut last = last.lock().unwrap();
        assert!(progress.windows_done >= last.windows_done);
        assert!(progress.pixels_done >= last.pixels_done);
        *last = *progress;
    };
    let stats = run(
        &model,
        CLASSES,
        &scene,
        &[0, 1],
        2.0,
        &options,
        &mut kept,
        &report,
    )
    .unwrap();
    // Columns of windows start at 0, 13, 26, 40, 53, 66, 80: three are in no data.
    assert_eq!(stats.skipped, 7 * 3);
    assert_eq!(stats.windows, 7 * 4);
    assert_eq!(windows.load(Ordering::Relaxed), 7 * 4);
    assert_eq!(kept.classes, expected(&image));
    let last = last.into_inner().unwrap();
    assert_eq!((last.windows_done, last.windows_total), (49, 49));
    assert_eq!((last.pixels_done, last.pixels_total), (10_000, 10_000));
    assert_eq!(last.skipped, 21);

    let nothing = Array3::from_elem((1, 30, 30), f32::NAN);
    let never = Model(|_: Array4<f32>| panic!("nothing is to be computed"));
    let (classes, _, stats) = mask(&never, &self::scene(nothing), &RunOptions::new([20, 20]));
    assert!(classes.iter().all(|code| *code == 255));
    assert_eq!((stats.windows, stats.valid, stats.no_data), (0, 0, 900));
}

/// Scores that rise towards the borders of a window, as where a model has less context.
struct WorseAtBorders;

impl Forward for WorseAtBorders {
    fn forward(&self, windows: Array4<f32>) -> Result<Array4<f32>> {
        let (count, _, height, width) = windows.dim();
        let rise = |pixel: usize, side: usize| {
            let from_middle = (2.0 * pixel as f32 + 1.0 - side as f32) / side as f32;
            from_middle.powi(2)
        };
        Ok(Array4::from_shape_fn(
            (count, CLASSES, height, width),
            |(_, class, row, col)| match class {
                0 => 0.0,
                _ => rise(row, height) + rise(col, width) * class as f32,
            },
        ))
    }
}

#[test]
fn there_are_no_seams() {
    let image = Array3::from_elem((1, 160, 160), 0.5);
    let seen = |overlap| {
        let options = RunOptions {
            overlap,
            ..options(64, (160, 160))
        };
        let (_, probabilities, _) = mask(&WorseAtBorders, &scene(image.clone()), &options);
        let map = Array3::from_shape_vec((160, CLASSES, 160), probabilities).unwrap();
        let down = &map.slice(s![1.., .., ..]) - &map.slice(s![..-1, .., ..]);
        let across = &map.slice(s![.., .., 1..]) - &map.slice(s![.., .., ..-1]);
        down.iter()
            .chain(&across)
            .fold(0.0f32, |a, b| a.max(b.abs()))
    };
    // The steepest step within one window, and that from windows beside one another.
    let (blended, within) = (seen(0.25), {
        let options = RunOptions {
            probabilities: true,
            ..RunOptions::new([64, 64])
        };
        let one = scene(image.slice(s![.., ..64, ..64]).to_owned());
        let (_, probabilities, _) = mask(&WorseAtBorders, &one, &options);
        let map = Array3::from_shape_vec((64, CLASSES, 64), probabilities).unwrap();
        let across = &map.slice(s![.., .., 1..]) - &map.slice(s![.., .., ..-1]);
        across.iter().fold(0.0f32, |a, b| a.max(b.abs()))
    });
    assert!(blended < 2.0 * within, "{blended} against {within}");
}

/// A scene that records each read.
struct RecordingScene<F> {
    scene: MemoryScene,
    info: SceneInfo,
    on_read: F,
}

impl<F: Fn(Window) -> Result<()> + Send + Sync> RecordingScene<F> {
    fn new(image: Array3<f32>, block: usize, on_read: F) -> Self {
        let scene = scene(image);
        let mut info = scene.info().clone();
        info.block[0] = block;
        Self {
            scene,
            info,
            on_read,
        }
    }
}

impl<F: Fn(Window) -> Result<()> + Send + Sync> Scene for RecordingScene<F> {
    fn info(&self) -> &SceneInfo {
        &self.info
    }

    fn read(&self, bands: &[usize], window: Window) -> Result<Array3<f32>> {
        (self.on_read)(window)?;
        self.scene.read(bands, window)
    }
}

/// Any function as a sink.
struct Sink<F>(F);

impl<F: FnMut(usize, usize) -> Result<()> + Send> RowSink for Sink<F> {
    fn rows(
        &mut self,
        first: usize,
        classes: ArrayView2<'_, u8>,
        _: Option<ArrayView3<'_, f32>>,
    ) -> Result<()> {
        (self.0)(first, classes.nrows())
    }
}

#[test]
fn strips_are_whole_blocks_read_once_from_the_top() {
    for (block, strip) in [(1, 64), (48, 96), (64, 64), (100, 100), (1000, 150)] {
        let reads = Mutex::new(Vec::new());
        let scene = RecordingScene::new(reflectance(1, 150, 20), block, |window: Window| {
            assert_eq!((window.col, window.cols), (0, 20));
            reads.lock().unwrap().push((window.row, window.rows));
            Ok(())
        });
        mask(&PerPixel, &scene, &RunOptions::new([16, 16]));
        let expected: Vec<(usize, usize)> = (0..150)
            .step_by(strip)
            .map(|first| (first, strip.min(150 - first)))
            .collect();
        assert_eq!(reads.into_inner().unwrap(), expected, "block {block}");
    }
}

#[test]
fn reading_ahead_is_bounded() {
    // 64 rows per strip, windows of 32 rows with a stride of 24, one batch a row of
    // windows. Until rows reach the sink there may be: rows being handed over (1 step
    // at the sink, 1 waiting, 1 at the blender), a step waiting, one at the model, one
    // waiting, one being cut with its window and a strip, and one strip read ahead.
    let height = 4000;
    let bound = 6 * 24 + 32 + 2 * 64;
    let written = AtomicUsize::new(0);
    let most = AtomicUsize::new(0);
    let scene = RecordingScene::new(reflectance(1, height, 32), 64, |window: Window| {
        let ahead = window.row + window.rows - written.load(Ordering::SeqCst);
        most.fetch_max(ahead, Ordering::SeqCst);
        Ok(())
    });
    let mut sink = Sink(|first, rows| {
        // A slow sink blocks the pipeline.
        std::thread::sleep(Duration::from_micros(300));
        written.store(first + rows, Ordering::SeqCst);
        Ok(())
    });
    let options = RunOptions::new([32, 32]);
    run(
        &PerPixel,
        CLASSES,
        &scene,
        &[0],
        2.0,
        &options,
        &mut sink,
        &quiet,
    )
    .unwrap();
    let most = most.into_inner();
    assert!(most <= bound, "{most} rows, {bound} are allowed");
}

/// A flag that threads wait for.
#[derive(Default)]
struct Flag(Mutex<bool>, Condvar);

impl Flag {
    fn set(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }

    /// Whether the flag was set; a minute without it is a failure.
    fn wait(&self) -> bool {
        let guard = self.0.lock().unwrap();
        let limit = Duration::from_secs(60);
        let (set, _) = (self.1.wait_timeout_while(guard, limit, |set| !*set)).unwrap();
        *set
    }
}

#[test]
fn reading_computing_and_writing_overlap() {
    // The model blocks until rows below its window were read, the sink doesn't
    // take the first rows before the model got later windows: a sequential run
    // would wait forever.
    let (read_on, compute_on) = (Flag::default(), Flag::default());
    let scene = RecordingScene::new(reflectance(1, 400, 32), 64, |window: Window| {
        if window.row >= 64 {
            read_on.set();
        }
        Ok(())
    });
    let calls = AtomicUsize::new(0);
    let model = Model(|windows: Array4<f32>| {
        assert!(read_on.wait(), "no rows were read while the model worked");
        if calls.fetch_add(1, Ordering::SeqCst) >= 2 {
            compute_on.set();
        }
        PerPixel.forward(windows)
    });
    let mut sink = Sink(|_, _| {
        assert!(
            compute_on.wait(),
            "no window was computed while rows were written"
        );
        Ok(())
    });
    let options = RunOptions::new([32, 32]);
    run(
        &model,
        CLASSES,
        &scene,
        &[0],
        2.0,
        &options,
        &mut sink,
        &quiet,
    )
    .unwrap();
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let image = reflectance(3, 333, 290);
    // Scores with neighbours, so that the blend matters.
    let model = Model(|windows: Array4<f32>| {
        let mut scores = PerPixel.forward(windows)?;
        let shifted = scores.slice(s![.., .., .., ..-1]).to_owned();
        let mut rest = scores.slice_mut(s![.., .., .., 1..]);
        rest += &shifted;
        Ok(scores)
    });
    let masks: HashMap<usize, (Vec<u8>, Vec<u32>)> = [1, 2, 5]
        .into_iter()
        .map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let found = pool
                .build()
                .unwrap()
                .install(|| mask(&model, &scene(image.clone()), &options(64, (333, 290))));
            let bits = found.1.iter().map(|p| p.to_bits()).collect();
            (threads, (found.0, bits))
        })
        .collect();
    assert!(masks[&1] == masks[&2] && masks[&1] == masks[&5]);
}

#[test]
fn a_failure_anywhere_ends_the_run() {
    let image = reflectance(1, 600, 40);
    let fail = |what: &str| Error::usage(format!("the {what} fails"));
    let good_scene = || RecordingScene::new(image.clone(), 64, |_: Window| Ok(()));
    let good_sink = || Sink(|_: usize, _: usize| Ok(()));
    let options = RunOptions::new([32, 32]);
    let message = |result: Result<RunStats>| result.unwrap_err().to_string();

    for row in [0, 64, 576] {
        let scene = RecordingScene::new(image.clone(), 64, |window: Window| {
            if window.row == row {
                Err(fail("reader"))
            } else {
                Ok(())
            }
        });
        let result = run(
            &PerPixel,
            CLASSES,
            &scene,
            &[0],
            2.0,
            &options,
            &mut good_sink(),
            &quiet,
        );
        assert_eq!(message(result), "the reader fails");
    }
    for call in [0, 5] {
        let calls = AtomicUsize::new(0);
        let model = Model(|windows: Array4<f32>| {
            if calls.fetch_add(1, Ordering::Relaxed) == call {
                return Err(fail("model"));
            }
            PerPixel.forward(windows)
        });
        let result = run(
            &model,
            CLASSES,
            &good_scene(),
            &[0],
            2.0,
            &options,
            &mut good_sink(),
            &quiet,
        );
        assert_eq!(message(result), "the model fails");
    }
    for row in [0, 300] {
        let mut sink = Sink(|first: usize, rows: usize| {
            if first + rows > row {
                Err(fail("sink"))
            } else {
                Ok(())
            }
        });
        let result = run(
            &PerPixel,
            CLASSES,
            &good_scene(),
            &[0],
            2.0,
            &options,
            &mut sink,
            &quiet,
        );
        assert_eq!(message(result), "the sink fails");
    }
    let broken = Model(|windows: Array4<f32>| Ok(PerPixel.forward(windows)? / 0.0));
    let result = run(
        &broken,
        CLASSES,
        &good_scene(),
        &[0],
        2.0,
        &options,
        &mut good_sink(),
        &quiet,
    );
    assert!(message(result).contains("not finite"));
    let other = Model(|windows: Array4<f32>| Ok(windows));
    let result = run(
        &other,
        CLASSES,
        &good_scene(),
        &[0],
        2.0,
        &options,
        &mut good_sink(),
        &quiet,
    );
    assert!(message(result).contains("shape"));
    let result = run(
        &PerPixel,
        CLASSES,
        &good_scene(),
        &[1],
        2.0,
        &options,
        &mut good_sink(),
        &quiet,
    );
    assert!(message(result).contains("there are 1"));
}

#[test]
fn a_panic_anywhere_ends_the_run() {
    let image = reflectance(1, 600, 40);
    let options = RunOptions::new([32, 32]);
    let caught = |in_scene: bool, in_model: bool, in_sink: bool| {
        let scene = RecordingScene::new(image.clone(), 64, |window: Window| {
            assert!(!in_scene || window.row < 128, "in the scene");
            Ok(())
        });
        let model = Model(|windows: Array4<f32>| {
            assert!(!in_model, "in the model");
            PerPixel.forward(windows)
        });
        let mut sink = Sink(|first, _| {
            assert!(!in_sink || first < 100, "in the sink");
            Ok(())
        });
        let run = || {
            run(
                &model,
                CLASSES,
                &scene,
                &[0],
                2.0,
                &options,
                &mut sink,
                &quiet,
            )
        };
        let panic = std::panic::catch_unwind(AssertUnwindSafe(run)).unwrap_err();
        *panic.downcast::<&str>().unwrap()
    };
    assert_eq!(caught(true, false, false), "in the scene");
    assert_eq!(caught(false, true, false), "in the model");
    assert_eq!(caught(false, false, true), "in the sink");
}

#[test]
fn a_run_can_be_stopped() {
    let cancel = Arc::new(AtomicBool::new(false));
    let options = RunOptions {
        cancel: Some(cancel.clone()),
        ..RunOptions::new([32, 32])
    };
    let calls = AtomicUsize::new(0);
    let model = Model(|windows: Array4<f32>| {
        if calls.fetch_add(1, Ordering::Relaxed) == 2 {
            cancel.store(true, Ordering::Relaxed);
        }
        PerPixel.forward(windows)
    });
    let mut sink = Sink(|_, _| Ok(()));
    let scene = scene(reflectance(1, 600, 40));
    let result = run(
        &model,
        CLASSES,
        &scene,
        &[0],
        2.0,
        &options,
        &mut sink,
        &quiet,
    );
    assert!(result.unwrap_err().to_string().contains("stopped"));
    assert_eq!(calls.into_inner(), 3);
}

/// Scores that depend on the pixel, on its place in the window and on the window's first pixel.
struct ByWindow;

impl Forward for ByWindow {
    fn forward(&self, windows: Array4<f32>) -> Result<Array4<f32>> {
        let mut scores = PerPixel.forward(windows.clone())?;
        for (window, mut scores) in windows.outer_iter().zip(scores.outer_iter_mut()) {
            let first = window[[0, 0, 0]];
            for ((class, row, col), score) in scores.indexed_iter_mut() {
                *score += first * (1 + class) as f32 + ((row * 3 + col * 5 + class) % 7) as f32;
            }
        }
        Ok(scores)
    }
}

#[test]
fn a_scene_computed_in_columns_has_the_same_mask() {
    let window = 16;
    for (height, width, columns) in [(40, 200, 50), (33, 90, 1), (16, 300, 64), (7, 61, 30)] {
        for (shift, overlap) in [(0, 0.25), (5, 0.25), (0, 0.7), (3, 0.0)] {
            let scene = scene(reflectance(2, height, width));
            let whole = RunOptions {
                shift,
                overlap,
                ..options(window, (height, window))
            };
            let in_columns = RunOptions {
                columns,
                ..whole.clone()
            };
            let (classes, probabilities, stats) = mask(&ByWindow, &scene, &whole);
            let (same, same_probabilities, more) = mask(&ByWindow, &scene, &in_columns);
            let case = format!("{height} × {width} in {columns}, shift {shift}, overlap {overlap}");
            assert_eq!(classes, same, "{case}");
            let bits = |p: &[f32]| p.iter().map(|p| p.to_bits()).collect::<Vec<_>>();
            assert!(bits(&probabilities) == bits(&same_probabilities), "{case}");
            assert_eq!(
                (&stats.counts, stats.valid),
                (&more.counts, more.valid),
                "{case}"
            );
            // Windows on a border are computed twice, unless none overlap.
            let computed = [&stats, &more].map(|stats| stats.windows + stats.skipped);
            assert!(computed[1] > computed[0] || overlap == 0.0, "{case}");
        }
    }
}

/// A scene of any width that holds nothing, and how wide what is read of it was at most.
struct Endless {
    info: SceneInfo,
    widest: AtomicUsize,
}

impl Scene for Endless {
    fn info(&self) -> &SceneInfo {
        &self.info
    }

    fn read(&self, bands: &[usize], window: Window) -> Result<Array3<f32>> {
        self.widest.fetch_max(window.cols, Ordering::Relaxed);
        Ok(Array3::from_elem(
            (bands.len(), window.rows, window.cols),
            0.5,
        ))
    }
}

/// All that a run holds is as wide as the columns that it computes at once: what is read, and
/// what the rows of windows and scores are made for (`predict::panel` holds these to it).
#[test]
fn nothing_that_is_read_is_wider_than_the_columns() {
    let read = |width: usize| {
        let mut info = scene(Array3::zeros((1, 1, 1))).info().clone();
        (info.size, info.block) = ([24, width], [8, 8]);
        let endless = Endless {
            info,
            widest: AtomicUsize::new(0),
        };
        let options = RunOptions {
            columns: 100,
            ..RunOptions::new([16, 16])
        };
        let (classes, _, stats) = mask(&PerPixel, &endless, &options);
        assert_eq!(
            (classes.len(), stats.valid),
            (24 * width, 24 * width as u64)
        );
        endless.widest.into_inner()
    };
    let (narrow, wide) = (read(1_000), read(20_000));
    assert!(narrow <= 132 && wide <= 132, "{narrow} and {wide} columns");
}

#[test]
fn what_can_not_be_spooled_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let options = RunOptions {
        columns: 20,
        spool: file.clone(),
        ..RunOptions::new([16, 16])
    };
    let scene = scene(reflectance(2, 20, 100));
    let mut sink = RowCollector::default();
    let run = run(
        &PerPixel,
        CLASSES,
        &scene,
        &[0, 1],
        2.0,
        &options,
        &mut sink,
        &quiet,
    );
    assert!(matches!(run, Err(Error::Io { .. })), "{run:?}");
    assert_eq!(sink.next, 0);
}
