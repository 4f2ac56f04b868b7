//! Stages of the reference model on one image of 509 × 509 pixels:
//! `cargo bench --bench model`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use nephos::config::Config;
use nephos::engine::{Engine, Scratch, Stage};
use nephos::weights::Parameters;

const SIDE: usize = 509;

/// The stages that take more than a thousandth of the pass.
const STAGES: [Stage; 9] = [
    Stage::Embed,
    Stage::QueryKeyValue,
    Stage::Attention,
    Stage::Project,
    Stage::FeedForward,
    Stage::Norm,
    Stage::GraphAttention,
    Stage::Convolution,
    Stage::Upsample,
];

/// The pass of the CPU engine as a whole, and by stages: each stage's time is taken
/// from whole passes, as it finds the caches there.
fn engine(c: &mut Criterion) {
    let config = Config::default().model;
    let weights = Parameters::draw(&config, 3, 42)
        .into_torch()
        .into_iter()
        .collect();
    let engine = Engine::new(&config, weights).expect("the engine supports the reference");
    let images: Vec<f32> = (0..3 * SIDE * SIDE)
        .map(|i| (i * 7919 % 251) as f32 / 251.0)
        .collect();
    let mut logits = vec![0.0; config.classes * SIDE * SIDE];
    let mut scratch = Scratch::default();
    let mut pass = |watch: &mut (dyn FnMut(Stage) + Send)| {
        let sizes = [1, SIDE, SIDE];
        engine.forward_watched(&images, sizes, &mut scratch, &mut logits, watch);
    };
    let mut group = c.benchmark_group("engine");
    group.sample_size(20);
    group.bench_function("forward", |bencher| bencher.iter(|| pass(&mut |_| ())));
    for stage in STAGES {
        group.bench_function(format!("{stage:?}"), |bencher| {
            bencher.iter_custom(|passes| {
                let mut spent = BTreeMap::<Stage, Duration>::new();
                for _ in 0..passes {
                    let mut last = Instant::now();
                    pass(&mut |stage| {
                        *spent.entry(stage).or_default() += last.elapsed();
                        last = Instant::now();
                    });
                }
                spent[&stage]
            });
        });
    }
}

criterion_group!(benches, engine);
criterion_main!(benches);
